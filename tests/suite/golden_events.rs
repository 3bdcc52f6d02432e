//! Two events for the golden bytes: one with the least that is asked for, one with every field.

use graven::entry::v1;

pub(crate) fn minimal(number: u64) -> v1::Event {
    v1::Event {
        what: Some(v1::What {
            action: "file.update".into(),
            targets: vec![v1::Target {
                uri: format!("file://a100-17/etc/motd.{number}"),
                ..Default::default()
            }],
            ..Default::default()
        }),
        context: Some(v1::Context {
            source: "host:a100-17".into(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

pub(crate) fn full() -> v1::Event {
    v1::Event {
        who: Some(who()),
        what: Some(what()),
        context: Some(context()),
        why: Some(v1::Why {
            reason: "loss spikes since Tuesday — see chat".into(),
            ticket: "OPS-4711".into(),
            review: "https://review.example/1234".into(),
            labels: vec![
                v1::Label {
                    key: "env".into(),
                    value: "prod".into(),
                },
                v1::Label {
                    key: "team".into(),
                    value: "träning".into(),
                },
            ],
        }),
        detail: Some(v1::Detail {
            content: b"{\"lines\":3}".to_vec(),
            media_type: "application/json".into(),
            original: vec![0x00, 0xff, 0x0a],
            original_media_type: "application/octet-stream".into(),
            truncated: true,
            original_digest: format!("sha256:{}", "0a".repeat(32)),
        }),
        actor_signature: None,
    }
}

fn who() -> v1::Who {
    v1::Who {
        actor: "unix:a100/10432".into(),
        assurance: v1::Assurance::Authenticated.into(),
        on_behalf_of: vec!["oidc:corp/alice".into(), "slurm:a100/alice".into()],
        session: Some(v1::Session {
            id: "c41".into(),
            method: "ssh".into(),
            credential: "SHA256:q0".into(),
            terminal: "pts/3".into(),
        }),
        display_name: "Alice Ångström".into(),
    }
}

fn what() -> v1::What {
    v1::What {
        action: "checkpoint.overwrite".into(),
        outcome: v1::Outcome::Success.into(),
        outcome_code: "0".into(),
        targets: vec![
            v1::Target {
                uri: "fs://a100/ckpt/run12/step_9000.pt".into(),
                instance: "66306:1181".into(),
                before: Some(v1::Version {
                    ids: vec![
                        format!("sha256:{}", "1b".repeat(32)),
                        format!("git-sha1:{}", "2c".repeat(20)),
                    ],
                    state: v1::VersionState::Unspecified.into(),
                    size: Some(13_958_643_712),
                }),
                after: Some(v1::Version {
                    ids: Vec::new(),
                    state: v1::VersionState::Pending.into(),
                    size: Some(0),
                }),
                owner: "slurm:a100/bob".into(),
                previous_uri: "fs://a100/ckpt/run12/step_8999.pt".into(),
                seen_as: "/mnt/ckpt/run12/step_9000.pt".into(),
                r#ref: "refs/heads/main".into(),
                format: "pickle".into(),
            },
            v1::Target {
                uri: "other:a thing".into(),
                ..Default::default()
            },
        ],
        run: Some(v1::Run {
            namespace: "a100".into(),
            job: "train/7b".into(),
            id: "run-44".into(),
            parent_id: "run-41".into(),
            attempt: 2,
            gpus: Some(0),
            nodes: vec!["a100-17".into(), "a100-18".into()],
        }),
        inputs: vec![v1::Reference {
            uri: "dataset://corp/pile".into(),
            version: Some(v1::Version {
                ids: vec!["v3".into()],
                ..Default::default()
            }),
            evidence: v1::Evidence::Observed.into(),
            role: "data".into(),
        }],
        outputs: vec![v1::Reference {
            uri: "s3://models/7b/step_9000".into(),
            version: None,
            evidence: v1::Evidence::Declared.into(),
            role: "checkpoint".into(),
        }],
        code: Some(v1::Code {
            repository: "git://git.example/train".into(),
            commit: "2c".repeat(20),
            path: "train.py".into(),
            dirty: true,
            image: "oci://registry.example/train:latest".into(),
        }),
        grantee: "oidc:corp/mallory".into(),
        permission: "write".into(),
        participants: vec!["oidc:corp/alice".into(), "oidc:corp/bob".into()],
        link: None,
        act: None,
    }
}

fn context() -> v1::Context {
    v1::Context {
        source: "host:a100-17".into(),
        source_seq: Some(0),
        source_id: "audit:1767323045.000:81".into(),
        occurred_at: Some(-1),
        observed_at: Some(1_767_323_044_999_999_999),
        host: "a100-17".into(),
        process: Some(v1::Process {
            pid: 4_194_304,
            executable: "/usr/bin/python3.12".into(),
            container: "c0ffee".into(),
            addresses: vec!["192.0.2.17".into(), "2001:db8::17".into()],
            user_agent: "torch/2.9".into(),
        }),
        correlation_id: "incident-3".into(),
        causation_seq: Some(0),
        idempotency_id: (0..16).collect(),
    }
}
