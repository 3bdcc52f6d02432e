#!/usr/bin/env python3
"""The signed texts that `tests/suite/note_golden.rs` pins, made without the Rust code.

Needs the `cryptography` package for Ed25519.
"""

from base64 import b64encode
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class Key:
    def __init__(self, name, kind, seed):
        self.name, self.kind, self.seed = name, kind, seed
        self.private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self.private.public_key().public_bytes_raw()
        self.id = sha256(name.encode() + b"\n" + bytes([kind]) + self.public).digest()[:4]

    def vkey(self):
        material = b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{material}"

    def skey(self):
        material = b64encode(bytes([self.kind]) + self.seed).decode()
        return f"PRIVATE+KEY+{self.name}+{self.id.hex()}+{material}"

    def line(self, signature):
        return f"— {self.name} {b64encode(self.id + signature).decode()}\n"

    def sign(self, text):
        return self.line(self.private.sign(text.encode()))

    def cosign(self, text, time):
        message = f"cosignature/v1\ntime {time}\n{text}".encode()
        return self.line(time.to_bytes(8, "big") + self.private.sign(message))


ORIGIN = "ledger.example/main"
LOG = Key(ORIGIN, 1, bytes(range(32)))
NEXT = Key(ORIGIN, 1, bytes(range(64, 96)))
WITNESS = Key("witness.example/w1", 4, bytes(range(32, 64)))
EMPTY = sha256(b"").digest()
ROOT = sha256(b"\x00leaf").digest()


def checkpoint(size, root):
    return f"{ORIGIN}\n{size}\n{b64encode(root).decode()}\n"


ROTATION = (
    f"graven key rotation v1\n{ORIGIN}\nsize 1\nroot {b64encode(ROOT).decode()}\n"
    f"from {LOG.vkey()}\nto {NEXT.vkey()}\n"
)

if __name__ == "__main__":
    for key in (LOG, NEXT, WITNESS):
        print(key.vkey(), key.skey(), sep="\n", end="\n\n")
    empty, one = checkpoint(0, EMPTY), checkpoint(1, ROOT)
    print(empty + "\n" + LOG.sign(empty))
    signed = one + "\n" + LOG.sign(one) + WITNESS.cosign(one, 1_700_000_000)
    print(signed)
    print(f"c2sp.org/tlog-proof@v1\nextra {b64encode(b'extra').decode()}\nindex 0\n\n{signed}")
    print(ROTATION + "\n" + LOG.sign(ROTATION) + NEXT.sign(ROTATION), end="")
