#!/bin/sh
# npm test: set-up, then every test of the main tier. `long` is the tier of long runs, `image` the one that makes
# Romana's image, `kubectl` the one with a real kubectl, `plugins` the one with the newest standard CNI plugins,
# `kubernetes` the one on a real Kubernetes; the last three end at once where there is no kubectl, no Go to build the
# plugins, neither Go nor Kubernetes' programs. Other arguments are test files. LONG_STEPS shortens the long random walk,
# and LONG_SEED plays one that failed again; KUBERNETES_PART=0, 1 or 2 takes a third of what is long on a real Kubernetes.
set -eu
cd "$(dirname "$0")/.."
if [ "${1-}" = kubectl ] && ! command -v kubectl > /dev/null; then
  echo 'test:kubectl did not run: no kubectl in PATH; docs/kubernetes.md says where to get one' >&2
  exit 0
fi
programs=${ROMANA_KUBERNETES_PROGRAMS:-${XDG_CACHE_HOME:-$HOME/.cache}/romana/kubernetes}
if [ "${1-}" = kubernetes ] && [ ! -x "$programs/bin/kube-apiserver" ] && ! command -v go > /dev/null; then
  echo "test:kubernetes did not run: neither Kubernetes' programs in $programs nor Go in PATH to build them" >&2
  exit 0
fi
sh scripts/setup.sh
[ "${1-}" != kubernetes ] || ! command -v go > /dev/null || sh scripts/kubernetes/build.sh "$programs" e2e conformance
# For tests of chains: the newest of them, where there is Go.
[ -n "${1-}" ] || sh scripts/cni-plugins-go.sh "$PWD/.cache" > /dev/null
# The part that runs a file which takes long, so that all take about as long; what is not named here is in each part.
part_of() { # FILE
  case $(basename "$1" .test.ts) in
    upstream-others | upstream-policies) echo 0 ;;
    upstream-cluster-policies | faults | traffic-none) echo 1 ;;
    away | nodes | check | walk-through | install | up-down | traffic-nftables | single-stack | upstream-conformance) echo 2 ;;
  esac
}
kubernetes_files() { # [PART]
  for file in test/kubernetes/*.test.ts; do
    part=$(part_of "$file")
    [ -z "${1-}" ] || [ -z "$part" ] || [ "$part" = "$1" ] || continue
    echo "$file"
  done
}
if [ "$(id -u)" = 0 ]; then as_root=env; else as_root="sudo env"; fi
case ${1-} in
  '') set -- 'src/**/*.test.ts' 'launcher/*.test.ts' 'scripts/kubernetes/*.test.ts' 'bench/*.test.ts' 'test/*.test.ts' 'test/support/*.test.ts' 'test/fuzz/*.test.ts' 'test/policy-cases/*.test.ts' 'test/packets/*.test.ts' 'test/local/*.test.ts' ;;
  long) set -- 'test/long/*.test.ts' ;;
  kubectl) set -- 'test/kubectl/*.test.ts' ;;
  image) set -- 'test/image/*.test.ts' ;;
  plugins) set -- 'test/plugins/*.test.ts' ;;
  kubernetes) set -- $(kubernetes_files "${KUBERNETES_PART-}") ;;
esac
exec $as_root PATH="$PWD/node_modules/.bin:$PATH" ROMANA_KUBERNETES_PROGRAMS="$programs" LONG_STEPS="${LONG_STEPS-}" LONG_SEED="${LONG_SEED-}" node --disable-warning=ExperimentalWarning --test --test-concurrency=2 "$@"
