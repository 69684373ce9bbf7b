#!/bin/sh
# npm run demo: set-up, a cluster, the founding page's demo, and away again. `--keep` leaves the cluster up; all other
# arguments go to `romana demo`.
set -eu
cd "$(dirname "$0")/.."
name=romana
keep=
up=
for argument in "$@"; do
  shift
  if [ "$argument" = --keep ]; then keep=yes; else set -- "$@" "$argument"; fi
done

sh scripts/setup.sh
# Whether the cluster goes with this script. Somebody's that was there stays.
ours() {
  case $up in
    *', up in '*) [ -z "$keep" ] ;;
    *) false ;;
  esac
}
end() {
  status=$?
  trap - EXIT
  trap '' INT TERM
  if ours; then bin/romana local down --name "$name" || status=1; fi
  exit "$status"
}
trap end EXIT
# Both wait for the program that runs, which puts away what it had made.
trap 'exit 130' INT
trap 'exit 143' TERM
up=$(bin/romana local up --name "$name")
echo "$up"
status=0
bin/romana demo --name "$name" "$@" || status=$?
if ! ours; then
  cat <<END

The cluster '$name' is up. Three things to try:
  bin/romana local status
  bin/romana local shell minion1       # then: ip route; nft list table inet romana; romana demo
  bin/romana local down
END
fi
exit "$status"
