#!/usr/bin/env python3
"""Makes `case.json` without a line of the Rust code, from docs/format.md and the proto files alone.

Three case files: an answer of which every entry was looked at, with the sources that were heard from; one of which a part
is withheld, the newest first, that was cut off and continues an older tree; and one that rests on a sealed index. How the
check is made: as in `golden.py`,

    /tmp/golden/bin/python tests/vectors/case.py | diff - tests/vectors/case.json && echo same

The values of the events stand here and in `tests/suite/golden_case.rs`.
"""

import json
from datetime import datetime, timedelta, timezone

from golden import EVENT, LEDGER, ORIGIN, TAGS, Ledger, b64, minimal, outside, parts_of, path, root, split
from index import LEAF_TERMS, QUERY, SPAN, indexed, page

ACTOR = "unix:a100/10432"


# --- the ledger of golden_case.rs ---------------------------------------------------------------


def change(actor, file):
    return EVENT.Event(
        who=EVENT.Who(actor=actor, assurance=EVENT.ASSURANCE_AUTHENTICATED),
        what=EVENT.What(
            action="file.update",
            outcome=EVENT.OUTCOME_SUCCESS,
            targets=[
                EVENT.Target(
                    uri=f"fs://a100/shared/{file}",
                    before=EVENT.Version(ids=["sha256:" + "1" * 64]),
                    after=EVENT.Version(ids=["sha256:" + "2" * 64]),
                    owner="oidc:corp/bob",
                )
            ],
        ),
        context=EVENT.Context(
            source="agent:login-1", source_seq=7, occurred_at=1_767_323_044_500_000_000
        ),
        why=EVENT.Why(reason="loss spikes — see \"chat\"", ticket="OPS-7"),
        detail=EVENT.Detail(content=b'{"lines":3}', media_type="application/json"),
    )


def other():
    event = minimal(2)
    event.who.actor = "oidc:corp/carol"
    return event


def small():
    ledger = Ledger()
    envelope = EVENT.Envelope(
        submitter=EVENT.Submitter(issuer="token", subject="oidc:corp/alice"),
        authentication=EVENT.AUTHENTICATION_TOKEN,
        credential="alice-laptop",
        peer="192.0.2.7:50123",
    )
    events = [minimal(0), change(ACTOR, "adam.py"), other(), change("oidc:corp/mallory", "data.py"), minimal(4)]
    for number, event in enumerate(events, 20):
        ledger.seal(1, number, envelope, parts_of(event))
    return ledger


# --- pages --------------------------------------------------------------------------------------


def shown(ledger, seqs, names):
    def part(entry, name):
        if name in names:
            disclosed = LEDGER.DisclosedPart(encoded=entry.parts[name], salt=entry.salts[name])
            return LEDGER.Part(tag=TAGS[name], disclosed=disclosed)
        return LEDGER.Part(tag=TAGS[name], withheld=entry.commitments[name])

    entries = [ledger.entries[seq] for seq in seqs]
    return [
        LEDGER.Entry(header=entry.header, parts=[part(entry, name) for name in entry.parts])
        for entry in entries
    ]


def proof(ledger, seqs):
    hashes = outside(seqs.start, seqs.stop, ledger.leaves())
    return QUERY.SearchProof(runs=[QUERY.RunProof(hashes=b"".join(hashes))])


def answer(message, ledger, seqs, names, **more):
    return message(
        checkpoint=ledger.checkpoint(),
        size=len(ledger.entries),
        start=seqs.start,
        end=seqs.stop,
        entries=shown(ledger, seqs, names),
        proof=proof(ledger, seqs),
        **more,
    )


# --- the file -----------------------------------------------------------------------------------


def time(nanoseconds):
    seconds, rest = divmod(nanoseconds, 10**9)
    text = (datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    return text + (f".{rest:09}".rstrip("0") if rest else "") + "Z"


def row(entry, hidden=()):
    """An entry as `graven log -o jsonl` prints it, as far as these entries have something to print."""

    def read(message, name):
        return message.FromString(b"" if name in hidden else entry.parts.get(name, b""))

    def word(enumeration, prefix, value):
        return enumeration.Name(value)[len(prefix) :].lower()

    envelope, who = read(EVENT.Envelope, "envelope"), read(EVENT.Who, "who")
    what, context = read(EVENT.What, "what"), read(EVENT.Context, "context")
    why, detail = read(EVENT.Why, "why"), read(EVENT.Detail, "detail")

    def target(of):
        row = {"uri": of.uri}
        for name in ("before", "after"):
            row[name] = list(getattr(of, name).ids) if of.HasField(name) else None
        return row | ({"owner": of.owner} if of.owner else {})

    row = {
        "seq": entry.seq,
        "recorded_at": time(entry.recorded_at),
        "kind": "event",
        "submitter": envelope.submitter.subject,
        "actor": who.actor or None,
        "action": what.action,
        "targets": [target(of) for of in what.targets],
        "outcome": word(EVENT.Outcome, "OUTCOME_", what.outcome) if what.outcome else None,
        "occurred_at": time(context.occurred_at) if context.HasField("occurred_at") else None,
    }
    if who.actor:
        row["assurance"] = word(EVENT.Assurance, "ASSURANCE_", who.assurance)
    if what.HasField("run"):
        row["run"] = {"id": what.run.id, "gpus": what.run.gpus}
    row["source"] = context.source
    if context.HasField("source_seq"):
        row["source_seq"] = context.source_seq
    if why.ticket:
        row |= {"reason": why.reason, "ticket": why.ticket}
    if detail.content:
        row["detail"] = json.loads(detail.content)
    row |= {
        "issuer": envelope.submitter.issuer,
        "authentication": word(EVENT.Authentication, "AUTHENTICATION_", envelope.authentication),
        "credential": envelope.credential,
        "peer": envelope.peer,
    }
    if hidden:
        row["withheld"] = list(hidden)
    return row | {"leaf_hash": entry.leaf_hash.hex()}


def seqs_text(seqs):
    runs = []
    for seq in sorted(set(seqs)):
        if runs and seq == runs[-1][1] + 1:
            runs[-1][1] = seq
        else:
            runs.append([seq, seq])
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in runs)


def by_part(parts):
    listed = {name: [seq for of, seq in parts if of == name] for name in TAGS}
    return [{"part": name, "entries": seqs_text(seqs)} for name, seqs in listed.items() if seqs]


def discloses(pages, counts, in_answer, terms):
    names = {tag: name for name, tag in TAGS.items()}
    headers, parts, withheld = [0], [], []
    for at, message in enumerate(pages + counts):
        for entry in message.entries:
            seq = int.from_bytes(entry.header[3:11], "big")
            headers.append(seq)
            for part in entry.parts:
                kind = part.WhichOneof("content")
                if kind == "disclosed":
                    parts.append((names[part.tag], seq))
                elif at < len(pages) and seq in in_answer:
                    withheld.append((names[part.tag], seq))
        if message.proof.HasField("seal"):
            headers.append(int.from_bytes(message.proof.seal.header[3:11], "big"))
    return {
        "withheld": by_part(withheld),
        "parts": by_part(parts),
        "headers": seqs_text(headers),
        "terms": terms,
    }


def consistency(size, leaves, whole=True):
    if size == len(leaves):
        return [] if whole else [root(leaves)]
    k = split(len(leaves))
    if size <= k:
        return consistency(size, leaves[:k], whole) + [root(leaves[k:])]
    return consistency(size - k, leaves[k:], False) + [root(leaves[:k])]


def case(ledger, question, answered, pages, rows, coverage=None, extends=None, terms=()):
    asked, filter, order = question
    leaves = ledger.leaves()
    size = len(leaves)
    matches = [row["seq"] for of in rows for row in of]
    unknown = answered.pop("unknown")
    file = {
        "format": "graven case v1",
        "made": {
            "tool": "graven 0.1.0",
            "command": ["graven", "export", asked, "--out", "case.json"],
            "at": "2026-01-02T03:05:00Z",
        },
        "origin": ORIGIN,
        "verifier_key": str(ledger.key),
        "genesis": {
            "descriptor": b64(ledger.genesis),
            "hash": ledger.genesis_hash.hex(),
            "first_header": ledger.entries[0].header.hex(),
            "inclusion": b64(b"".join(path(0, leaves))),
        },
    }
    if extends:
        file["extends"] = {
            "size": extends,
            "root": root(leaves[:extends]).hex(),
            "consistency": b64(b"".join(consistency(extends, leaves))),
        }
    file["question"] = {
        "asked": asked,
        "filter": filter,
        "start": 0,
        "end": None,
        "size": size,
        "order": order,
    }
    file["answer"] = {
        "start": answered["start"],
        "end": answered["end"],
        "matches": len(matches),
        "unknown": seqs_text(unknown),
        "seals": answered.get("seals", []),
        "checked_one_by_one": answered["one_by_one"],
    }
    # Rows stand in it as they are, compact.
    file["pages"] = [
        {"page": b64(page.SerializeToString()), "entries": [f"row {row['seq']}" for row in of]}
        for page, of in zip(pages, rows)
    ]
    counts = []
    if coverage:
        counts = [coverage]
        file["coverage"] = {
            "pages": [b64(coverage.SerializeToString())],
            "sources": [
                {
                    "source": group.term.decode(),
                    "entries": group.entries.count,
                    "first": group.entries.first,
                    "last": group.entries.last,
                }
                for group in coverage.groups
            ],
            "none": coverage.absent,
        }
    file["discloses"] = discloses(pages, counts, {*matches, *unknown}, list(terms))
    text = json.dumps(file, indent=2) + "\n"
    for of in rows:
        for row in of:
            text = text.replace(f'"row {row["seq"]}"', json.dumps(row, separators=(",", ":")))
    return {"text": text}


def whole():
    ledger = small()
    every = range(0, 5)

    def group(source, count, first, last):
        entries = QUERY.Tally(count=count, first=first, last=last)
        return QUERY.Group(term=source.encode(), entries=entries)

    sources = answer(
        QUERY.CountResponse,
        ledger,
        every,
        ["context"],
        total=QUERY.Tally(count=5, first=0, last=4),
        groups=[group("agent:login-1", 2, 1, 3), group("host:a100-17", 3, 0, 4)],
    )
    question = (
        f"actor = {ACTOR} AND foreign = true",
        f'(actor = "{ACTOR}" AND foreign = true)',
        "ascending",
    )
    answered = {"start": 0, "end": 5, "unknown": [], "one_by_one": 5}
    pages = [answer(QUERY.SearchResponse, ledger, every, list(TAGS))]
    return case(ledger, question, answered, pages, [[row(ledger.entries[1])]], coverage=sources)


def withheld():
    ledger = small()
    names = [name for name in TAGS if name != "who"]
    pages = [
        answer(QUERY.SearchResponse, ledger, range(3, 5), names),
        answer(QUERY.SearchResponse, ledger, range(1, 3), names),
    ]
    rows = [[row(ledger.entries[3], ["who"])], [row(ledger.entries[1], ["who"])]]
    question = (
        'target = "fs://a100/shared/*" OR actor = oidc:corp/bob',
        '(target = "fs://a100/shared/*" OR actor = "oidc:corp/bob")',
        "descending",
    )
    # Of carol's entry it cannot be told without her name.
    answered = {"start": 1, "end": 5, "unknown": [2], "one_by_one": 4}
    return case(ledger, question, answered, pages, rows, extends=2)


def with_index():
    ledger, segment, _ = indexed()
    target = "file://a100-17/data/503"
    term = (10, target.encode())
    first = segment.terms.index(term) // LEAF_TERMS * LEAF_TERMS
    terms = segment.terms[first : first + LEAF_TERMS]
    assert all(tag == 10 for tag, _ in terms)
    question = (f"target = {target}", f'target = "{target}"', "ascending")
    answered = {
        "start": 0,
        "end": SPAN + 3,
        "unknown": [],
        "seals": [{"seq": SPAN, "covered": SPAN}],
        "one_by_one": 3,
    }
    pages = [QUERY.SearchResponse.FromString(page(ledger, segment, term))]
    listed = [f"target = {value.decode()}" for _, value in terms]
    return case(ledger, question, answered, pages, [[row(ledger.entries[503])]], terms=listed)


def main():
    files = {"whole": whole(), "withheld": withheld(), "indexed": with_index()}
    print(json.dumps(files, indent=2, sort_keys=True, ensure_ascii=False))


if __name__ == "__main__":
    main()
