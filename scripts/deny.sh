#!/usr/bin/env bash
# Checks licences, advisories, bans and sources of all dependencies, as deny.toml says.
set -euo pipefail

version=0.20.2
cache=${CARGO_TARGET_DIR:-$HOME/.cache/graven/target}
tools=$(dirname "$cache")/cargo-deny-$version

if [ ! -x "$tools/bin/cargo-deny" ]; then
    echo "installing cargo-deny $version into $tools" >&2
    cargo install --locked "cargo-deny@$version" --root "$tools" || {
        echo "cargo-deny $version could not be installed, so dependencies were not checked" >&2
        exit 1
    }
fi
"$tools/bin/cargo-deny" --locked check
