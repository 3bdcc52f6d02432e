#!/usr/bin/env python3
"""Makes `golden.json` without a line of the Rust code, from docs/format.md and the proto files alone.

Encodings are those of the official protobuf library, BLAKE3 and Ed25519 those of other
implementations, the tree is RFC 6962's definition written down. How the check is made:

    python3 -m venv /tmp/golden && /tmp/golden/bin/pip install blake3 cryptography grpcio-tools
    /tmp/golden/bin/python tests/vectors/golden.py | diff - tests/vectors/golden.json && echo same

The values of the events stand here and in `tests/suite/golden_events.rs`.
"""

import importlib
import json
import sys
import tempfile
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from grpc_tools import protoc

PROTO = Path(__file__).resolve().parents[2] / "proto"
ORIGIN = "ledger.example/main"
NOON = 1_767_323_045_000_000_006
TAGS = {"envelope": 1, "who": 2, "what": 3, "context": 4, "why": 5, "detail": 6}


def load_messages():
    out = tempfile.mkdtemp()
    files = [str(path) for path in sorted((PROTO / "graven/v1").glob("*.proto"))]
    assert protoc.main(["", f"-I{PROTO}", f"--python_out={out}", *files]) == 0
    sys.path.insert(0, out)
    return [importlib.import_module(f"graven.v1.{name}_pb2") for name in ("event", "genesis", "ledger")]


EVENT, GENESIS, LEDGER = load_messages()


def b64(data):
    return b64encode(data).decode()


def derive_key(context, data):
    return blake3(data, derive_key_context=context)


# --- signed notes -------------------------------------------------------------------------------


class Key:
    def __init__(self, name, first):
        self.name = name
        self.private = Ed25519PrivateKey.from_private_bytes(bytes((first + i) % 256 for i in range(32)))
        self.public = self.private.public_key().public_bytes_raw()
        self.id = sha256(name.encode() + b"\n\x01" + self.public).digest()[:4]

    def __str__(self):
        return f"{self.name}+{self.id.hex()}+{b64(bytes([1]) + self.public)}"

    def line(self, text):
        return f"— {self.name} {b64(self.id + self.private.sign(text.encode()))}\n"

    def note(self, text):
        return text + "\n" + self.line(text)


FIRST, NEXT = Key(ORIGIN, 0), Key(ORIGIN, 64)
ACTOR = Ed25519PrivateKey.from_private_bytes(bytes([0xA7]) * 32)


# --- RFC 6962 -----------------------------------------------------------------------------------


def leaf_hash(leaf):
    return sha256(b"\0" + leaf).digest()


def split(size):
    k = 1
    while k * 2 < size:
        k *= 2
    return k


def root(leaves):
    if len(leaves) <= 1:
        return leaves[0] if leaves else sha256().digest()
    k = split(len(leaves))
    return sha256(b"\1" + root(leaves[:k]) + root(leaves[k:])).digest()


def path(m, leaves):
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return path(m, leaves[:k]) + [root(leaves[k:])]
    return path(m - k, leaves[k:]) + [root(leaves[:k])]


def outside(first, end, leaves, low=0):
    """Roots of the largest subtrees without a leaf of [first, end), left to right."""
    high = low + len(leaves)
    if high <= first or low >= end:
        return [root(leaves)]
    if first <= low and high <= end:
        return []
    k = split(len(leaves))
    return outside(first, end, leaves[:k], low) + outside(first, end, leaves[k:], low + k)


# --- entries ------------------------------------------------------------------------------------


def salts(seed):
    stream = derive_key("graven v1 salt", seed).digest(length=192)
    return {name: stream[32 * (tag - 1) : 32 * tag] for name, tag in TAGS.items()}


def commitment(salt, part):
    return blake3(part, key=salt).digest()


class Entry:
    def __init__(self, ledger, kind, seed, envelope, parts, flag, recorded_at):
        self.kind, self.seed, self.flag, self.recorded_at = kind, seed, flag, recorded_at
        self.parts = {"envelope": envelope.SerializeToString()} | parts
        self.salts = salts(seed)
        self.commitments = {n: commitment(self.salts[n], p) for n, p in self.parts.items()}
        listed = b"".join(bytes([TAGS[n]]) + c for n, c in self.commitments.items())
        self.body_hash = derive_key("graven v1 body", listed).digest()
        self.seq = len(ledger.entries)
        self.prev = ledger.entries[-1].chain_hash if ledger.entries else ledger.genesis_hash
        self.header = (
            bytes([1, kind, flag])
            + self.seq.to_bytes(8, "big")
            + recorded_at.to_bytes(8, "big")
            + self.body_hash
            + self.prev
        )
        assert len(self.header) == 83
        self.chain_hash = derive_key("graven v1 chain", self.header).digest()
        self.leaf_hash = leaf_hash(self.header)

    def section(self):
        section = {
            "seed": self.seed.hex(),
            "header": self.header.hex(),
            "body_hash": self.body_hash.hex(),
            "chain_hash": self.chain_hash.hex(),
            "leaf_hash": self.leaf_hash.hex(),
        }
        for name, part in self.parts.items():
            section[f"{name} salt"] = self.salts[name].hex()
            section[f"{name} commitment"] = self.commitments[name].hex()
            section[f"{name} encoded"] = part.hex()
        if self.flag:
            message, signature = signed(self.parts, self.salts)
            section["actor signature message"] = message.hex()
            section["actor signature"] = signature.hex()
        return section


def signed(parts, salts):
    message = b"graven v1 actor signature\n" + len(ORIGIN).to_bytes(2, "big") + ORIGIN.encode()
    for name, part in parts.items():
        if name != "envelope":
            message += bytes([TAGS[name]]) + commitment(salts[name], part)
    return message, ACTOR.sign(message)


def genesis(key, ledger_id, created_at, predecessor=None):
    return GENESIS.Genesis(
        origin=key.name,
        verifier_key=str(key),
        ledger_id=ledger_id,
        created_at=created_at,
        format_version=1,
        index_version=1,
        index_spans=[1024 * 16**level for level in range(5)],
        predecessor=predecessor,
    ).SerializeToString()


def parts_of(event):
    """The bytes of the parts, taken out of the event's encoding by the official library."""
    names = [name for name in TAGS if name != "envelope" and event.HasField(name)]
    return {name: getattr(event, name).SerializeToString() for name in names}


class Ledger:
    def __init__(self):
        self.key = FIRST
        self.genesis = genesis(FIRST, bytes([0x1D]) * 32, NOON - 1)
        self.genesis_hash = derive_key("graven v1 genesis", self.genesis).digest()
        self.entries, self.clock = [], NOON

    def leaves(self):
        return [entry.leaf_hash for entry in self.entries]

    def seal(self, kind, number, envelope, parts, flag=0):
        self.seal_seeded(kind, bytes([number]) * 32, envelope, parts, flag)

    def seal_seeded(self, kind, seed, envelope, parts, flag=0):
        entry = Entry(self, kind, seed, envelope, parts, flag, self.clock)
        self.entries.append(entry)
        self.clock += 1000

    def append(self, number, event, sign=False):
        parts = parts_of(event)
        actor_signature = None
        if sign:
            seed = bytes([number]) * 32
            _, signature = signed(parts, salts(seed))
            public_key = ACTOR.public_key().public_bytes_raw()
            actor_signature = EVENT.ActorSignature(
                public_key=public_key, signature=signature
            )
        envelope = EVENT.Envelope(
            submitter=EVENT.Submitter(issuer="token", subject="oidc:corp/alice"),
            authentication=EVENT.AUTHENTICATION_TOKEN,
            credential="alice-laptop",
            peer="192.0.2.7:50123",
            mapper=EVENT.Mapper(name="graven import git", version="1"),
            actor_signature=actor_signature,
        )
        self.seal(1, number, envelope, parts, int(sign))

    def act(self, kind, number, action, **act):
        identity = f"graven:{ORIGIN}"
        envelope = EVENT.Envelope(
            submitter=EVENT.Submitter(issuer="ledger", subject=identity),
            authentication=EVENT.AUTHENTICATION_LEDGER,
        )
        what = EVENT.What(
            action=action, outcome=EVENT.OUTCOME_SUCCESS, act=EVENT.LedgerAct(**act)
        )
        event = EVENT.Event(what=what, context=EVENT.Context(source=identity))
        self.seal(kind, number, envelope, parts_of(event))

    def checkpoint(self):
        return self.key.note(f"{ORIGIN}\n{len(self.entries)}\n{b64(root(self.leaves()))}\n")

    def receipt(self, first, end):
        entries = self.entries[first:end]
        envelopes = [entry.parts["envelope"] for entry in entries]
        return LEDGER.Receipt(
            first_seq=first,
            recorded_at=entries[0].recorded_at,
            previous=entries[0].prev,
            envelopes=envelopes[:1] if len(set(envelopes)) == 1 else envelopes,
            seeds=b"".join(entry.seed for entry in entries),
            proof=b"".join(outside(first, end, self.leaves())),
            checkpoint=self.checkpoint(),
        ).SerializeToString()

    def proof(self, seq):
        hashes = "".join(b64(sibling) + "\n" for sibling in path(seq, self.leaves()))
        return f"c2sp.org/tlog-proof@v1\nindex {seq}\n{hashes}\n{self.checkpoint()}"

    def evidence(self, seq, withheld=(), erased=()):
        entry, parts = self.entries[seq], []
        for name, part in entry.parts.items():
            commitment = b64(entry.commitments[name])
            if name in withheld:
                parts.append({"part": name, "withheld": commitment})
            elif name in erased:
                parts.append({"part": name, "erased": commitment})
            else:
                parts.append({"part": name, "encoded": b64(part), "salt": b64(entry.salts[name])})
        evidence = {
            "format": "graven evidence v1",
            "origin": ORIGIN,
            "verifier_key": str(self.key),
            "genesis": {"descriptor": b64(self.genesis), "hash": self.genesis_hash.hex()},
            "entry": {"header": entry.header.hex(), "parts": parts, "proof": self.proof(seq)},
            "first_entry": {"header": self.entries[0].header.hex(), "proof": self.proof(0)},
        }
        return json.dumps(evidence, indent=2, ensure_ascii=False) + "\n"


# --- the events of golden_events.rs -------------------------------------------------------------


def minimal(number):
    return EVENT.Event(
        what=EVENT.What(
            action="file.update",
            targets=[EVENT.Target(uri=f"file://a100-17/etc/motd.{number}")],
        ),
        context=EVENT.Context(source="host:a100-17"),
    )


def full():
    return EVENT.Event(
        who=EVENT.Who(
            actor="unix:a100/10432",
            assurance=EVENT.ASSURANCE_AUTHENTICATED,
            on_behalf_of=["oidc:corp/alice", "slurm:a100/alice"],
            session=EVENT.Session(
                id="c41", method="ssh", credential="SHA256:q0", terminal="pts/3"
            ),
            display_name="Alice Ångström",
        ),
        what=full_what(),
        context=EVENT.Context(
            source="host:a100-17",
            source_seq=0,
            source_id="audit:1767323045.000:81",
            occurred_at=-1,
            observed_at=1_767_323_044_999_999_999,
            host="a100-17",
            process=EVENT.Process(
                pid=4_194_304,
                executable="/usr/bin/python3.12",
                container="c0ffee",
                addresses=["192.0.2.17", "2001:db8::17"],
                user_agent="torch/2.9",
            ),
            correlation_id="incident-3",
            causation_seq=0,
            idempotency_id=bytes(range(16)),
        ),
        why=EVENT.Why(
            reason="loss spikes since Tuesday — see chat",
            ticket="OPS-4711",
            review="https://review.example/1234",
            labels=[
                EVENT.Label(key="env", value="prod"),
                EVENT.Label(key="team", value="träning"),
            ],
        ),
        detail=EVENT.Detail(
            content=b'{"lines":3}',
            media_type="application/json",
            original=b"\x00\xff\x0a",
            original_media_type="application/octet-stream",
            truncated=True,
            original_digest="sha256:" + "0a" * 32,
        ),
    )


def full_what():
    return EVENT.What(
        action="checkpoint.overwrite",
        outcome=EVENT.OUTCOME_SUCCESS,
        outcome_code="0",
        targets=[
            EVENT.Target(
                uri="fs://a100/ckpt/run12/step_9000.pt",
                instance="66306:1181",
                before=EVENT.Version(
                    ids=["sha256:" + "1b" * 32, "git-sha1:" + "2c" * 20], size=13_958_643_712
                ),
                after=EVENT.Version(state=EVENT.VERSION_STATE_PENDING, size=0),
                owner="slurm:a100/bob",
                previous_uri="fs://a100/ckpt/run12/step_8999.pt",
                seen_as="/mnt/ckpt/run12/step_9000.pt",
                ref="refs/heads/main",
                format="pickle",
            ),
            EVENT.Target(uri="other:a thing"),
        ],
        run=EVENT.Run(
            namespace="a100",
            job="train/7b",
            id="run-44",
            parent_id="run-41",
            attempt=2,
            gpus=0,
            nodes=["a100-17", "a100-18"],
        ),
        inputs=[
            EVENT.Reference(
                uri="dataset://corp/pile",
                version=EVENT.Version(ids=["v3"]),
                evidence=EVENT.EVIDENCE_OBSERVED,
                role="data",
            )
        ],
        outputs=[
            EVENT.Reference(
                uri="s3://models/7b/step_9000",
                evidence=EVENT.EVIDENCE_DECLARED,
                role="checkpoint",
            )
        ],
        code=EVENT.Code(
            repository="git://git.example/train",
            commit="2c" * 20,
            path="train.py",
            dirty=True,
            image="oci://registry.example/train:latest",
        ),
        grantee="oidc:corp/mallory",
        permission="write",
        participants=["oidc:corp/alice", "oidc:corp/bob"],
    )


# --- the ledger of golden_formats.rs ------------------------------------------------------------


def text(value):
    return {"text": value}


def main():
    ledger, sections = Ledger(), {}
    ledger.append(10, minimal(0))
    time = ledger.clock
    for number, event, sign in [(11, full(), False), (12, minimal(2), True), (13, minimal(3), False)]:
        ledger.clock = time
        ledger.append(number, event, sign)
    ledger.act(
        2,
        14,
        "ledger.erase",
        erasure=EVENT.Erasure(
            seq=1, parts=[5, 6], requested_by="oidc:corp/privacy", ticket="GDPR-1"
        ),
    )
    levels = [(16, 0x51), (1, 0x52)]
    ledger.act(
        3,
        15,
        "ledger.seal",
        seal=EVENT.Seal(
            index_version=1,
            levels=[EVENT.SealLevel(segments=n, root=bytes([r]) * 32) for n, r in levels],
        ),
    )
    ledger.act(
        2,
        16,
        "ledger.adopt",
        adoption=EVENT.Adoption(
            size=6, root=root(ledger.leaves()), found="the anchor is missing"
        ),
    )
    sections["checkpoint of 7 entries"] = text(ledger.checkpoint())
    sections["receipt of entries 1 to 3"] = {"encoded": ledger.receipt(1, 4).hex()}
    before_rotation = ledger.checkpoint()

    statement = f"graven key rotation v1\n{ORIGIN}\nsize 7\nroot {b64(root(ledger.leaves()))}\n"
    statement += f"from {FIRST}\nto {NEXT}\n"
    note = FIRST.note(statement) + NEXT.line(statement)
    sections["key rotation statement"] = text(note)
    ledger.act(2, 17, "ledger.rotate", key_rotation=EVENT.KeyRotation(statement=note))
    ledger.key = NEXT
    ledger.append(18, minimal(8))

    sections["checkpoint of 9 entries"] = text(ledger.checkpoint())
    sections["receipt of entry 8"] = {"encoded": ledger.receipt(8, 9).hex()}
    sections["evidence of entry 2"] = text(ledger.evidence(2))
    partial = ledger.evidence(1, withheld=["who"], erased=["why", "detail"])
    sections["evidence of entry 1"] = text(partial)
    predecessor = GENESIS.Predecessor(origin=ORIGIN, checkpoint=before_rotation)
    successor = genesis(Key("ledger.example/next", 128), bytes([0x2D]) * 32, NOON, predecessor)
    for name, encoded in [("genesis", ledger.genesis), ("genesis with predecessor", successor)]:
        digest = derive_key("graven v1 genesis", encoded).hexdigest()
        sections[name] = {"encoded": encoded.hex(), "hash": digest}
    for entry in ledger.entries:
        sections[f"entry {entry.seq}"] = entry.section()
    print(json.dumps(sections, indent=2, sort_keys=True, ensure_ascii=False))


if __name__ == "__main__":
    main()
