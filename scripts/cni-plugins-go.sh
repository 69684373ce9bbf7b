#!/bin/sh
# Prints the folder and, on a second line, the version of the newest standard CNI plugins that benches and tests use,
# built from their Go module into the project's cache (scripts/cni-plugins-go.sh CACHE). Without Go, or where Go can't
# build them, it says so and prints nothing.
set -eu
module=github.com/containernetworking/plugins
version=v1.9.1
plugins='main/ptp ipam/host-local main/loopback meta/tuning meta/portmap meta/bandwidth'
cache=$1/cni-plugins-go/$version
complete=1
modules=
for plugin in $plugins; do
  [ -x "$cache/${plugin##*/}" ] || complete=
  modules="$modules $module/plugins/$plugin@$version"
done
if [ -z "$complete" ]; then
  if ! command -v go >/dev/null; then
    echo "the newest CNI plugins ($version) are left out: they are built from their Go module, and there is no Go here" >&2
    exit 0
  fi
  new=$cache.$$
  log=$cache.log
  trap 'rm -rf "$new"' EXIT
  mkdir -p "$new"
  printf 'building the newest CNI plugins (%s) from their Go module into the cache ' "$version" >&2
  # As their own releases are built: static, with the version told.
  # shellcheck disable=SC2086 # a list
  (cd "$new" && CGO_ENABLED=0 GOBIN=$new exec go install \
    -ldflags "-X $module/pkg/utils/buildversion.BuildVersion=$version" \
    $modules) >"$log" 2>&1 &
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
