#!/bin/sh
# npm run demo: set-up, a cluster, the founding page's demo, and away again. `--keep` leaves the cluster up; all other
# arguments go to `romana demo`.
set -eu
cd "$(dirname "$0")/.."
name=romana
keep=
for argument in "$@"; do
  shift
  if [ "$argument" = --keep ]; then keep=yes; else set -- "$@" "$argument"; fi
done

sh scripts/setup.sh
up=$(bin/romana local up --name "$name")
echo "$up"
case $up in
  *'was up already'*) keep=yes ;; # somebody's: it stays
esac
end() {
  status=$?
  trap - EXIT INT TERM
  [ -n "$keep" ] || bin/romana local down --name "$name" || status=1
  exit "$status"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
status=0
bin/romana demo --name "$name" "$@" || status=$?
if [ -n "$keep" ]; then
  cat <<END

The cluster '$name' is up. Three things to try:
  bin/romana local status
  bin/romana local shell minion1       # then: ip route; nft list table inet romana; romana demo
  bin/romana local down
END
fi
exit "$status"
