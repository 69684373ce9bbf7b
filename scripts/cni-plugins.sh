#!/bin/sh
# Prints the folder and, on a second line, the version of the standard CNI plugins: Debian's, as installed, else
# unpacked into the project's cache (scripts/cni-plugins.sh CACHE). Nothing is installed.
set -eu
cache=$1/cni-plugins
if [ -x /usr/lib/cni/ptp ] && version=$(dpkg-query -W -f '${Version}' containernetworking-plugins 2>/dev/null); then
  printf '%s\n' /usr/lib/cni "$version"
  exit 0
fi
if [ ! -s "$cache/version" ]; then
  new=$cache.$$
  trap 'rm -rf "$new"' EXIT
  mkdir -p "$new/debs"
  chmod 755 "$new" "$new/debs"
  echo "fetching Debian's containernetworking-plugins into the cache" >&2
  (cd "$new/debs" && apt-get -q download containernetworking-plugins >&2)
  dpkg-deb -x "$new"/debs/*.deb "$new"
  dpkg-deb -f "$new"/debs/*.deb Version >"$new/version"
  rm -rf "$new/debs" "$cache"
  mv "$new" "$cache"
fi
printf '%s\n' "$cache/usr/lib/cni" "$(cat "$cache/version")"
