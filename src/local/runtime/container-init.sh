#!/bin/sh
# Becomes a container: process 1 of a new pid namespace, in the namespaces of the pod's sandbox, with a /proc of its
# own. Standard output and error are the container's log.
#
# container-init.sh SANDBOX_PID DIRECTORY COMMAND...
# Prints "PID START_TIME", as the node sees it, to file descriptor 3.
set -eu
sandbox=$1 directory=$2
shift 2
read -r stat < /proc/self/stat
fields=${stat##*) }
# Field 22 of proc(5) is the 20th after the name.
start=$(echo "$fields" | cut -d ' ' -f 20)
echo "${stat%% *} $start" >&3
exec 3>&-
# shellcheck disable=SC2016 # for the inner shell
exec nsenter --target "$sandbox" --mount --uts --ipc --net -- unshare --mount sh -c '
  mount -t proc proc /proc && mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys || exit 125
  cd "$0" || exit 126
  exec "$@"' "$directory" "$@"
