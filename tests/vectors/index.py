#!/usr/bin/env python3
"""Makes `index.json` without a line of the Rust code, from docs/format.md and the proto files alone.

The search index of a ledger of 1,027 entries: what each is found by, the segment that this comes to, the seal over it, and
a page of an answer with its proof. Then a segment that is merged from sixteen. How the check is made: as in `golden.py`,

    /tmp/golden/bin/python tests/vectors/index.py | diff - tests/vectors/index.json && echo same

The values of the events stand here and in `tests/suite/golden_index.rs`.
"""

import importlib
import json
from hashlib import sha256

from golden import (
    EVENT,
    LEDGER,
    NOON,
    TAGS,
    Ledger,
    derive_key,
    full,
    leaf_hash,
    outside,
    parts_of,
    path,
    root,
)

QUERY = importlib.import_module("graven.v1.query_pb2")
SPAN, LEAF_TERMS, INLINE, CHUNK = 1_024, 16, 64, 1_024
HOUR = 3_600_000_000_000


# --- what an entry is found by ------------------------------------------------------------------


def text(value):
    return [value.encode()[:512]] if value else []


def texts(values):
    return [term for value in values for term in text(value)]


def version(message, field):
    ids = getattr(message, field).ids if message.HasField(field) else []
    return [value.partition(":")[2].encode()[:16] if ":" in value else value.encode()[:16] for value in ids]


def number(message, field):
    return [getattr(message, field).to_bytes(8, "big")] if message.HasField(field) else []


def word(enumeration, prefix, value):
    return [enumeration.Name(value)[len(prefix) :].lower().encode()] if value else []


def values(kind, envelope, who, what, context):
    """For each tag of the table in format.md the values of the terms."""
    targets = what.targets
    foreign = who.actor and any(target.owner and target.owner != who.actor for target in targets)
    run, code, link = what.run, what.code, what.link
    return {
        1: [{1: b"event", 2: b"act", 3: b"seal"}[kind]],
        2: text(envelope.submitter.subject),
        3: word(EVENT.Authentication, "AUTHENTICATION_", envelope.authentication),
        4: text(who.actor),
        5: word(EVENT.Assurance, "ASSURANCE_", who.assurance),
        6: texts(who.on_behalf_of),
        7: text(who.session.id),
        8: text(what.action),
        9: word(EVENT.Outcome, "OUTCOME_", what.outcome),
        10: texts(target.uri for target in targets),
        11: texts(target.previous_uri for target in targets),
        12: texts(target.owner for target in targets),
        13: [b""] if foreign else [],
        14: [term for target in targets for term in version(target, "before")],
        15: [term for target in targets for term in version(target, "after")],
        16: texts(reference.uri for reference in what.inputs),
        17: texts(reference.uri for reference in what.outputs),
        18: [term for reference in what.inputs for term in version(reference, "version")],
        19: [term for reference in what.outputs for term in version(reference, "version")],
        20: text(run.id),
        21: text(run.parent_id),
        22: text(run.job),
        23: text(run.namespace),
        24: number(run, "gpus"),
        25: text(code.repository),
        26: text(code.commit),
        27: text(code.image),
        28: text(what.grantee),
        29: text(what.permission),
        30: texts(what.participants),
        31: text(context.source),
        32: text(context.host),
        33: text(context.correlation_id),
        34: number(context, "causation_seq"),
        35: hour(context),
        36: texts([link.to, getattr(link, "from")]),
    }


def hour(context):
    if not context.HasField("occurred_at"):
        return []
    return [((context.occurred_at // HOUR) % 2**64 ^ 1 << 63).to_bytes(8, "big")]


def terms(kind, parts):
    def read(message, name):
        message.ParseFromString(parts.get(name, b""))
        return message

    found = set()
    listed = values(
        kind,
        read(EVENT.Envelope(), "envelope"),
        read(EVENT.Who(), "who"),
        read(EVENT.What(), "what"),
        read(EVENT.Context(), "context"),
    )
    for tag, terms_of_tag in listed.items():
        for value in terms_of_tag:
            found |= {(tag, value), (0, tag.to_bytes(2, "big"))}
    return found


# --- segments -----------------------------------------------------------------------------------


def varint(value):
    encoded = b""
    while value >= 128:
        encoded += bytes([value & 127 | 128])
        value >>= 7
    return encoded + bytes([value])


def postings(offsets):
    encoded, before, at = b"", -1, 0
    while at < len(offsets):
        end = at + 1
        while end < len(offsets) and offsets[end] == offsets[end - 1] + 1:
            end += 1
        length = end - at
        encoded += varint((offsets[at] - before - 1) * 2 + (length > 1))
        if length > 1:
            encoded += varint(length - 2)
        before, at = offsets[end - 1], end
    return encoded


class Segment:
    """The segment of entries, each given by its terms."""

    def __init__(self, level, number, entries):
        self.level, self.number = level, number
        lists = {}
        for offset, found in enumerate(entries):
            for term in found:
                lists.setdefault(term, []).append(offset)
        self.terms = sorted(lists)
        self.chunks = {}
        encoded = [self.term(term, lists[term]) for term in self.terms]
        groups = [encoded[at : at + LEAF_TERMS] for at in range(0, len(encoded), LEAF_TERMS)]
        self.leaves = [bytes([0xFE, len(group)]) + b"".join(group) for group in groups]
        self.hashes = [leaf_hash(leaf) for leaf in self.leaves]
        self.root = root(self.hashes)
        self.record = (
            bytes([0xFD, level])
            + number.to_bytes(8, "big")
            + len(self.terms).to_bytes(8, "big")
            + self.root
        )
        assert len(self.record) == 50

    def term(self, term, offsets):
        tag, value = term
        encoded = tag.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value
        encoded += len(offsets).to_bytes(4, "big")
        chunks = [postings(offsets[at : at + CHUNK]) for at in range(0, len(offsets), CHUNK)]
        if len(offsets) < CHUNK and len(chunks[0]) <= INLINE:
            return encoded + bytes([len(chunks[0])]) + chunks[0]
        self.chunks[term] = [b"\xfc" + chunk for chunk in chunks]
        return encoded + b"\0" + root([leaf_hash(chunk) for chunk in self.chunks[term]])

    def section(self, term):
        """What the vectors have of it, with the chunks of a term."""
        return {
            "terms": str(len(self.terms)),
            "leaves": str(len(self.leaves)),
            "first leaf": self.leaves[0].hex(),
            "last leaf": self.leaves[-1].hex(),
            "all leaves, SHA-256": sha256(b"".join(self.leaves)).hexdigest(),
            "root": self.root.hex(),
            "record": self.record.hex(),
            "record hash": leaf_hash(self.record).hex(),
            "first chunk of a term": self.chunks[term][0].hex(),
            "root of its chunks": root([leaf_hash(chunk) for chunk in self.chunks[term]]).hex(),
        }


# --- the ledger of golden_index.rs --------------------------------------------------------------


def event(n):
    if n == 1:
        return full()
    run = EVENT.Run(id=f"run-{n // 10}", gpus=n % 3) if n % 2 else None
    return EVENT.Event(
        who=EVENT.Who(actor=f"unix:a100/{n % 7}", assurance=EVENT.ASSURANCE_INFERRED),
        what=EVENT.What(
            action="file.update",
            targets=[
                EVENT.Target(
                    uri=f"file://a100-17/data/{n}",
                    owner=f"unix:a100/{n % 2}",
                    after=EVENT.Version(ids=[f"sha256:{n:064x}"]),
                )
            ],
            run=run,
        ),
        context=EVENT.Context(source="host:a100-17", occurred_at=-HOUR - 1 + n * HOUR // 4),
    )


class Indexed(Ledger):
    def append(self, number, event):
        envelope = EVENT.Envelope(
            submitter=EVENT.Submitter(issuer="token", subject="oidc:corp/alice"),
            authentication=EVENT.AUTHENTICATION_TOKEN,
            credential="alice-laptop",
            peer="192.0.2.7:50123",
        )
        self.sealed(1, envelope, parts_of(event))

    def sealed(self, kind, envelope, parts):
        seed = derive_key("graven tests seed", len(self.entries).to_bytes(8, "big")).digest()
        self.seal_seeded(kind, seed, envelope, parts)

    def seal(self, kind, number, envelope, parts, flag=0):
        self.sealed(kind, envelope, parts)


def message(entry):
    return LEDGER.Entry(
        header=entry.header,
        parts=[
            LEDGER.Part(
                tag=TAGS[name],
                disclosed=LEDGER.DisclosedPart(encoded=part, salt=entry.salts[name]),
            )
            for name, part in entry.parts.items()
        ],
    )


def page(ledger, segment, term):
    """The whole answer to a comparison with a term that one entry of the segment has."""
    leaf = segment.terms.index(term) // LEAF_TERMS
    matching = [
        entry for entry in ledger.entries[:SPAN] if term in terms(entry.kind, entry.parts)
    ]
    assert len(matching) == 1 and term not in segment.chunks
    seq, size = matching[0].seq, len(ledger.entries)
    shown = [seq, *range(SPAN, size)]
    # A leaf reaches over the term when it is neither its first nor its last.
    assert segment.terms.index(term) % LEAF_TERMS not in (0, LEAF_TERMS - 1)
    leaves = ledger.leaves()
    return QUERY.SearchResponse(
        checkpoint=ledger.checkpoint(),
        size=size,
        start=0,
        end=size,
        entries=[message(ledger.entries[seq]) for seq in shown],
        proof=QUERY.SearchProof(
            seal=message(ledger.entries[SPAN]),
            seal_inclusion=b"".join(path(SPAN, leaves)),
            levels=[QUERY.LevelProof(level=0)],
            segments=[
                QUERY.SegmentProof(
                    terms=len(segment.terms),
                    root=segment.root,
                    ranges=[
                        QUERY.TermProof(
                            first_leaf=leaf,
                            leaves=[segment.leaves[leaf]],
                            hashes=b"".join(outside(leaf, leaf + 1, segment.hashes)),
                        )
                    ],
                )
            ],
            runs=[
                QUERY.RunProof(hashes=b"".join(outside(seq, seq + 1, leaves))),
                QUERY.RunProof(hashes=b"".join(outside(SPAN, size, leaves))),
            ],
        ),
    ).SerializeToString()


def indexed():
    """The ledger, its segment, and what each of its first entries is found by."""
    ledger = Indexed()
    for n in range(SPAN):
        ledger.append(n, event(n))
    found = [terms(entry.kind, entry.parts) for entry in ledger.entries]
    segment = Segment(0, 0, found)
    record = leaf_hash(segment.record)
    ledger.act(
        3,
        0,
        "ledger.seal",
        seal=EVENT.Seal(index_version=1, levels=[EVENT.SealLevel(segments=1, root=record)]),
    )
    for n in (SPAN + 1, SPAN + 2):
        ledger.append(n, event(n))
    return ledger, segment, found


def main():
    (ledger, segment, found), sections = indexed(), {}
    shown = {f"{tag}": [] for tag in range(37)}
    for tag, value in sorted(found[1]):
        shown[f"{tag}"].append(value.hex())
    sections["terms of entry 1"] = {tag: " ".join(of) for tag, of in shown.items() if of}
    sections["segment 0 of level 0"] = segment.section((4, b"unix:a100/3"))
    seal = ledger.entries[SPAN]
    sections["seal"] = {"what": seal.parts["what"].hex(), "header": seal.header.hex()}
    sections["checkpoint"] = {"text": ledger.checkpoint()}
    answer = page(ledger, segment, (10, b"file://a100-17/data/503"))
    sections["page"] = {"filter": "target = file://a100-17/data/503", "encoded": answer.hex()}

    def merged(n):
        return {
            (0, bytes([0, 4])),
            (0, bytes([0, 10])),
            (4, f"unix:a100/{n % 7}".encode()),
            (10, f"file://a100-17/data/{n * 31 % 5_000}".encode()),
        }

    above = Segment(1, 0, [merged(n) for n in range(16 * SPAN)])
    sections["segment 0 of level 1"] = above.section((0, bytes([0, 10])))
    print(json.dumps(sections, indent=2, sort_keys=True, ensure_ascii=False))


if __name__ == "__main__":
    main()
