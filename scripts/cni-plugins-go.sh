#!/bin/sh
# Prints the folder and, on a second line, the version of the newest standard CNI plugins that benches and tests use,
# built from their Go module into the project's cache (scripts/cni-plugins-go.sh CACHE). Without Go, or where Go can't
# build them, it says so and prints nothing.
set -eu
# shellcheck source=scripts/kubernetes/go.sh
. "$(dirname "$0")/kubernetes/go.sh"
plugins='main/ptp ipam/host-local main/loopback meta/tuning meta/portmap meta/bandwidth'
version=$CNI_PLUGINS
cache=$1/cni-plugins-go/$version
complete=1
for plugin in $plugins; do
  [ -x "$cache/${plugin##*/}" ] || complete=
done

build_all() {
  for plugin in $plugins; do cni_plugin "$new/${plugin##*/}" "$plugin"; done
}

if [ -z "$complete" ]; then
  if ! find_go; then
    echo "the newest CNI plugins ($version) are left out: they are built from their Go module, and there is no Go here" >&2
    exit 0
  fi
  new=$cache.$$
  log=$cache.log
  GO_WORK=$new.go
  trap 'rm -rf "$new" "$GO_WORK"' EXIT
  mkdir -p "$new"
  printf 'building the newest CNI plugins (%s) from their Go module into the cache ' "$version" >&2
  (set -e; build_all) >"$log" 2>&1 &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    sleep 1
    printf '.' >&2
  done
  if ! wait "$pid"; then
    printf ' failed\n' >&2
    tail -n 5 "$log" >&2
    echo "the newest CNI plugins ($version) are left out" >&2
    exit 0
  fi
  printf ' done\n' >&2
  rm -rf "$cache"
  mv "$new" "$cache"
fi
printf '%s\n' "$cache" "$version"
