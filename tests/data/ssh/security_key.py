"""Makes `security_key.*` as a security key would, from PROTOCOL.sshsig and PROTOCOL.u2f of OpenSSH alone.

The key is drawn, used twice and forgotten. `ssh-keygen -Y check-novalidate` has to accept what it signed:

    ssh-keygen -Y check-novalidate -n graven -s security_key.sig <message
"""

import base64
import hashlib
import struct
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

HERE = Path(__file__).parent
TYPE = b"sk-ssh-ed25519@openssh.com"
APPLICATION = b"ssh:"


def string(value):
    return struct.pack(">I", len(value)) + value


def sha256(value):
    return hashlib.sha256(value).digest()


key = Ed25519PrivateKey.generate()
raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
public = string(TYPE) + string(raw) + string(APPLICATION)
line = f"{TYPE.decode()} {base64.b64encode(public).decode()} alice@laptop\n"
(HERE / "security_key.pub").write_text(line)

message = (HERE / "message").read_bytes()
digest = hashlib.sha512(message).digest()
head = string(b"graven") + string(b"") + string(b"sha512")
signed = b"SSHSIG" + head + string(digest)
for name, flags in [("security_key", 1), ("untouched", 0)]:
    beside = struct.pack(">BI", flags, 7)
    signature = key.sign(sha256(APPLICATION) + beside + sha256(signed))
    blob = string(TYPE) + string(signature) + beside
    whole = b"SSHSIG" + struct.pack(">I", 1) + string(public) + head + string(blob)
    text = base64.b64encode(whole).decode()
    lines = [text[at : at + 70] for at in range(0, len(text), 70)]
    armour = ["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""]
    (HERE / f"{name}.sig").write_text("\n".join(armour))
