#!/usr/bin/env bash
# Makes sure that this machine can compile Graven: rustc that is new enough, a C++ compiler for RocksDB, and libclang,
# with the headers that belong to it, for RocksDB's bindings. Otherwise says what to type.
set -euo pipefail
here=${BASH_SOURCE[0]%/*}

missing=()
for tool in cargo rustc gcc g++ git; do
    command -v "$tool" >/dev/null || missing+=("$tool")
done
rust='install Rust from https://rustup.rs (it needs curl), and open a new shell'
if [ ${#missing[@]} != 0 ]; then
    echo "missing: ${missing[*]}" >&2
    case " ${missing[*]} " in *' gcc '* | *' g++ '* | *' git '*)
        echo "on Debian:  sudo apt-get install -y build-essential git" >&2 ;;
    esac
    case " ${missing[*]} " in *' cargo '* | *' rustc '*)
        # Debian's own may be too old.
        echo "$rust" >&2 ;;
    esac
    exit 1
fi

# The distribution's rustc is often older than what the manifest asks for, and cargo then complains of something else.
[[ $(<"$here/../Cargo.toml") =~ rust-version\ =\ \"1\.([0-9]+) ]] && needed=${BASH_REMATCH[1]}
if [[ $(rustc --version) =~ ^rustc\ 1\.([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -lt "${needed:-0}" ]; then
    echo "rustc 1.${BASH_REMATCH[1]} is too old, 1.$needed or newer is needed: $rust" >&2
    exit 1
fi

# Whether there is libclang where the build looks for it.
has_libclang() {
    local dir
    # Whoever points to a directory vouches for it.
    for dir in "${LIBCLANG_PATH:-/nonexistent}" /usr/lib/llvm-*/lib /usr/lib64 /usr/lib /usr/lib/*-linux-gnu /usr/local/lib; do
        # Not libclang-cpp, which is another library.
        compgen -G "$dir/libclang.so*" >/dev/null && return 0
        compgen -G "$dir/libclang-[0-9]*.so*" >/dev/null && return 0
    done
    return 1
}

# The library alone, as some programs pull it in, reads no header that includes stddef.h.
has_clang_headers() {
    local dir
    [ -n "${LIBCLANG_PATH:-}" ] && return 0
    for dir in /usr/lib/llvm-*/lib/clang /usr/lib64/clang /usr/lib/clang /usr/local/lib/clang; do
        compgen -G "$dir/*/include/stddef.h" >/dev/null && return 0
    done
    return 1
}

is_ready() {
    has_libclang && has_clang_headers
}

is_ready && exit 0

install='apt-get update && apt-get install -y libclang-dev'
if command -v apt-get >/dev/null; then
    echo "libclang or its headers are missing, installing libclang-dev" >&2
    if [ "$(id -u)" = 0 ]; then
        apt-get update -qq >&2 && apt-get install -y -qq libclang-dev >&2
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo -n apt-get update -qq >&2 && sudo -n apt-get install -y -qq libclang-dev >&2
    fi
    is_ready && exit 0
    echo "libclang or its headers are missing. Type this and run again:  sudo sh -c '$install'" >&2
else
    echo "libclang or its headers are missing. Install them (clang-devel, llvm-dev, …), or point LIBCLANG_PATH to the library's directory, and run again." >&2
fi
exit 1
