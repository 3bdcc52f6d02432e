#!/usr/bin/env python3
"""Makes `erasure.json` without a line of the Rust code, from docs/format.md, the proto files and the seeds in it.

    /tmp/golden/bin/python tests/vectors/erasure.py | diff - tests/vectors/erasure.json && echo same

`golden.py`, on which it stands, says how /tmp/golden is made. The values of the orders stand here and in
`tests/suite/golden_erasure.rs`.
"""

import json
from pathlib import Path

from golden import EVENT, FIRST, NOON, ORIGIN, TAGS, Entry, Ledger, b64, derive_key, parts_of

GOLDEN = json.loads((Path(__file__).parent / "erasure.json").read_text())


def u32(number):
    return number.to_bytes(4, "big")


def u64(number):
    return number.to_bytes(8, "big")


def alice():
    return EVENT.Envelope(
        submitter=EVENT.Submitter(issuer="token", subject="oidc:corp/alice"),
        authentication=EVENT.AUTHENTICATION_TOKEN,
        credential="alice-laptop",
        peer="192.0.2.7:50123",
    )


def event(number):
    return EVENT.Event(
        who=EVENT.Who(actor="unix:a100/10432", assurance=EVENT.ASSURANCE_AUTHENTICATED),
        what=EVENT.What(
            action="file.update",
            outcome=EVENT.OUTCOME_SUCCESS,
            targets=[EVENT.Target(uri=f"fs://a100/shared/torch/optim/adam{number}.py")],
        ),
        context=EVENT.Context(source="host:a100-17", idempotency_id=u64(number)),
        why=EVENT.Why(ticket="OPS-7"),
        detail=EVENT.Detail(content=b'{"lines":3}', media_type="application/json"),
    )


def act(ledger, section, action, **act):
    what = EVENT.What(action=action, outcome=EVENT.OUTCOME_SUCCESS, act=EVENT.LedgerAct(**act))
    parts = parts_of(EVENT.Event(what=what, context=EVENT.Context(source=f"graven:{ORIGIN}")))
    seal(ledger, 2, bytes.fromhex(GOLDEN[section]["seed"]), parts)


def seal(ledger, kind, seed, parts):
    ledger.entries.append(Entry(ledger, kind, seed, alice(), parts, 0, NOON))


def erasure(seq, parts):
    return EVENT.RangeErasure(
        entries=[EVENT.SeqRange(first_seq=seq, end_seq=seq + 1)],
        parts=parts,
        ticket="LEGAL-1",
        reason="asked for",
    )


def blob(entries, names):
    """Encoding raw, the length, and of each entry its length and its parts of these names."""
    raw = b""
    for entry in entries:
        parts = [(TAGS[name], part) for name, part in entry.items() if name in names]
        parts = b"".join(bytes([tag]) + u32(len(part)) + part for tag, part in parts)
        raw += u32(len(parts)) + parts
    return bytes([0]), u32(len(raw)) + raw


def record(entry, erased):
    fixed = bytes([entry.kind, 2 if erased else 0]) + entry.body_hash
    if not erased:
        return fixed + entry.seed
    fixed += bytes([len(entry.parts)])
    for name in entry.parts:
        if name in erased:
            fixed += bytes([TAGS[name], 1]) + entry.commitments[name] + u64(erased[name])
        else:
            fixed += bytes([TAGS[name], 0]) + entry.salts[name]
    return fixed


def pack(ledger, erased):
    entries = ledger.entries[: len(erased)]
    encoding, evidence = blob([e.parts for e in entries], ["envelope", "who", "what", "context"])
    value = bytes([2, len(entries)]) + encoding + u64(NOON) + ledger.genesis_hash
    value += b"".join(record(entry, gone) for entry, gone in zip(entries, erased)) + evidence
    left = [{n: p for n, p in e.parts.items() if n not in gone} for e, gone in zip(entries, erased)]
    encoding, erasable = blob(left, ["why", "detail"])
    return {
        "entry space": value.hex(),
        "detail space": (bytes([1]) + encoding + erasable).hex(),
        "seeds": b"".join(entry.seed for entry in entries).hex(),
    }


def evidence(ledger, seq, erased, by):
    evidence = json.loads(ledger.evidence(seq, erased=erased))
    says_so = json.loads(ledger.evidence(by))["entry"]
    ordered = {}
    for name, value in evidence.items():
        ordered[name] = "graven evidence v2" if name == "format" else value
        if name == "entry":
            ordered["erasures"] = [says_so]
    return json.dumps(ordered, indent=2, ensure_ascii=False) + "\n"


def main():
    ledger = Ledger()
    ledger.genesis = bytes.fromhex(GOLDEN["ledger"]["genesis"])
    ledger.genesis_hash = derive_key("graven v1 genesis", ledger.genesis).digest()
    seeds = bytes.fromhex(GOLDEN["pack of entries 0 to 2"]["seeds"])
    for number in range(3):
        seal(ledger, 1, seeds[32 * number :][:32], parts_of(event(number)))
    hold = EVENT.Hold(
        name="case 9",
        ticket="CASE-9",
        reason="a lawsuit",
        entries=[EVENT.SeqRange(first_seq=2, end_seq=3)],
        filter='actor = "oidc:corp/bob"',
    )
    act(ledger, "hold", "ledger.hold", hold=hold)
    release = EVENT.Release(name="case 9", hold_seq=3, ticket="CASE-10", reason="settled")
    act(ledger, "release", "ledger.release", release=release)
    act(ledger, "first erasure", "ledger.erase", range_erasure=erasure(1, [6]))
    act(ledger, "second erasure", "ledger.erase", range_erasure=erasure(2, [5, 6]))
    sections = {
        "ledger": {"genesis": ledger.genesis.hex(), "size": str(len(ledger.entries))},
        "pack of entries 0 to 2": pack(ledger, [{}, {"detail": 5}, {"why": 6, "detail": 6}]),
        "evidence of entry 1": {"text": evidence(ledger, 1, ["detail"], 5)},
    }
    for seq, name in enumerate(["hold", "release", "first erasure", "second erasure"], 3):
        entry = ledger.entries[seq]
        sections[name] = {
            "seed": entry.seed.hex(),
            "header": entry.header.hex(),
            "what": entry.parts["what"].hex(),
        }
    print(json.dumps(sections, indent=2, sort_keys=True, ensure_ascii=False))


if __name__ == "__main__":
    main()
