#!/bin/sh
# npm run bench: set-up, then everything that is measured, as ratios against named peers in one run. Arguments go to
# bench/run.ts: --json FILE, --rounds N, --ups N.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh
# As who calls, so that no file of the cache is root's.
sh scripts/cni-plugins.sh "$PWD/.cache" >/dev/null
sh scripts/cni-plugins-go.sh "$PWD/.cache" >/dev/null
if [ "$(id -u)" = 0 ]; then as_root=env; else as_root="sudo env"; fi
exec $as_root PATH="$PWD/node_modules/.bin:$PATH" node --disable-warning=ExperimentalWarning bench/run.ts "$@"
