#!/usr/bin/env bash
# Checks licences, bans, sources and advisories of all dependencies, as deny.toml says.
set -euo pipefail

version=0.20.2
cache=${CARGO_TARGET_DIR:-$HOME/.cache/graven/target}
tools=$(dirname "$cache")/cargo-deny-$version
deny=$tools/bin/cargo-deny

if [ ! -x "$deny" ]; then
    echo "installing cargo-deny $version into $tools" >&2
    cargo install --locked --quiet "cargo-deny@$version" --root "$tools" --target-dir "$tools/target" || {
        echo "cargo-deny $version could not be installed, so dependencies were not checked" >&2
        exit 1
    }
    rm -rf "$tools/target"
fi

"$deny" --locked --log-level error check bans licenses sources
if "$deny" --log-level off fetch db >/dev/null 2>&1; then
    "$deny" --locked check advisories
else
    echo "ADVISORIES NOT CHECKED: https://github.com/RustSec/advisory-db could not be reached" >&2
fi
