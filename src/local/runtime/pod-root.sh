#!/bin/sh
# pod-root.sh ROOT: makes, once on a node, the tree that every pod's root is made of: the node's file system,
# read-only, without what a pod has of its own (/proc, /sys, /run, /tmp, /var).
set -eu
root=$1
[ ! -e "$root/usr" ] || exit 0
mkdir -p "$root"
mount --bind / "$root"

# Mounts come in the order in which they were made, so what lies deeper comes later. Octal escapes stand for blanks.
while read -r _ _ _ _ point _; do
  point=$(printf '%b' "$point")
  case $point in
    / | /proc | /proc/* | /sys | /sys/* | /run | /run/* | /tmp | /tmp/* | /var | /var/* | /dev | /dev/* | "$root"*) ;;
    *) mount --bind "$point" "$root$point" && mount -o remount,bind,ro "$root$point" ;;
  esac
done < /proc/self/mountinfo
mount --rbind /dev "$root/dev"
mount -o remount,bind,ro "$root"
