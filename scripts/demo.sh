#!/bin/sh
# npm run demo: set-up, a cluster, the founding page's demo, and away again. Arguments: --keep leaves the cluster up;
# all others go to `romana demo`.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh
if [ "$(id -u)" = 0 ]; then as_root=env; else as_root="sudo env"; fi
exec $as_root node_modules/.bin/node --disable-warning=ExperimentalWarning src/bin/demo-run.ts "$@"
