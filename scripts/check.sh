#!/bin/sh
# npm run check: types, lint, format, unused code. Needs no root.
set -eu
cd "$(dirname "$0")/.."
PATH=$PWD/node_modules/.bin:$PATH
tsc --noEmit -p .
oxlint --type-aware
oxfmt --check .
knip
sh -n bin/romana
for script in scripts/kubernetes/build.sh scripts/kubernetes/images.sh; do bash -n "$script"; done
for script in scripts/*.sh scripts/kubernetes/go.sh image/*.sh launcher/*.sh src/local/*.sh src/local/runtime/*.sh; do sh -n "$script"; done
echo 'check: types, lint, format and unused code are fine'
