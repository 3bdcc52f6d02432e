#!/usr/bin/env bash
# Makes sure that this machine can compile RocksDB's bindings: that takes libclang, besides rustc, cargo, gcc, g++.
set -euo pipefail

for tool in rustc cargo gcc g++ git; do
    command -v "$tool" >/dev/null || {
        echo "missing: $tool. Install it and run this again." >&2
        exit 1
    }
done

has_libclang() {
    local candidates=("${LIBCLANG_PATH:-/nonexistent}" /usr/lib/llvm-*/lib /usr/lib64 /usr/lib)
    local dir
    for dir in "${candidates[@]}"; do
        # Not libclang-cpp, which is another library.
        compgen -G "$dir/libclang.so*" >/dev/null && return 0
        compgen -G "$dir/libclang-[0-9]*.so*" >/dev/null && return 0
    done
    # ldconfig is in a directory that is not on every user's path.
    PATH="$PATH:/usr/sbin:/sbin" ldconfig -p 2>/dev/null | grep -q 'libclang[-.0-9]*\.so'
}

has_libclang && exit 0

install='apt-get update && apt-get install -y libclang-dev'
if command -v apt-get >/dev/null; then
    echo "libclang is missing, installing libclang-dev" >&2
    if [ "$(id -u)" = 0 ]; then
        apt-get update -qq >&2 && apt-get install -y -qq libclang-dev >&2
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo -n apt-get update -qq >&2 && sudo -n apt-get install -y -qq libclang-dev >&2
    fi
    has_libclang && exit 0
    echo "libclang is missing. Type this and run again:  sudo sh -c '$install'" >&2
else
    echo "libclang is missing. Install it, or point LIBCLANG_PATH to its directory, and run again." >&2
fi
exit 1
