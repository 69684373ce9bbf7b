#!/bin/sh
# Prints the folder of the standard CNI plugins ptp and host-local: Debian's, as installed, else unpacked into the
# project's cache (bench/cni-plugins.sh CACHE). Nothing is installed.
set -eu
cache=$1/cni-plugins
for folder in /usr/lib/cni "$cache/usr/lib/cni"; do
  if [ -x "$folder/ptp" ] && [ -x "$folder/host-local" ]; then
    echo "$folder"
    exit 0
  fi
done
new=$cache.$$
trap 'rm -rf "$new"' EXIT
mkdir -p "$new/debs"
chmod 755 "$new" "$new/debs"
echo "fetching Debian's containernetworking-plugins into the cache, for comparison" >&2
(cd "$new/debs" && apt-get -q download containernetworking-plugins >&2)
dpkg-deb -x "$new"/debs/*.deb "$new"
rm -rf "$new/debs" "$cache"
mv "$new" "$cache"
echo "$cache/usr/lib/cni"
