//! The names of `docs/naming.md`: twelve events typed as short JSON, and every form kept and broken.

use graven::entry::CheckedEvent;
use graven::entry::json::{self, Row};
use graven::entry::names::{check_action, check_identity, check_target, check_version_id};
use serde_json::Value;

use crate::entry_support::{seal, twelve_events};

#[test]
fn twelve_events_are_typed_sealed_and_shown() {
    let lines = twelve_events();
    assert_eq!(lines.len(), 12);
    for line in lines {
        let event = json::read(line).unwrap();
        let (header, body) = seal(&event);
        assert_eq!(body.hash(), header.body_hash);
        let row = Row::new(&header, &body).unwrap();
        let written = serde_json::to_string(&row).unwrap();
        assert_eq!(json::read_row(&written).unwrap(), event, "{line}");

        let typed: Value = serde_json::from_str(line).unwrap();
        let shown: Value = serde_json::from_str(&written).unwrap();
        for field in [
            "action",
            "actor",
            "source",
            "grantee",
            "participants",
            "on_behalf_of",
            "labels",
            "session",
        ] {
            assert_eq!(shown.get(field), typed.get(field), "{field} of {line}");
        }
        let uri = typed["target"].get("uri").unwrap_or(&typed["target"]);
        assert_eq!(&shown["targets"][0]["uri"], uri, "{line}");
    }
}

/// `tests/vectors/parts.py` read the same JSON and wrote the same bytes with the official protobuf library.
#[test]
fn twelve_events_have_the_encoding_of_the_official_library() {
    let vectors: Value = serde_json::from_str(include_str!("../vectors/parts.json")).unwrap();
    let vectors = vectors.as_array().unwrap();
    let lines = twelve_events();
    assert_eq!(vectors.len(), lines.len());
    for (line, vector) in lines.into_iter().zip(vectors) {
        let bytes = json::encode(&json::read(line).unwrap());
        assert_eq!(vector["event"], hexadecimal(&bytes), "{line}");
        let checked = CheckedEvent::check(&bytes).unwrap();
        let parts = checked.parts.iter();
        let parts: serde_json::Map<String, Value> = parts
            .map(|(tag, part)| (tag.name().to_owned(), hexadecimal(part).into()))
            .collect();
        assert_eq!(vector["parts"], Value::Object(parts), "{line}");
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[track_caller]
fn keep_and_break(check: fn(&str) -> Result<(), String>, good: &[&str], bad: &[(&str, &str)]) {
    for name in good {
        assert_eq!(check(name), Ok(()), "{name}");
    }
    for (name, hint) in bad {
        let problem = check(name).expect_err(name);
        assert!(problem.contains(hint), "{name}: {problem}");
    }
}

#[test]
fn actions() {
    let form = "<noun>.<verb>";
    keep_and_break(
        check_action,
        &["job.submit", "session.sudo", "data_set.re-tag", "k8s.apply"],
        &[
            ("", form),
            ("job", form),
            ("job.", form),
            (".submit", form),
            ("Job.submit", form),
            ("job.Submit", form),
            ("job.submit.now", form),
            ("job submit", form),
            ("1job.submit", form),
            ("jöb.submit", form),
        ],
    );
}

#[test]
fn identities() {
    keep_and_break(
        check_identity,
        &[
            "oidc:corp/alice",
            "unix:a100/10432",
            "ssh:SHA256:uNiVztksCsDhcc0u9e8BrqJXVDHWmZqn1m1b3mC5sYk",
            "git:alice@example.com",
            "k8s:prod/system:serviceaccount:ml:loader",
            "aws:1234/role/etl",
            "gcp:project/etl",
            "spiffe://example.com/ml/loader",
            "slurm:a100/alice",
            "other:anyone at all",
            "saml:alice",
        ],
        &[
            ("", "<realm>:<namespace>/<id>"),
            ("alice", "other:<anything>"),
            (":alice", "the realm in lower case"),
            ("OIDC:corp/alice", "the realm in lower case"),
            ("other:", "the realm in lower case"),
            ("oidc:alice", "oidc:<namespace>/<id>"),
            ("unix:10432", "unix:<namespace>/<id>"),
            ("unix:/10432", "unix:<namespace>/<id>"),
            ("slurm:a100/", "slurm:<namespace>/<id>"),
            ("git:alice", "git:<e-mail address>"),
            ("ssh:MD5:00", "ssh:SHA256:<fingerprint>"),
            ("spiffe:example.com/x", "spiffe://<trust domain>/<path>"),
        ],
    );
}

#[test]
fn targets() {
    keep_and_break(
        check_target,
        &[
            "fs://lustre-1/envs/torch/optim/adamw.py",
            "file://gpu-01/etc/passwd",
            "git://git.example.com/ml/train//train.py",
            "git://git.example.com/ml/train",
            "s3://lab-data/web/shard-00017.parquet",
            "slurm://a100/job/8812_3",
            "k8s://prod/apps/deployments/ml/loader",
            "k8s://prod//nodes//gpu-01",
            "oci://registry.example.com/ml/train:stable",
            "hf://example-org/base-7b",
            "dataset://lab/web-2026",
            "iam://corp/group/cluster-admins",
            "graven://ledger/entry/7",
            "graven://example.com/ledger/entry/0",
            "graven://example.com/ledger/anchor",
            "graven://example.com/key",
            "other:anything at all",
        ],
        &[
            ("", "<scheme>://"),
            ("/etc/passwd", "<scheme>://"),
            ("other:", "other: is empty"),
            ("http://example.com/x", "other:<anything>"),
            ("fs://lustre-1", "fs://<file system id>/<path>"),
            ("fs:///path", "fs://<file system id>/<path>"),
            ("file://gpu-01/", "file://<host>/<path>"),
            (
                "git://host/repository//",
                "git://<host>/<repository>//<path>",
            ),
            ("git://host", "git://<host>/<repository>//<path>"),
            ("s3://bucket", "s3://<bucket>/<key>"),
            ("slurm://a100/8812", "slurm://<cluster>/job/<id>"),
            (
                "k8s://prod/deployments/loader",
                "k8s://<cluster>/<group>/<resource>",
            ),
            (
                "oci://registry.example.com",
                "oci://<registry>/<repository>:<tag>",
            ),
            ("hf://base-7b", "hf://<org>/<name>"),
            ("dataset://lab/", "dataset://<catalogue>/<name>"),
            ("iam://corp/admins", "iam://<realm>/<kind>/<name>"),
            (
                "graven://example.com/entry/x",
                "graven://<origin>/entry/<seq>",
            ),
            (
                "graven://example.com/entry/+7",
                "graven://<origin>/entry/<seq>",
            ),
            (
                "graven://example.com/entry/07",
                "graven://<origin>/entry/<seq>",
            ),
            ("graven://example.com/7", "graven://<origin>/entry/<seq>"),
            ("graven:///key", "graven://<origin>/entry/<seq>"),
        ],
    );
}

#[test]
fn versions() {
    let digits = "0123456789abcdef".repeat(8);
    for (scheme, length) in [
        ("sha256", 64),
        ("blake3", 64),
        ("git-sha256", 64),
        ("git-sha1", 40),
        ("sha512", 128),
    ] {
        let id = format!("{scheme}:{}", &digits[..length]);
        assert_eq!(check_version_id(&id), Ok(()), "{id}");
        let digits = &digits[..length];
        for bad in [
            format!("{digits}0"),
            digits[1..].to_owned(),
            digits.replace('a', "A"),
            digits.replace('a', "g"),
        ] {
            let problem = check_version_id(&format!("{scheme}:{bad}")).unwrap_err();
            assert!(
                problem.contains(&format!("{scheme}: and {length} lower-case")),
                "{problem}"
            );
        }
    }
    for id in ["771203", "3sL4kqtJlcpXroDTDmJ", "etag:\"x\"", "absent"] {
        assert_eq!(check_version_id(id), Ok(()), "{id}");
    }
    assert!(check_version_id("").unwrap_err().contains("it is empty"));
}
