#!/usr/bin/env python3
"""Makes `redaction.json` without a line of the Rust code, from docs/format.md, the proto files and the seeds in it.

    /tmp/golden/bin/python tests/vectors/redaction.py | diff - tests/vectors/redaction.json && echo same

`golden.py`, on which it stands, says how /tmp/golden is made. The rules and the event stand here and in
`tests/suite/golden_redaction.rs`; what the rules leave of the event is written down here as docs/format.md has it.
"""

import json
from hashlib import sha256
from pathlib import Path

from erasure import alice
from golden import EVENT, LEDGER, NOON, ORIGIN, TAGS, Entry, Ledger, derive_key, outside, parts_of

GOLDEN = json.loads((Path(__file__).parent / "redaction.json").read_text())
RULES = """shipped = false

[[rule]]
name = "corp"
values = ['corp_[0-9]{4}']

[[rule]]
name = "key"
fields = ["why"]
names = ["*api?key"]
"""


def seal(ledger, section, kind, envelope, parts):
    seed = bytes.fromhex(GOLDEN[section]["seed"])
    ledger.entries.append(Entry(ledger, kind, seed, envelope, parts, 0, NOON))


def digest(*texts):
    """SHA-256 over the texts, each behind its length, u64."""
    encoded = [text.encode() for text in texts]
    return sha256(b"".join(len(text).to_bytes(8, "big") + text for text in encoded)).digest()


def change(ledger):
    identity = f"graven:{ORIGIN}"
    envelope = EVENT.Envelope(
        submitter=EVENT.Submitter(issuer="ledger", subject=identity),
        authentication=EVENT.AUTHENTICATION_LEDGER,
    )
    body = EVENT.RedactionChange(digest=digest("", RULES), rules=RULES, occasion="start")
    what = EVENT.What(
        action="ledger.redaction",
        outcome=EVENT.OUTCOME_SUCCESS,
        act=EVENT.LedgerAct(redaction_change=body),
    )
    parts = parts_of(EVENT.Event(what=what, context=EVENT.Context(source=identity)))
    seal(ledger, "change of the rules", 2, envelope, parts)


def redacted(ledger):
    event = EVENT.Event(
        who=EVENT.Who(actor="unix:a100/10432", assurance=EVENT.ASSURANCE_AUTHENTICATED),
        what=EVENT.What(
            action="file.update",
            outcome=EVENT.OUTCOME_SUCCESS,
            targets=[EVENT.Target(uri="fs://a100/shared/torch/optim/adam1.py")],
        ),
        context=EVENT.Context(source="host:a100-17", idempotency_id=(1).to_bytes(8, "big")),
        why=EVENT.Why(
            reason="as [redacted:corp] asked, and [redacted:corp]",
            ticket="OPS-7",
            labels=[
                EVENT.Label(key="api_key", value="[redacted:key]"),
                EVENT.Label(key="note", value="[redacted:corp]"),
            ],
        ),
        detail=EVENT.Detail(
            content=b'{"n":1,"token":"[redacted:corp]"}',
            media_type="application/json",
            original=b"\xff [redacted:corp]",
            original_media_type="application/octet-stream",
        ),
    )
    notes = [
        ("corp", "detail.content", 1),
        ("corp", "detail.original", 1),
        ("corp", "detail.original_digest", 1),
        ("corp", "why.labels", 1),
        ("key", "why.labels", 1),
        ("corp", "why.reason", 2),
    ]
    envelope = alice()
    for rule, field, count in notes:
        envelope.redactions.add(rule=rule, field=field, count=count)
    seal(ledger, "redacted event", 1, envelope, parts_of(event))


def receipt(ledger, seq):
    entry = ledger.entries[seq]
    changed = [
        LEDGER.RedactedPart(index=0, tag=TAGS[name], encoded=entry.parts[name])
        for name in ("why", "detail")
    ]
    return LEDGER.Receipt(
        first_seq=seq,
        recorded_at=entry.recorded_at,
        previous=entry.prev,
        envelopes=[entry.parts["envelope"]],
        seeds=entry.seed,
        proof=b"".join(outside(seq, seq + 1, ledger.leaves())),
        checkpoint=ledger.checkpoint(),
        redacted=changed,
    ).SerializeToString()


def main():
    ledger = Ledger()
    ledger.genesis = bytes.fromhex(GOLDEN["ledger"]["genesis"])
    ledger.genesis_hash = derive_key("graven v1 genesis", ledger.genesis).digest()
    change(ledger)
    redacted(ledger)
    sections = {
        "ledger": {"genesis": ledger.genesis.hex()},
        "receipt of the redacted event": {"encoded": receipt(ledger, 1).hex()},
    }
    for entry, name in zip(ledger.entries, ["change of the rules", "redacted event"]):
        section = {"seed": entry.seed.hex(), "header": entry.header.hex()}
        sections[name] = section | {part: encoded.hex() for part, encoded in entry.parts.items()}
    print(json.dumps(sections, indent=2, sort_keys=True, ensure_ascii=False))


if __name__ == "__main__":
    main()
