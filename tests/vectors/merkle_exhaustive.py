#!/usr/bin/env python3
"""Every proof of every tree of up to 130 leaves, folded into one SHA-256 a kind.

Written from the recursive definitions of RFC 6962 section 2.1 and of
draft-ietf-plants-merkle-tree-certs, and sharing nothing with the Rust code whose
output `tests/suite/merkle_exhaustive.rs` compares with these digests.

The three subtree digests are the ones published in the draft's appendix "Subtree
Test Vectors" (also in transparency-dev/merkle, testonly/vectors_test.go).
Leaf i is the single byte i. Standard library only; takes a few seconds.
"""

from functools import cache
from hashlib import sha256

LARGEST = 130


def split(n):
    """The largest power of two smaller than n."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


@cache
def root(low, high):
    if low == high:
        return sha256(b"").digest()
    if high - low == 1:
        return sha256(b"\x00" + bytes([low])).digest()
    k = split(high - low)
    return sha256(b"\x01" + root(low, low + k) + root(low + k, high)).digest()


def inclusion(m, low, high):
    """PATH(m, D[low:high]); m counts from low."""
    if high - low == 1:
        return []
    k = split(high - low)
    if m < k:
        return inclusion(m, low, low + k) + [root(low + k, high)]
    return inclusion(m - k, low + k, high) + [root(low, low + k)]


def subproof(start, end, low, high, known):
    """SUBTREE_SUBPROOF(start, end, D[low:high], known); start and end count from low."""
    n = high - low
    if start == 0 and end == n:
        return [] if known else [root(low, high)]
    k = split(n)
    if end <= k:
        return subproof(start, end, low, low + k, known) + [root(low + k, high)]
    if k <= start:
        return subproof(start - k, end - k, low + k, high, known) + [root(low, low + k)]
    assert start == 0
    return subproof(0, end - k, low + k, high, False) + [root(low, low + k)]


def consistency(m, low, high, known=True):
    """SUBPROOF(m, D[low:high], known) of RFC 6962, apart from the draft's form on purpose."""
    n = high - low
    if m == n:
        return [] if known else [root(low, high)]
    k = split(n)
    if m <= k:
        return consistency(m, low, low + k, known) + [root(low + k, high)]
    return consistency(m - k, low + k, high, False) + [root(low, low + k)]


def outside(first, end, low, high):
    """Roots of the largest nodes with no leaf of [first, end), left to right."""
    if high <= first or low >= end:
        return [root(low, high)]
    if high - low == 1:
        return []
    middle = low + split(high - low)
    return outside(first, end, low, middle) + outside(first, end, middle, high)


def bit_ceil(n):
    k = 1
    while k < n:
        k *= 2
    return k


def is_subtree(start, end):
    return start == 0 or start == end or start % bit_ceil(end - start) == 0


def lines_roots():
    for n in range(LARGEST + 1):
        yield f"{n}", [root(0, n)]


def lines_inclusion():
    for n in range(LARGEST + 1):
        for i in range(n):
            yield f"{i} {n}", inclusion(i, 0, n)


def lines_consistency():
    for n in range(LARGEST + 1):
        for m in range(1, n + 1):
            yield f"{m} {n}", consistency(m, 0, n)


def lines_range():
    for n in range(LARGEST // 2 + 1):
        for end in range(n + 1):
            for first in range(end):
                yield f"[{first}, {end}) {n}", outside(first, end, 0, n)


def subtrees():
    for end in range(LARGEST + 1):
        for start in range(end + 1):
            if is_subtree(start, end):
                yield start, end


def lines_subtree_root():
    for start, end in subtrees():
        yield f"[{start}, {end})", [root(start, end)]


def lines_subtree_inclusion():
    for start, end in subtrees():
        for i in range(start, end):
            yield f"{i} [{start}, {end})", inclusion(i - start, start, end)


def lines_subtree_consistency():
    for n in range(LARGEST + 1):
        for start, end in subtrees():
            if end <= n:
                proof = [] if start == end else subproof(start, end, 0, n, True)
                yield f"[{start}, {end}) {n}", proof


for name, make in list(globals().items()):
    if name.startswith("lines_"):
        rolling = sha256()
        for prefix, hashes in make():
            rolling.update((" ".join([prefix] + [h.hex() for h in hashes]) + "\n").encode())
        print(f"{name.removeprefix('lines_'):20} {rolling.hexdigest()}")
