#!/usr/bin/env python3
"""Makes `parts.json`: the twelve events of `docs/naming.md` in the encoding of the official protobuf library.

Reads their JSON form by its documentation alone, without a line of the Rust code. How the check is made:

    python3 -m venv /tmp/parts && /tmp/parts/bin/pip install grpcio-tools
    /tmp/parts/bin/python tests/vectors/parts.py | diff - tests/vectors/parts.json && echo same
"""

import importlib
import json
import sys
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[2]
EVENTS = ROOT / "tests" / "data" / "twelve_events.jsonl"
PARTS = ("who", "what", "context", "why", "detail")
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def compile_messages():
    """The messages of the proto file, as modules of the official library."""
    with tempfile.TemporaryDirectory() as out:
        proto = ROOT / "proto"
        arguments = ["protoc", f"-I{proto}", f"--python_out={out}", "graven/v1/event.proto"]
        if protoc.main(arguments) != 0:
            raise SystemExit("the proto file does not compile")
        sys.path.insert(0, out)
        return importlib.import_module("graven.v1.event_pb2")


pb = compile_messages()


def nanoseconds(text):
    whole, _, rest = text.partition(".")
    digits = ""
    while rest[:1].isdigit():
        digits, rest = digits + rest[0], rest[1:]
    seconds = (datetime.fromisoformat(whole + rest) - EPOCH) // timedelta(seconds=1)
    return seconds * 1_000_000_000 + int(digits.ljust(9, "0") or 0)


def enum(name, word):
    return pb.DESCRIPTOR.enum_types_by_name[name].values_by_name[word].number


def version(value):
    states = ("absent", "pending", "too_large", "unavailable")
    if isinstance(value, str):
        value = {"state": value} if value in states else [value]
    if isinstance(value, list):
        value = {"ids": value}
    message = pb.Version(ids=value.get("ids", []))
    if "state" in value:
        message.state = enum("VersionState", "VERSION_STATE_" + value["state"].upper())
    if "size" in value:
        message.size = value["size"]
    return message


def target(value):
    value = {"uri": value} if isinstance(value, str) else dict(value)
    for field in ("before", "after"):
        if field in value:
            value[field] = version(value[field])
    return pb.Target(**value)


def reference(value):
    value = {"uri": value} if isinstance(value, str) else dict(value)
    if "version" in value:
        value["version"] = version(value["version"])
    if "evidence" in value:
        value["evidence"] = enum("Evidence", "EVIDENCE_" + value["evidence"].upper())
    return pb.Reference(**value)


def content(value):
    if isinstance(value, dict) and set(value) == {"media_type", "text"}:
        return value["text"].encode(), value["media_type"]
    compact = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return compact.encode(), "application/json"


def event(typed):
    parts = {name: {} for name in PARTS}
    owner_part = {
        field.name: name
        for name in PARTS
        for field in pb.DESCRIPTOR.message_types_by_name[name.capitalize()].fields
    }
    for name, value in typed.items():
        if name == "target":
            targets = [target(value)]
            if "owner" in typed:
                targets[0].owner = typed["owner"]
            parts["what"]["targets"] = targets
        elif name == "owner":
            pass
        elif name == "detail":
            parts["detail"]["content"], parts["detail"]["media_type"] = content(value)
        elif name == "original":
            detail = parts["detail"]
            detail["original"], detail["original_media_type"] = content(value)
        elif name in ("inputs", "outputs"):
            parts["what"][name] = [reference(item) for item in value]
        elif name == "run":
            parts["what"]["run"] = pb.Run(id=value) if isinstance(value, str) else pb.Run(**value)
        elif name in ("occurred_at", "observed_at"):
            parts["context"][name] = nanoseconds(value)
        elif name == "outcome":
            parts["what"]["outcome"] = enum("Outcome", "OUTCOME_" + value.upper())
        elif name == "assurance":
            parts["who"]["assurance"] = enum("Assurance", "ASSURANCE_" + value.upper())
        elif name == "idempotency_id":
            parts["context"][name] = value.encode()
        elif name == "labels":
            labels = sorted(value.items(), key=lambda label: label[0].encode())
            parts["why"]["labels"] = [pb.Label(key=key, value=text) for key, text in labels]
        else:
            parts[owner_part[name]][name] = value
    if "actor" in typed and "assurance" not in typed:
        parts["who"]["assurance"] = pb.ASSURANCE_ASSERTED
    messages = {
        name: getattr(pb, name.capitalize())(**fields) for name, fields in parts.items() if fields
    }
    return pb.Event(**messages)


def main():
    vectors = []
    for line in EVENTS.read_text(encoding="utf-8").splitlines():
        message = event(json.loads(line))
        encoding = {
            name: getattr(message, name).SerializeToString().hex()
            for name in PARTS
            if message.HasField(name)
        }
        vectors.append(
            {
                "action": message.what.action,
                "event": message.SerializeToString().hex(),
                "parts": encoding,
            }
        )
    print(json.dumps(vectors, indent=1))


main()
