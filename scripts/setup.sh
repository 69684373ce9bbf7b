#!/bin/sh
# Prepares a fresh machine: our Node and the npm packages, Debian's packages, nginx for the demo's pods, the CNI
# plugins and launcher, and a look at the kernel. Says what it does and why, asks nothing but sudo's password, and is quick the
# second time.
set -eu
cd "$(dirname "$0")/.."
cache=$PWD/.cache
mkdir -p "$cache"

# "package: why", one a line. util-linux, mount and procps are essential on Debian but may be cut from images.
packages='libatomic1:a library that our Node is linked with
nftables:rules of the datapath (libnftables) and nft to look at them
iproute2:network namespaces and links of the local cluster
util-linux:unshare and nsenter, which start the pods
mount:the file systems of nodes and pods
procps:sysctl and ps in the nodes
gcc:builds the CNI launcher
libc6-dev:the C library that the launcher is linked with
iputils-ping:ping between pods
curl:the client of the demo
iptables:called by portmap, the CNI plugin behind hostPort'

if [ "$(id -u)" = 0 ]; then as_root=; else as_root=sudo; fi
log=$cache/setup.log
: >"$log"

say() { printf 'set-up: %s\n' "$*"; }
fail() { printf 'set-up: %s\n' "$*" >&2; exit 1; }

# Runs a command with its output in the log and a dot for every two seconds.
with_progress() { # WHAT COMMAND...
  what=$1
  shift
  printf 'set-up: %s ' "$what"
  "$@" >>"$log" 2>&1 &
  pid=$!
  tick=0
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    tick=$((tick + 1))
    if [ $((tick % 10)) = 0 ]; then printf '.'; fi
  done
  if wait "$pid"; then echo ' done'; else
    echo ' failed'
    tail -n 20 "$log" >&2
    fail "could not do this: $what (all of its output: .cache/setup.log)"
  fi
}

need_root() {
  [ -n "$as_root" ] || return 0
  command -v sudo >/dev/null || fail "needs root for network namespaces and Debian packages, but this is user $(id -un) and there is no sudo"
  sudo -v || fail "needs root for network namespaces and Debian packages, but sudo gave none to user $(id -un)"
}

installed() { [ "$(dpkg-query -W -f '${Status}' "$1" 2>/dev/null)" = 'install ok installed' ]; }

[ "$(uname -s)" = Linux ] || fail "needs Linux, this is $(uname -s)"
need_root

# 1. Debian packages, first: our Node needs a library of them.
command -v dpkg-query >/dev/null || fail "needs Debian or Ubuntu: there is no dpkg here"
missing=
while IFS=: read -r name why; do
  installed "$name" && continue
  say "needs the Debian package $name: $why"
  missing="$missing $name"
done <<LIST
$packages
LIST
apt_get() { $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q "$@"; }
lists_known() { [ -n "$(apt-cache policy nftables 2>/dev/null | grep -E 'Candidate: [0-9]')" ]; }
if [ -n "$missing" ]; then
  lists_known || with_progress "the list of Debian packages" apt_get update
  # shellcheck disable=SC2086
  with_progress "Debian packages:$missing" apt_get install -y --no-install-recommends $missing
fi

# 2. npm packages, our Node among them.
stamp=$(cat package.json package-lock.json | cksum | tr ' ' '-')
if [ "$(cat "$cache/npm.stamp" 2>/dev/null)" != "$stamp" ] || ! node_modules/.bin/node --version >/dev/null 2>&1; then
  with_progress "npm packages into node_modules (Node 26, koffi for system calls and the rest of package.json)" npm ci --no-audit --no-fund
  node_modules/.bin/node --version >/dev/null 2>&1 || fail "the npm package 'node' brought no program for $(uname -m) (see .cache/setup.log)"
  echo "$stamp" >"$cache/npm.stamp"
fi

# 3. nginx, unpacked here instead of installed: its installation would start a service.
nginx_packages() { # the package that holds the program is nginx, or nginx-core or -light where nginx is only a name
  for p in nginx-common nginx nginx-core nginx-light; do
    apt-cache show "$p" >/dev/null 2>&1 && echo "$p"
  done
}
unpack_nginx() {
  rm -rf "$cache/nginx" "$cache/nginx.new" "$cache/debs"
  mkdir -p "$cache/nginx.new" "$cache/debs"
  (cd "$cache/debs" && apt-get -q download $(nginx_packages))
  for deb in "$cache"/debs/*.deb; do
    dpkg-deb -x "$deb" "$cache/nginx.new"
    [ -x "$cache/nginx.new/usr/sbin/nginx" ] && [ -d "$cache/nginx.new/usr/share/nginx" ] && break
  done
  rm -rf "$cache/debs"
  [ -x "$cache/nginx.new/usr/sbin/nginx" ]
  mv "$cache/nginx.new" "$cache/nginx"
}
if [ ! -x "$cache/nginx/usr/sbin/nginx" ]; then
  lists_known || with_progress "the list of Debian packages" apt_get update
  with_progress "nginx for the demo's pods, unpacked into .cache/nginx and not installed" unpack_nginx
fi
libraries=$(ldd "$cache/nginx/usr/sbin/nginx" | sed -n 's/^\t\(.*\) => not found$/\1/p')
for library in $libraries; do
  case $library in
    libpcre2*) add=libpcre2-8-0 ;;
    libpcre.so*) add=libpcre3 ;;
    libssl* | libcrypto*) add=$(apt-cache search --names-only '^libssl3(t64)?$' | sed 's/ .*//' | head -n 1) ;;
    libz*) add=zlib1g ;;
    libcrypt*) add=libcrypt1 ;;
    *) fail "nginx needs the library $library, and no Debian package is known here that holds it" ;;
  esac
  installed "$add" && continue
  with_progress "the Debian package $add: nginx in .cache needs $library of it" apt_get install -y --no-install-recommends "$add"
done

# 4. Debian's CNI plugins, unpacked here: portmap and bandwidth serve the local cluster's pods.
if [ ! -x /usr/lib/cni/portmap ] && [ ! -s "$cache/cni-plugins/version" ]; then
  lists_known || with_progress "the list of Debian packages" apt_get update
  with_progress "Debian's CNI plugins for hostPort and bandwidth, unpacked into .cache/cni-plugins and not installed" sh scripts/cni-plugins.sh "$cache"
fi

# 5. The CNI launcher.
if [ ! -x "$cache/launcher/romana" ] || [ launcher/romana.c -nt "$cache/launcher/romana" ] || [ launcher/build.sh -nt "$cache/launcher/romana" ]; then
  mkdir -p "$cache/launcher"
  with_progress "the CNI launcher, from launcher/romana.c" sh launcher/build.sh "$cache/launcher/romana"
fi

# 6. The kernel, tried in namespaces of its own.
$as_root sh scripts/check-kernel.sh
