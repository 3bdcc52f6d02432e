//! Whose key signed an entry, as `graven show` tells: as entries before it say, and no others.

use ed25519_dalek::SigningKey;
use graven::entry::{CheckedEvent, Seed, signature, v1};
use graven::service::client::LedgerServiceClient;
use prost::Message;

use super::cli_support::{Server, stderr};

struct Site {
    server: Server,
    key: SigningKey,
    runtime: tokio::runtime::Runtime,
}

impl Site {
    /// Appends an event, which the key signs if `signed`, and gives its seq.
    fn append(&self, mut event: v1::Event, signed: bool) -> u64 {
        if signed {
            let encoded = event.encode_to_vec().into();
            let checked = CheckedEvent::check(&encoded).unwrap();
            let parts: Vec<_> = checked
                .parts
                .iter()
                .map(|(tag, bytes)| (*tag, bytes.as_ref()))
                .collect();
            let (seed, origin) = (Seed([4; 32]), &self.server.origin);
            event.actor_signature = Some(signature::sign(&self.key, &seed, origin, &parts));
        }
        let request = v1::AppendRequest {
            event: Some(event),
            ..Default::default()
        };
        let url = self.server.url.clone();
        let appended = self.runtime.block_on(async {
            let mut client = LedgerServiceClient::connect(url).await.unwrap();
            client.append(request).await.unwrap().into_inner()
        });
        appended.receipt.unwrap().first_seq
    }

    /// Appends what `actor` did, signed.
    fn signed(&self, actor: &str) -> u64 {
        self.append(event("file.update", "fs://nfs1/a", actor, ""), true)
    }

    /// Appends that the key is somebody's from now on, or is not any more.
    fn say(&self, action: &str, identity: &str) -> u64 {
        self.append(self.about_key(action, identity), false)
    }

    /// Appends that somebody tried to have it so.
    fn try_to_say(&self, action: &str, identity: &str, outcome: v1::Outcome) {
        let mut event = self.about_key(action, identity);
        event.what.as_mut().unwrap().outcome = outcome.into();
        self.append(event, false);
    }

    fn about_key(&self, action: &str, identity: &str) -> v1::Event {
        let key = self.key.verifying_key().to_bytes();
        let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        let target = format!("iam://ledger/key/{digits}");
        event(action, &target, "oidc:corp/admin", identity)
    }

    fn told(&self, seq: u64) -> String {
        let shown = self.server.run(&["show", &seq.to_string()], "");
        assert!(shown.status.success(), "{}", stderr(&shown));
        stderr(&shown)
    }
}

pub(super) fn event(action: &str, target: &str, actor: &str, grantee: &str) -> v1::Event {
    v1::Event {
        who: Some(v1::Who {
            actor: actor.into(),
            ..Default::default()
        }),
        what: Some(v1::What {
            action: action.into(),
            grantee: grantee.into(),
            targets: vec![v1::Target {
                uri: target.into(),
                ..Default::default()
            }],
            ..Default::default()
        }),
        context: Some(v1::Context {
            source: "test".into(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[test]
fn show_says_whether_the_key_of_a_signature_was_the_actors() {
    let site = Site {
        server: Server::dev(),
        key: SigningKey::from_bytes(&[9; 32]),
        runtime: tokio::runtime::Runtime::new().unwrap(),
    };
    let (alice, bob) = ("oidc:corp/alice", "oidc:corp/bob");
    let early = site.signed(alice);
    let unsigned = site.append(event("file.update", "fs://nfs1/a", alice, ""), false);
    site.try_to_say("key.register", alice, v1::Outcome::Denied);
    site.try_to_say("key.register", alice, v1::Outcome::Failure);
    let in_vain = site.signed(alice);
    let registered = site.say("key.register", alice);
    site.try_to_say("key.revoke", alice, v1::Outcome::Denied);
    site.try_to_say("key.revoke", alice, v1::Outcome::Failure);
    let attested = site.signed(alice);
    let others = site.signed(bob);
    let revoked = site.say("key.revoke", alice);
    let late = site.signed(alice);

    let holds = |seq: u64, expected: &str| {
        let told = site.told(seq);
        assert!(told.contains(expected), "{seq}: {told}");
    };
    // What came later changes nothing about what was, and what failed changes nothing.
    for seq in [early, in_vain] {
        holds(seq, "not attested: no entry before it says whose key it is");
    }
    let whose = format!(
        "attested: the key is {alice}'s, as entry {registered} says, sent by dev:anonymous"
    );
    holds(attested, &whose);
    assert!(!site.told(attested).contains("not attested"));
    let another = format!(
        "not attested: the key is not {bob}'s; entry {registered} says that it is {alice}'s"
    );
    holds(others, &another);
    let answer = site.server.run(&["log", "--attested", "-o", "jsonl"], "");
    let rows = String::from_utf8(answer.stdout.clone()).unwrap();
    let seq = |row: &str| serde_json::from_str::<serde_json::Value>(row).unwrap()["seq"].clone();
    assert_eq!(rows.lines().map(seq).collect::<Vec<_>>(), [attested]);
    let told_of_all = stderr(&answer);
    let relied_on =
        format!("a key is {alice}'s, as entry {registered} says, sent by dev:anonymous");
    assert!(told_of_all.contains(&relied_on), "{told_of_all}");
    let left_out = "signed, not attested, and not shown: 4 entries";
    assert!(told_of_all.contains(left_out), "{told_of_all}");
    let over = format!("not attested: entry {revoked} had revoked the key, sent by dev:anonymous");
    holds(late, &over);
    assert!(!site.told(unsigned).contains("attested"));
}

#[test]
fn a_filter_tells_entries_with_a_signature() {
    let site = Site {
        server: Server::dev(),
        key: SigningKey::from_bytes(&[9; 32]),
        runtime: tokio::runtime::Runtime::new().unwrap(),
    };
    let alice = "oidc:corp/alice";
    let signed = site.signed(alice);
    let unsigned = site.append(event("file.update", "fs://nfs1/a", alice, ""), false);
    let others = site.signed("oidc:corp/bob");

    let seqs = |filter: &str| {
        let arguments = ["log", filter, "--explain", "-o", "jsonl"];
        let answer = site.server.run(&arguments, "");
        let told = stderr(&answer);
        assert!(answer.status.success(), "{told}");
        // Nothing is missing from the answer: the server cannot leave out a signed entry.
        assert!(told.contains("complete to checkpoint"), "{told}");
        assert!(told.contains("judged    signed (not indexed)"), "{told}");
        let rows = String::from_utf8(answer.stdout).unwrap();
        let seq = |row: &str| {
            let row: serde_json::Value = serde_json::from_str(row).unwrap();
            row["seq"].as_u64().unwrap()
        };
        rows.lines().map(seq).collect::<Vec<u64>>()
    };
    assert_eq!(seqs("signed = true"), [signed, others]);
    assert_eq!(seqs(&format!("actor = {alice} signed = true")), [signed]);
    assert_eq!(seqs(&format!("actor = {alice} signed = false")), [unsigned]);
}
