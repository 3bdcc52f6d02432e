#!/usr/bin/env python3
"""A client in Python: gRPC over mutual TLS and with signed tokens, against the real server.

It appends as one identity, reads back as another, checks inclusion with hashlib alone, and asks a search. The code for the
messages is generated from the proto files at run time.

    python3 tests/python/client.py PATH/TO/graven
"""

import base64
import datetime
import hashlib
import importlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import uuid

# A refused handshake is expected here.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

try:
    import grpc
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from grpc_tools import protoc
except ImportError as missing:
    print(f"SKIPPED: {missing}; pip install grpcio grpcio-tools cryptography")
    sys.exit(0)

ROOT = pathlib.Path(__file__).resolve().parents[2]
WRITER = "spiffe://corp.example/loader"
ISSUER, AUDIENCE = "https://id.example.com", "graven"


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Authority:
    """A certificate authority, and certificates of it."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "an authority")])
        self.certificate = self._sign(self.name, self.key.public_key(), [
            (x509.BasicConstraints(ca=True, path_length=0), True),
        ])

    def _sign(self, subject, public_key, extensions):
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(hours=1))
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, alternative):
        """Certificate and key in PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "somebody")])
        usage = [x509.ExtendedKeyUsageOID.SERVER_AUTH, x509.ExtendedKeyUsageOID.CLIENT_AUTH]
        certificate = self._sign(subject, key.public_key(), [
            (x509.SubjectAlternativeName([alternative]), False),
            (x509.ExtendedKeyUsage(usage), False),
        ])
        return pem(certificate), key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


class Issuer:
    """Somebody who signs tokens with Ed25519."""

    def __init__(self):
        self.key = ed25519.Ed25519PrivateKey.generate()

    def key_set(self):
        raw = self.key.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw
        )
        key = {"kty": "OKP", "crv": "Ed25519", "kid": "one", "alg": "EdDSA", "x": b64url(raw)}
        return json.dumps({"keys": [key]})

    def token(self, subject, seconds=300):
        header = {"alg": "EdDSA", "kid": "one", "typ": "JWT"}
        claims = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": subject,
            "exp": int(time.time()) + seconds, "jti": str(uuid.uuid4()),
        }
        signed = b64url(json.dumps(header).encode()) + "." + b64url(json.dumps(claims).encode())
        return signed + "." + b64url(self.key.sign(signed.encode()))


def generate(folder):
    """The generated modules of the proto files."""
    files = [str(path) for path in sorted((ROOT / "proto").rglob("*.proto"))]
    arguments = ["protoc", f"-I{ROOT / 'proto'}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    if protoc.main(arguments + files) != 0:
        raise SystemExit("the proto files were not taken")
    sys.path.insert(0, str(folder))
    names = ["event_pb2", "ledger_pb2", "ledger_pb2_grpc", "query_pb2", "query_pb2_grpc"]
    return [importlib.import_module(f"graven.v1.{name}") for name in names]


def leaf_hash(data):
    return hashlib.sha256(b"\0" + data).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def root_of(index, size, leaf, proof):
    """The root that an inclusion proof of RFC 6962 leads to, by RFC 9162 section 2.1.3.2."""
    first, last, found = index, size - 1, leaf
    for start in range(0, len(proof), 32):
        sibling = proof[start:start + 32]
        if last == 0:
            raise AssertionError("the proof is too long")
        if first % 2 == 1 or first == last:
            found = node_hash(sibling, found)
            while first % 2 == 0 and first != 0:
                first, last = first >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        first, last = first >> 1, last >> 1
    if last != 0:
        raise AssertionError("the proof is too short")
    return found


def root_of_run(first, leaves, size, proof):
    """The root that a receipt leads to: see "Order of a range proof" in docs/format.md."""
    hashes_left = [proof[start:start + 32] for start in range(0, len(proof), 32)]
    leaves = list(leaves)
    end = first + len(leaves)

    def subtree(start, width):
        if start + width <= first or end <= start:
            return hashes_left.pop(0)
        if width == 1:
            return leaves.pop(0)
        split = 1
        while split * 2 < width:
            split *= 2
        left = subtree(start, split)
        return node_hash(left, subtree(start + split, width - split))

    root = subtree(0, size)
    if hashes_left or leaves:
        raise AssertionError("not all of the proof was used up")
    return root


def checkpoint(note):
    """Origin, size and root of a checkpoint."""
    origin, size, root = note.split("\n")[:3]
    return origin, int(size), base64.b64decode(root)


def refused(code, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except grpc.RpcError as error:
        assert error.code() == code, (error.code(), error.details())
        return
    raise AssertionError(f"not refused with {code}")


def main(binary, folder):
    event_pb2, ledger_pb2, ledger_grpc, query_pb2, query_grpc = generate(folder / "..")
    authority, stranger, issuer = Authority(), Authority(), Issuer()
    files = {}
    server_pem = authority.issue(x509.DNSName("localhost"))
    writer_pem = authority.issue(x509.UniformResourceIdentifier(WRITER))
    contents = {
        "server.pem": server_pem[0], "server.key": server_pem[1], "ca.pem": pem(authority.certificate),
        "id.jwks.json": issuer.key_set().encode(),
        "policy.toml": (
            f'[[grant]]\nidentity = "{WRITER}"\nrole = "writer"\nsources = ["python"]\n'
            '[[grant]]\nidentity = "oidc:corp/reader"\nrole = "reader"\n'
        ).encode(),
    }
    for name, content in contents.items():
        files[name] = folder / name
        files[name].write_bytes(content)
        files[name].chmod(0o600)
    ledger = folder / "ledger"
    subprocess.run(
        [binary, "init", "--dir", ledger, "--origin", "ledger.example/python"],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    text = json.dumps
    config = folder / "graven.toml"
    config.write_text(
        f'dir = {text(str(ledger))}\nlisten = "127.0.0.1:0"\npolicy = {text(str(files["policy.toml"]))}\n'
        f'[tls]\ncertificate = {text(str(files["server.pem"]))}\nkey = {text(str(files["server.key"]))}\n'
        f'client_ca = {text(str(files["ca.pem"]))}\n'
        f'[[jwt]]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\n'
        f'keys = {text(str(files["id.jwks.json"]))}\nnamespace = "corp"\n'
    )
    server = subprocess.Popen([binary, "serve", "--config", config], stdout=subprocess.PIPE, text=True)
    try:
        address = server.stdout.readline().strip().rpartition("//")[2].replace("127.0.0.1", "localhost")

        def connect(certificate=None, key=None):
            credentials = grpc.ssl_channel_credentials(pem(authority.certificate), key, certificate)
            return grpc.secure_channel(address, credentials)

        by_certificate = ledger_grpc.LedgerServiceStub(connect(*writer_pem))
        nobody = connect()
        by_token, query = ledger_grpc.LedgerServiceStub(nobody), query_grpc.QueryServiceStub(nobody)
        bearer = [("authorization", f"Bearer {issuer.token('reader')}")]

        def event(number, source="python"):
            return event_pb2.Event(
                who=event_pb2.Who(actor="oidc:corp/alice", assurance=event_pb2.ASSURANCE_ASSERTED),
                what=event_pb2.What(action="file.update", targets=[event_pb2.Target(uri=f"fs://nfs1/{number}.py")]),
                context=event_pb2.Context(source=source, idempotency_id=f"python-{number}".encode()),
            )

        # Appends, over mutual TLS.
        answer = by_certificate.Append(ledger_pb2.AppendRequest(event=event(0)), timeout=20)
        batch = by_certificate.AppendBatch(
            ledger_pb2.AppendBatchRequest(events=[event(number) for number in range(1, 20)]), timeout=20
        )
        again = by_certificate.Append(ledger_pb2.AppendRequest(event=event(0)), timeout=20)
        assert again.duplicate and again.receipt.first_seq == answer.receipt.first_seq
        streamed = by_certificate.AppendStream(
            (ledger_pb2.AppendStreamRequest(event=event(number)) for number in range(20, 30)), timeout=20
        )
        assert sum(part.events for part in streamed) == 10

        # Who may not, does not.
        refused(grpc.StatusCode.PERMISSION_DENIED, by_certificate.Append,
                ledger_pb2.AppendRequest(event=event(0, "elsewhere")), timeout=20)
        refused(grpc.StatusCode.PERMISSION_DENIED, by_certificate.GetEntry,
                ledger_pb2.GetEntryRequest(seq=0), timeout=20)
        refused(grpc.StatusCode.PERMISSION_DENIED, by_token.Append,
                ledger_pb2.AppendRequest(event=event(0)), metadata=bearer, timeout=20)
        refused(grpc.StatusCode.UNAUTHENTICATED, by_token.GetEntry,
                ledger_pb2.GetEntryRequest(seq=0), timeout=20)
        for token in (issuer.token("reader", -300), Issuer().token("reader"), "x.y.z"):
            refused(grpc.StatusCode.UNAUTHENTICATED, by_token.GetEntry, ledger_pb2.GetEntryRequest(seq=0),
                    metadata=[("authorization", f"Bearer {token}")], timeout=20)
        wrong = ledger_grpc.LedgerServiceStub(
            connect(*stranger.issue(x509.UniformResourceIdentifier(WRITER)))
        )
        refused(grpc.StatusCode.UNAVAILABLE, wrong.Append, ledger_pb2.AppendRequest(event=event(0)), timeout=20)

        # Reads back, with a token, and checks inclusion.
        def read(seq):
            found = by_token.GetEntry(ledger_pb2.GetEntryRequest(seq=seq), metadata=bearer, timeout=20)
            origin, size, root = checkpoint(found.checkpoint)
            assert origin == "ledger.example/python"
            assert root_of(seq, size, leaf_hash(found.entry.header), found.proof) == root
            return found.entry

        first = batch.receipt.first_seq
        headers = []
        for number in range(1, 20):
            entry = read(first + number - 1)
            parts = {part.tag: part.disclosed.encoded for part in entry.parts}
            sent = event(number)
            assert parts[2] == sent.who.SerializeToString(deterministic=True)
            assert parts[3] == sent.what.SerializeToString(deterministic=True)
            assert parts[4] == sent.context.SerializeToString(deterministic=True)
            envelope = event_pb2.Envelope.FromString(parts[1])
            assert (envelope.submitter.issuer, envelope.submitter.subject) == ("mtls", WRITER)
            headers.append(entry.header)

        # The receipt of the batch leads to its signed root.
        _, size, root = checkpoint(batch.receipt.checkpoint)
        leaves = [leaf_hash(header) for header in headers]
        assert root_of_run(first, leaves, size, batch.receipt.proof) == root
        broken = [leaf_hash(headers[0] + b"!")] + leaves[1:]
        assert root_of_run(first, broken, size, batch.receipt.proof) != root

        # Asks.
        found, token = 0, ""
        while True:
            page = query.Search(query_pb2.SearchRequest(
                filter='action = "file.update" AND target = "fs://nfs1/1*"', page_size=5, page_token=token,
            ), metadata=bearer, timeout=20)
            found += len(page.entries)
            token = page.next_page_token
            if not token:
                break
        assert found == 11, found
    finally:
        server.terminate()
        server.wait(20)
    print("appended 30 events over mutual TLS, read 19 back with a signed token, checked their inclusion and a "
          "receipt with hashlib, searched")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    with tempfile.TemporaryDirectory() as made:
        inner = pathlib.Path(made) / "files"
        inner.mkdir()
        main(sys.argv[1], inner)
