#!/bin/bash
# build.sh [DIR] [e2e] [conformance]: puts the programs and images of a real Kubernetes into DIR, built from their Go
# modules and from Debian's packages. What is there in the right version is kept. DIR is by default
# $ROMANA_KUBERNETES_PROGRAMS, else ~/.cache/romana/kubernetes.
#   e2e          adds the upstream end-to-end tests (bin/e2e.test) and what runs them side by side (bin/ginkgo)
#   conformance  adds the upstream tests of ClusterNetworkPolicy (bin/network-policy-api-conformance.test)
# An item is put there when it is whole, so a build may be interrupted; a second one waits for the first.
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/go.sh"
. "$here/images.sh"

KUBERNETES=v1.36.3
ETCD=v3.6.8             # the one that this Kubernetes was released with
CONTAINERD=v2.4.2
COREDNS=v1.15.0
AGNHOST=2.63.0          # the version that this Kubernetes' tests ask for
PAUSE=3.10.2
NETWORK_POLICY_API=v0.2.0

# "package: why", one a line.
DEBIAN_PACKAGES='gcc:builds the image pause
libc6-dev:the C library that pause is linked with
util-linux:flock, so that two builds do not meet; unshare and nsenter, which start the nodes
runc:starts the containers, for containerd
iptables:services of kube-proxy in that mode, and the CNI plugin portmap
nftables:services of kube-proxy in that mode, and the rules of Romana
conntrack:called by kube-proxy when endpoints go
ethtool:looked for by kubelet
kmod:modprobe, for kube-proxy
iproute2:network namespaces and links of the nodes
mount:file systems of nodes and pods
procps:sysctl and ps in the nodes
jq:changes what is in etcd, as docs/install.md has it'

# NAME VERSION COMMAND...: COMMAND makes the file that it is told as its first argument.
items() {
  local program plugin
  for program in kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do
    echo "bin/$program $KUBERNETES kubernetes_program cmd/$program"
  done
  echo "bin/etcd $ETCD etcd_program server"
  for program in etcdctl etcdutl; do
    echo "bin/$program $ETCD etcd_program $program"
  done
  for program in containerd containerd-shim-runc-v2 ctr; do
    echo "bin/$program $CONTAINERD containerd_program $program"
  done
  for plugin in main/bridge main/ptp main/loopback ipam/host-local meta/portmap meta/bandwidth meta/tuning meta/firewall; do
    echo "cni-bin/${plugin#*/} $CNI_PLUGINS cni_plugin $plugin"
  done
  cat <<LIST
bin/coredns $COREDNS coredns_program
bin/agnhost $KUBERNETES kubernetes_program test/images/agnhost
images/pause.tar $PAUSE pause_image
images/coredns.tar $COREDNS coredns_image
images/tools.tar 2 tools_image
images/agnhost.tar $AGNHOST-$COREDNS agnhost_image
images/nginx.tar 1 nginx_image
LIST
  if [ -n "$e2e" ]; then
    echo "bin/e2e.test $KUBERNETES kubernetes_program test/e2e test"
    echo "bin/ginkgo $KUBERNETES ginkgo_program"
    echo "images/regression-issue-74839.tar $KUBERNETES regression_image"
  fi
  if [ -n "$conformance" ]; then
    echo "bin/network-policy-api-conformance.test $NETWORK_POLICY_API.1 network_policy_api_conformance"
  fi
}

kubernetes_program() { # OUT PACKAGE [test]
  local version flags="-X main.Version=$AGNHOST" minor=${KUBERNETES#v1.}
  for version in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $version.gitVersion=$KUBERNETES -X $version.gitMajor=1 -X $version.gitMinor=${minor%.*} -X $version.gitTreeState=clean"
  done
  go_work_module k8s.io/kubernetes $KUBERNETES
  "go_build${3:+_$3}" "$1" "k8s.io/kubernetes/$2" "$flags"
}
ginkgo_program() { # OUT: in the version that the end-to-end tests are written with
  go_work_module k8s.io/kubernetes $KUBERNETES
  go_build "$1" github.com/onsi/ginkgo/v2/ginkgo
}
etcd_program() { # OUT NAME
  go_work_module "go.etcd.io/etcd/$2/v3" $ETCD
  go_build "$1" "go.etcd.io/etcd/$2/v3"
}
containerd_program() { # OUT NAME
  local module=github.com/containerd/containerd/v2
  go_work_module $module $CONTAINERD
  go_build "$1" "$module/cmd/$2" "-X $module/version.Version=$CONTAINERD"
}
coredns_program() { # OUT: a main of our own, see coredns.go
  go_work_module github.com/coredns/coredns $COREDNS
  cp "$here/coredns.go" main.go
  go_build "$1" .
}
# Upstream's tests, but that they try no SCTP where WITHOUT_SCTP is in the environment: attempts are all over the tests,
# and where the kernel has none, they fail before anything is sent.
network_policy_api_conformance() { # OUT
  local module=sigs.k8s.io/network-policy-api copy=$work/root helper=conformance/utils/kubernetes/helper.go
  go_work_module $module $NETWORK_POLICY_API
  cp -r --no-preserve=mode "$(go_module_file Dir $module $NETWORK_POLICY_API)" "$copy"
  sed -i 's/^import (/&\n\t"os"/
    s/^func PokeServer(.*{$/&\n\tif protocol == "sctp" \&\& os.Getenv("WITHOUT_SCTP") != "" {\n\t\treturn\n\t}/' "$copy/$helper"
  grep -q WITHOUT_SCTP "$copy/$helper"
  go mod edit -replace="$module=$copy"
  go_build_test "$1" $module/conformance
}

say() { printf '%s\n' "build: $*"; }
fail() { say "$*" >&2; exit 1; }
usage() { sed -n '2,8s/^# //p' "$0" >&2; exit 2; }

apt_get() { $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q "$@"; }

debian_packages() {
  local package why missing=()
  command -v dpkg-query >/dev/null || fail 'needs Debian or Ubuntu: there is no dpkg here'
  while IFS=: read -r package why; do
    [ "$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null)" = 'install ok installed' ] && continue
    say "needs the Debian package $package: $why"
    missing+=("$package")
  done <<< "$DEBIAN_PACKAGES"
  [ ${#missing[@]} = 0 ] && return
  with_dots "Debian packages: ${missing[*]}" install_packages "${missing[@]}"
  echo ' done'
}
install_packages() { # NAME...
  apt_get update
  apt_get install -y --no-install-recommends "$@"
}

# Starts the command as $job, in a process group of its own, so that a signal to this script can end all of it at once.
in_background() {
  set -m
  (set -e; "$@") < /dev/null &
  job=$!
  set +m
}

# Runs the command in the background with its output in the log, and a dot every 3 s; ends the script where it fails.
with_dots() { # WHAT COMMAND...
  local tick=0
  printf '%s ' "$1"
  shift
  in_background "$@" > "$log" 2>&1
  while kill -0 "$job" 2>/dev/null; do
    sleep 0.1
    tick=$((tick + 1))
    if [ $((tick % 30)) = 0 ]; then printf '.'; fi
  done
  if ! wait "$job"; then
    echo ' failed'
    tail -n 20 "$log" >&2
    fail "could not do the above (all of its output: $log)"
  fi
  job=
}

stamp() { echo "$programs/built/${1//\//_}"; }
is_there() { [ "$(cat "$(stamp "$1")" 2>/dev/null)" = "$2" ] && [ -e "$programs/$1" ]; } # NAME VERSION

build_item() { # COUNT NAME VERSION COMMAND...
  local count=$1 name=$2 version=$3 command=$4 new started=$SECONDS
  shift 4
  new=$work/$(basename "$name")
  rm -rf "$work/root"
  with_dots "$(printf '%-7s %-32s %-8s' "$count" "$name" "$version")" "$command" "$new" "$@"
  rm -f "$(stamp "$name")"
  mkdir -p "$(dirname "$programs/$name")"
  mv "$new" "$programs/$name"
  echo "$version" > "$(stamp "$name")"
  printf ' %d s, %s\n' $((SECONDS - started)) "$(du -h "$programs/$name" | cut -f1)"
}

programs=${ROMANA_KUBERNETES_PROGRAMS:-${XDG_CACHE_HOME:-$HOME/.cache}/romana/kubernetes}
e2e='' conformance=''
for word in "$@"; do
  case $word in
    e2e | conformance) printf -v "$word" yes ;;
    -*) usage ;;
    *) programs=$word ;;
  esac
done
[ $# -le 3 ] || usage
find_go || fail "needs Go 1.26 or newer in PATH, or in /usr/local/go, and there is none"
node=$here/../../node_modules/.bin/node
"$node" --version > /dev/null 2>&1 || fail "needs this project's Node, and it is not there: run scripts/setup.sh first"
if [ "$(id -u)" = 0 ]; then as_root=; else as_root=sudo; fi

mkdir -p "$programs/built"
programs=$(cd "$programs" && pwd)
work=$programs/work log=$programs/build.log
GO_WORK=$programs/go
debian_packages_wanted=yes job=
command -v flock > /dev/null || { debian_packages; debian_packages_wanted=; }
exec 9> "$programs/lock"
end_job() { if [ -n "$job" ]; then kill -- "-$job" 2>/dev/null || true; fi; }
trap end_job EXIT
trap 'echo; exit 130' INT
trap 'echo; exit 143' TERM HUP
if ! flock -n 9; then
  say "waits for another build into $programs"
  in_background flock 9
  wait "$job"
  job=
fi
trap 'end_job; rm -rf "$work"' EXIT
rm -rf "$work"
mkdir "$work"

if [ -n "$debian_packages_wanted" ]; then debian_packages; fi
missing=()
while read -r name version command; do
  is_there "$name" "$version" || missing+=("$name $version $command")
done < <(items)
if [ ${#missing[@]} = 0 ]; then
  say "all is there in $programs"
  exit
fi
say "${#missing[@]} items into $programs; all of them take about 10 minutes on 2 cores and 8 GB of disk, Go's caches included"
for at in "${!missing[@]}"; do
  # shellcheck disable=SC2086 # words without spaces
  build_item "$((at + 1))/${#missing[@]}" ${missing[at]}
done
say "all is in $programs after $SECONDS s"
