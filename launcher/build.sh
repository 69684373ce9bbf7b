#!/bin/sh
# Builds the CNI launcher: launcher/build.sh OUTPUT [COMPILER OPTIONS...]
# OUTPUT appears whole or not at all. CC chooses the compiler (cc).
# For tests: -DROMANA_SOCKET='"/path"' -DROMANA_CALL_SECONDS=1 -DROMANA_STATUS_SECONDS=1 -DROMANA_GOOD='"/path"' -DROMANA_ABSENCE_SECONDS=2
set -eu

if [ $# -lt 1 ]; then
  echo "usage: $0 OUTPUT [COMPILER OPTIONS...]" >&2
  exit 2
fi
output=$1
shift
cc=${CC:-cc}
source=$(dirname "$0")/romana.c
new=$output.$$
log=$output.$$.log
trap 'rm -f "$new" "$log"' EXIT

if ! command -v "$cc" >/dev/null 2>&1; then
  echo "$0: no C compiler '$cc' for the CNI launcher; install one (Debian: apt-get install gcc libc6-dev) or set CC" >&2
  exit 1
fi
mkdir -p "$(dirname "$output")"

compile() {
  "$cc" -std=c99 -Os -Wall -Wextra -s "$@" -o "$new" "$source" >"$log" 2>&1
}

if ! compile -static "$@"; then
  # Without the static C library the launcher still works on this machine and on those with the same C library.
  if ! compile "$@"; then
    echo "$0: '$cc' could not build $source:" >&2
    cat "$log" >&2
    exit 1
  fi
  echo "$0: '$cc' cannot link statically (Debian: libc6-dev has libc.a); built with shared libraries," >&2
  echo "$0: which runs here but not on hosts with an older or another C library" >&2
fi
cat "$log" >&2
chmod 755 "$new"
mv -f "$new" "$output"
