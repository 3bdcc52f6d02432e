"""Makes `encrypted.key`, a signing key under a passphrase, from docs/format.md alone.

    python3 tests/vectors/encrypted_key.py

Argon2id and ChaCha20-Poly1305 are OpenSSL's, by way of `cryptography`. Key, passphrase and salt are fixed, and secret to
nobody.
"""

from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

NAME = "ledger.example/main"
SEED = bytes(range(32))
PASSPHRASE = "Grüße, correct horse battery staple".encode()
SALT = bytes(range(100, 116))
MEMORY, PASSES, LANES = 8192, 2, 3


def base64(value):
    return b64encode(value).decode()


def private_key():
    public = Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()
    key_id = sha256(NAME.encode() + b"\n\x01" + public).digest()[:4]
    return f"PRIVATE+KEY+{NAME}+{key_id.hex()}+{base64(bytes([1]) + SEED)}"


def main():
    head = (
        f"graven encrypted key v1\nname {NAME}\n"
        f"argon2id {MEMORY} {PASSES} {LANES}\nsalt {base64(SALT)}\n"
    )
    secret = Argon2id(
        salt=SALT, length=32, iterations=PASSES, lanes=LANES, memory_cost=MEMORY
    ).derive(PASSPHRASE)
    sealed = ChaCha20Poly1305(secret).encrypt(bytes(12), private_key().encode(), head.encode())
    text = f"{head}sealed {base64(sealed)}\n"
    (Path(__file__).parent / "encrypted.key").write_text(text)


main()
