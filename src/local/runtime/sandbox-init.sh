#!/bin/sh
# Holds a pod's namespaces, as the pause process of other runtimes does. It is process 1 of new mount, pid, UTS and
# IPC namespaces, and of a network namespace unless the pod is the host's.
#
# sandbox-init.sh ROOT HOSTNAME HOSTS_FILE CHECKOUT
# Prints "PID START_TIME" (as the node sees it) when the network can be set up, "ready" when containers can start.
set -eu
root=$1 name=$2 hosts=$3 checkout=$4
read -r stat < /proc/self/stat
pid=${stat%% *}
# shellcheck disable=SC2086 # split into fields on purpose
set -- ${stat##*) }
ip link set lo up
echo "$pid ${20}"

[ "$name" = '' ] || hostname "$name"
mount --bind "$hosts" "$root/etc/hosts"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/var"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
cd "$root"
mkdir -p run/lock var/lib var/cache var/log var/spool
mkdir -m 1777 var/tmp
ln -s ../run var/run
# The checkout may lie where the pod has directories of its own.
if [ ! -e ".$checkout/bin/romana" ]; then
  mkdir -p ".$checkout"
  mount --bind "$checkout" ".$checkout"
  mount -o remount,bind,ro ".$checkout"
fi
mkdir tmp/.node
pivot_root . tmp/.node
umount -l /tmp/.node
rmdir /tmp/.node
cd /
echo ready
exec sleep infinity > /dev/null 2>&1
