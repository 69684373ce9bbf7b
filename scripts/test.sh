#!/bin/sh
# npm test: set-up, then every test of the main tier. Arguments are test files instead of all of them.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh
if [ "$(id -u)" = 0 ]; then as_root=env; else as_root="sudo env"; fi
if [ $# = 0 ]; then
  set -- 'src/**/*.test.ts' 'launcher/**/*.test.ts' 'test/*.test.ts' 'test/packets/**/*.test.ts' 'test/local/**/*.test.ts'
fi
exec $as_root PATH="$PWD/node_modules/.bin:$PATH" node_modules/.bin/node --disable-warning=ExperimentalWarning --test --test-concurrency=2 "$@"
