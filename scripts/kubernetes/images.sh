# shellcheck shell=bash disable=SC2154
# Makes images; sourced by build.sh. No registry is asked: contents are programs that build.sh made and Debian packages.
# Each function takes the file to make; $work is a folder for what is of no use afterwards.

make_image() { # OUT.tar WORD... (see make-image.ts)
  "$node" --disable-warning=ExperimentalWarning "$here/make-image.ts" "$@"
}

debian_root() { # DIR PACKAGE...: unpacks the packages and all that they depend on, without installing anything
  local dir=$1 packages=$work/packages package
  shift
  rm -rf "$dir"
  mkdir -p "$dir" "$packages/partial"
  : > "$packages/none-installed"
  if [ ! -e "$work/updated" ]; then
    apt_get update
    : > "$work/updated"
  fi
  apt_get install -y --download-only --no-install-recommends \
    -o Dir::State::status="$packages/none-installed" -o Dir::Cache::archives="$packages" "$@"
  for package in "$packages"/*.deb; do dpkg-deb -x "$package" "$dir"; done
  rm -rf "$packages" "$dir"/usr/share/{doc,man,locale,info,lintian,perl*,bash-completion} \
    "$dir"/usr/lib/*/{perl*,libperl*,gconv} "$dir"/usr/bin/perl*
  printf 'root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/false\nnobody:x:65534:65534::/:/bin/false\n' > "$dir/etc/passwd"
  printf 'root:x:0:\nadm:x:4:\nwww-data:x:33:\nnogroup:x:65534:\n' > "$dir/etc/group"
  echo 'hosts: files dns' > "$dir/etc/nsswitch.conf"
}

pause_image() { # upstream's own source
  local source
  source=$(go_module_file Dir k8s.io/kubernetes "$KUBERNETES")/build/pause/linux/pause.c
  mkdir "$work/root"
  gcc -Os -Wall -static -s -DVERSION="$PAUSE" -o "$work/root/pause" "$source"
  make_image "$1" --name "registry.k8s.io/pause:$PAUSE" --name registry.k8s.io/pause:3.10 --layer "$work/root" \
    --entrypoint /pause --user 65535:65535
}

coredns_image() {
  mkdir "$work/root"
  cp "$programs/bin/coredns" "$work/root/coredns"
  make_image "$1" --name "registry.k8s.io/coredns/coredns:$COREDNS" --name registry.k8s.io/coredns/coredns:latest \
    --layer "$work/root" --entrypoint /coredns
}

# A shell, the usual commands (busybox fills the gaps) and network tools, as a folder that is kept for the next image.
tools_root() {
  local dir=$programs/roots/tools new=$work/tools applet
  [ ! -d "$dir" ] || return 0
  debian_root "$new" bash coreutils libc-bin util-linux busybox wget curl netcat-openbsd socat iperf3 bind9-dnsutils \
    iproute2 iputils-ping nftables iptables conntrack tcpdump ethtool
  ln -s bash "$new/bin/sh"
  ln -s nc.openbsd "$new/bin/nc"
  for applet in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
    ln -s xtables-nft-multi "$new/usr/sbin/$applet"
  done
  for applet in $("$new/bin/busybox" --list); do
    [ -n "$(find "$new"/{usr/,}{bin,sbin} -name "$applet" 2>/dev/null)" ] || ln -s /bin/busybox "$new/bin/$applet"
  done
  mkdir -p "$programs/roots"
  mv "$new" "$dir"
}

tools_image() {
  local e2e=registry.k8s.io/e2e-test-images
  rm -rf "$programs/roots/tools"
  tools_root
  make_image "$1" --name tools --name busybox --name $e2e/busybox:1.37.0-1 --name $e2e/busybox:1.36.1-1 \
    --name $e2e/glibc-dns-testing:2.0.0 --name registry.k8s.io/build-image/distroless-iptables:v0.9.6 \
    --layer "$programs/roots/tools" --cmd sh
}

# Upstream's test server on top of the tools, under the names that the end-to-end tests use; some of them run the
# CoreDNS that is in it.
agnhost_image() {
  local source version names=()
  source=$(go_module_file Dir k8s.io/kubernetes "$KUBERNETES")/test/images/agnhost
  tools_root
  mkdir -p "$work/root/uploads"
  cp "$programs/bin/agnhost" "$programs/bin/coredns" "$work/root/"
  ln -s agnhost "$work/root/agnhost-2"
  cp "$source"/porter/localhost.{crt,key} "$work/root/"
  for version in $AGNHOST 2.55 2.45 2.43 2.39; do names+=(--name "registry.k8s.io/e2e-test-images/agnhost:$version"); done
  make_image "$1" "${names[@]}" --layer "$programs/roots/tools" --layer "$work/root" --entrypoint /agnhost --cmd pause
}

regression_image() { # of the issue with that number: a server that sends TCP segments out of order
  mkdir "$work/root"
  kubernetes_program "$work/root/regression-issue-74839" test/images/regression-issue-74839
  make_image "$1" --name registry.k8s.io/e2e-test-images/regression-issue-74839:1.4 --layer "$work/root" \
    --entrypoint /regression-issue-74839
}

nginx_image() { # Debian's nginx with its welcome page on port 80, logging to the container's output
  local dir=$work/root
  debian_root "$dir" nginx bash coreutils curl
  ln -s bash "$dir/bin/sh"
  mkdir -p "$dir"/var/{lib/nginx,log/nginx,www/html}
  ln -sf /dev/stdout "$dir/var/log/nginx/access.log"
  ln -sf /dev/stderr "$dir/var/log/nginx/error.log"
  ln -sf ../sites-available/default "$dir/etc/nginx/sites-enabled/default"
  cp "$dir/usr/share/nginx/html/index.html" "$dir/var/www/html/"
  make_image "$1" --name nginx --name registry.k8s.io/e2e-test-images/nginx:1.27-0 --layer "$dir" \
    --entrypoint=nginx --entrypoint=-g --entrypoint='daemon off;'
}
