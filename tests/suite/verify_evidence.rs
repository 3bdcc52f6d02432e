//! Evidence: it says what was sealed and where, with as much shown as one likes, or it is refused.

use graven::entry::body::{Body, Content};
use graven::entry::genesis::Genesis;
use graven::entry::{Tag, v1};
use graven::merkle::verify_inclusion;
use graven::note::{CosignerKey, VerifierKey};
use graven::verify::{Check, Evidence, MAX_EVIDENCE_BYTES, Minimum, Reason, Verdict};
use prost::Message;

use super::verify_support::{NOON, ORIGIN, Sealer, erased, event, key, signed_event};

fn ledger() -> Sealer {
    Sealer::of_everything()
}

/// Of the one of which something was erased, with the entry that says so.
fn evidence_of(ledger: &Sealer, seq: u64) -> Evidence {
    let erasures = if seq == 2 { &[6][..] } else { &[] };
    ledger.erased_evidence(seq, erasures)
}

fn verdict(evidence: &Evidence, pinned: &VerifierKey) -> Verdict {
    evidence.verify(Some(pinned), None).verdict
}

#[track_caller]
fn tampered(evidence: &Evidence, ledger: &Sealer) -> Check {
    match verdict(evidence, &ledger.key.verifier()) {
        Verdict::Tampered(finding) => finding.check,
        other => panic!("not found out: {other}"),
    }
}

/// Every choice of the six tags.
fn choices() -> impl Iterator<Item = Vec<Tag>> {
    (0..64u8).map(|bits| {
        let chosen = Tag::ALL
            .into_iter()
            .filter(|tag| bits >> (tag.number() - 1) & 1 == 1);
        chosen.collect()
    })
}

#[test]
fn every_entry_of_a_ledger_has_evidence_that_verifies() {
    let ledger = ledger();
    for seq in 0..ledger.size() {
        let evidence = evidence_of(&ledger, seq);
        let report = evidence.verify(Some(&ledger.key.verifier()), None);
        assert_eq!(report.verdict, Verdict::Ok, "entry {seq}");
        assert_eq!(report.verdict.exit_code(), 0);
        assert!(report.checks.iter().all(|(_, result)| result.is_ok()));
        let signed = report
            .checks
            .iter()
            .any(|(check, _)| *check == Check::ActorSignature);
        assert_eq!(signed, seq == 5);
    }
}

#[test]
fn a_file_reads_back_as_what_was_written_and_is_written_the_same_again() {
    let ledger = ledger();
    for seq in 0..ledger.size() {
        for evidence in [
            ledger.evidence(seq),
            evidence_of(&ledger, seq),
            ledger.evidence(seq).withhold(&[Tag::Who]),
        ] {
            let json = evidence.to_json();
            assert!(json.ends_with("}\n"));
            let read = Evidence::from_json(json.as_bytes()).unwrap();
            assert_eq!(read, evidence);
            assert_eq!(read.to_json(), json);
        }
    }
}

#[test]
fn any_parts_can_be_withheld() {
    let ledger = ledger();
    for seq in [0, 2, 5, 6] {
        for tags in choices() {
            let evidence = evidence_of(&ledger, seq).withhold(&tags);
            let report = evidence.verify(Some(&ledger.key.verifier()), None);
            assert_eq!(report.verdict, Verdict::Ok, "entry {seq} without {tags:?}");
            for tag in tags {
                assert!(evidence.body.disclosed(tag).is_none());
                let is_part = evidence.body.content(tag).is_some();
                assert_eq!(report.not_shown.contains(&tag), is_part);
            }
        }
    }
}

#[test]
fn an_erased_part_is_withheld_unless_an_entry_says_that_it_was_erased() {
    let mut ledger = Sealer::new();
    (0..3).for_each(|number| ledger.append(&event(number)));
    ledger.erase(1, &[Tag::Why]);
    ledger.erase(1, &[Tag::Why, Tag::Detail]);
    ledger.erase(2, &[Tag::Why]);
    let pinned = ledger.key.verifier();
    let (why, detail, both, none): (&[u64], &[u64], &[u64], &[u64]) = (&[3], &[4], &[4, 3], &[]);
    for (erasures, by, withheld) in [
        // The lowest that names a part erased it, in whatever order they stand.
        (both, [Some(3), Some(4)], None),
        (detail, [Some(4), Some(4)], None),
        (why, [Some(3), None], Some((1, Tag::Detail))),
        (none, [None, None], Some((2, Tag::Why))),
    ] {
        let report = ledger
            .erased_evidence(1, erasures)
            .verify(Some(&pinned), None);
        let found = report
            .erased
            .iter()
            .map(|part| part.by.as_ref().map(|by| by.seq));
        assert_eq!(found.collect::<Vec<_>>(), by, "{erasures:?}");
        let reasons = withheld.map(|(parts, tag)| {
            let seq = 1;
            Verdict::CouldNotCheck(vec![Reason::Withheld { parts, seq, tag }])
        });
        assert_eq!(
            report.verdict,
            reasons.unwrap_or(Verdict::Ok),
            "{erasures:?}"
        );
    }
    // One that is about another entry proves nothing, and is none to show.
    let other = ledger.erased_evidence(1, &[5]);
    assert_eq!(tampered(&other, &ledger), Check::Erasure);
}

#[test]
fn what_is_withheld_from_a_signed_entry_cannot_be_guessed_from_the_seed() {
    let sent = signed_event(0).actor_signature.unwrap();
    let evidence = ledger().evidence(5).withhold(&[Tag::Why]);
    let envelope = evidence.body.disclosed(Tag::Envelope).unwrap();
    let shown = v1::Envelope::decode(envelope.clone())
        .unwrap()
        .actor_signature
        .unwrap();
    assert!(!sent.seed.is_empty() && shown.seed.is_empty());
}

#[test]
fn without_a_pinned_key_the_verdict_is_never_ok() {
    let ledger = ledger();
    let report = ledger.evidence(3).verify(None, None);
    let doubt = Reason::NoKeyPinned {
        key: ledger.key.verifier().to_string(),
    };
    assert_eq!(report.verdict, Verdict::CouldNotCheck(vec![doubt]));
    assert_eq!(report.verdict.exit_code(), 5);

    let mut forged = ledger.evidence(3);
    forged.header.recorded_at += 1;
    let report = forged.verify(None, None);
    assert!(matches!(report.verdict, Verdict::Tampered(_)));
    assert_eq!(report.verdict.exit_code(), 3);
}

#[test]
fn another_identity_is_refused() {
    let ledger = ledger();
    let evidence = ledger.evidence(3);
    for (pinned, check) in [
        (key(ORIGIN, 1), Check::Key),
        (key("ledger.example/other", 0), Check::Origin),
        // The one before the rotation, which signs no more.
        (key(ORIGIN, 0), Check::Key),
    ] {
        match verdict(&evidence, &pinned.verifier()) {
            Verdict::Tampered(finding) => assert_eq!(finding.check, check),
            other => panic!("{other}"),
        }
    }
    // Made by someone who names the victim's key and signs with another.
    let mut forger = Sealer::with_key(key(ORIGIN, 9));
    forger.append(&event(0));
    forger.append(&event(1));
    let mut forged = forger.evidence(1);
    forged.verifier_key = ledger.key.verifier();
    assert_eq!(tampered(&forged, &ledger), Check::Signature);
}

#[test]
fn every_small_change_of_a_file_is_refused_or_changes_nothing() {
    let mut ledger = Sealer::new();
    ledger.append(&event(0));
    ledger.append(&signed_event(1));
    ledger.append(&event(2));
    ledger.erase(1, &[Tag::Why]);
    let pinned = ledger.key.verifier();
    let hidden = [Tag::Who, Tag::Context, Tag::Detail];
    let mut evidence = ledger.erased_evidence(1, &[3]);
    // Without the care of Evidence::withhold: the signature is to be verified as well.
    evidence.body = erased(&evidence.body.withhold(&hidden), &[Tag::Why]);
    assert_eq!(verdict(&evidence, &pinned), Verdict::Ok);
    let json = evidence.to_json().into_bytes();
    let mut refused = 0;
    let mut check = |mutated: &[u8], what: &str, position: usize| {
        let Ok(read) = Evidence::from_json(mutated) else {
            refused += 1;
            return;
        };
        if read == evidence {
            return;
        }
        refused += 1;
        let verdict = verdict(&read, &pinned);
        let found_out = matches!(verdict, Verdict::Tampered(_));
        assert!(
            found_out,
            "{what} byte {position} of\n{}",
            String::from_utf8_lossy(mutated)
        );
    };
    for position in 0..json.len() {
        for flip in [0x01, 0x04, 0x20, 0x80] {
            let mut mutated = json.clone();
            mutated[position] ^= flip;
            check(&mutated, "changed", position);
        }
        let mut mutated = json.clone();
        mutated.remove(position);
        check(&mutated, "removed", position);
        let mut mutated = json.clone();
        mutated.insert(position, json[position]);
        check(&mutated, "doubled", position);
        check(&json[..position], "cut at", position);
    }
    assert!(refused > 6 * json.len());
}

#[test]
fn a_file_has_exactly_the_fields_it_must_have() {
    let ledger = ledger();
    let json = ledger.evidence(2).withhold(&[Tag::Who]).to_json();
    let malformed = |json: &str| Evidence::from_json(json.as_bytes()).unwrap_err().check;
    for (old, new) in [
        ("graven evidence v1", "graven evidence v2"),
        ("\"origin\":", "\"extra\": 1, \"origin\":"),
        (
            "\"origin\":",
            "\"origin\": \"ledger.example/main\", \"origin\":",
        ),
        ("\"salt\":", "\"comment\": \"\", \"salt\":"),
        ("\"part\": \"what\"", "\"part\": \"who\""),
        ("\"part\": \"what\"", "\"part\": \"What\""),
        ("\"withheld\":", "\"encoded\":"),
        ("\"withheld\":", "\"salt\": null, \"withheld\":"),
        ("\"withheld\":", "\"erased\": \"\", \"withheld\":"),
        ("index 2", "extra AAAA\\nindex 2"),
        ("index 2", "index 02"),
    ] {
        assert!(json.contains(old));
        assert_eq!(
            malformed(&json.replacen(old, new, 1)),
            Check::Format,
            "{new}"
        );
    }
    assert_eq!(malformed(&format!("{json}{{}}")), Check::Format);
    let other_origin = json.replacen(ORIGIN, "ledger.example/mainz", 1);
    assert_eq!(malformed(&other_origin), Check::Origin);
    let hash = format!("\"hash\": \"{:02x}", ledger.genesis.hash()[0]);
    let other_hash = format!("\"hash\": \"{:02x}", !ledger.genesis.hash()[0]);
    assert!(json.contains(&hash));
    assert_eq!(
        malformed(&json.replacen(&hash, &other_hash, 1)),
        Check::Genesis
    );
    let padded = format!("{json}{}", " ".repeat(MAX_EVIDENCE_BYTES));
    assert_eq!(malformed(&padded), Check::Format);
    let capitals = json.replacen("\"header\": \"01", "\"header\": \"0A", 1);
    assert_eq!(malformed(&capitals), Check::Format);
}

#[test]
fn one_proof_serves_one_index_and_size() {
    // The siblings of (1, 2) also lead to the root as (2, 3), (4, 5) and more; the size that counts
    // is the one that was signed, the index the one in the header.
    let mut ledger = Sealer::new();
    ledger.append(&event(0));
    ledger.append(&event(1));
    let good = ledger.evidence(1);
    let (leaf, root) = (good.header.leaf_hash(), ledger.tree().root());
    let aliases = [(2, 3), (4, 5), (8, 9)];
    for (index, size) in aliases {
        assert!(verify_inclusion(index, size, &leaf, &good.proof.hashes, &root).is_ok());
        let mut alias = good.clone();
        alias.proof.index = index;
        assert_eq!(tampered(&alias, &ledger), Check::Seq);
        alias.header.seq = index;
        assert_eq!(tampered(&alias, &ledger), Check::Root);
    }
}

#[test]
fn another_body_or_header_is_found_out() {
    let ledger = ledger();
    let good = ledger.evidence(3);
    let mut exchanged = good.clone();
    exchanged.body = ledger.bodies[4].clone();
    assert_eq!(tampered(&exchanged, &ledger), Check::Body);
    exchanged.header = ledger.headers[4].clone();
    assert_eq!(tampered(&exchanged, &ledger), Check::Seq);
    exchanged.proof.index = 4;
    assert_eq!(tampered(&exchanged, &ledger), Check::Root);

    let mut dropped = good.clone();
    dropped.body = Body::new(good.body.parts()[..4].to_vec()).unwrap();
    assert_eq!(tampered(&dropped, &ledger), Check::Body);

    let mut claimed = good;
    claimed.body = erased(&claimed.body, &[Tag::Who]);
    assert_eq!(tampered(&claimed, &ledger), Check::Erasure);
}

#[test]
fn an_envelope_that_does_not_fit_is_found_out_even_when_it_was_sealed() {
    let mut forger = Sealer::new();
    let mut unsigned = signed_event(0);
    unsigned.actor_signature = None;
    forger.append(&unsigned);
    forger.headers[0].actor_signature = true;
    assert_eq!(tampered(&forger.evidence(0), &forger), Check::Envelope);

    let mut forger = Sealer::new();
    let mut exchanged = signed_event(0);
    exchanged.actor_signature = signed_event(1).actor_signature;
    forger.append(&exchanged);
    assert_eq!(
        tampered(&forger.evidence(0), &forger),
        Check::ActorSignature
    );
    let hidden = forger.evidence(0).withhold(&[Tag::Envelope]);
    assert_eq!(verdict(&hidden, &forger.key.verifier()), Verdict::Ok);
}

#[test]
fn genesis_is_bound_by_entry_0() {
    let ledger = ledger();
    let other = Genesis::new(&key(ORIGIN, 0).verifier(), ORIGIN, [0; 32], NOON, None).unwrap();
    for seq in [0, 3] {
        let mut evidence = ledger.evidence(seq);
        evidence.genesis = other.clone();
        assert_eq!(tampered(&evidence, &ledger), Check::Genesis);
    }
    let mut unbound = ledger.evidence(3);
    unbound.first_entry = None;
    assert_eq!(tampered(&unbound, &ledger), Check::Format);
    let mut doubled = ledger.evidence(0);
    doubled.first_entry = ledger.evidence(1).first_entry;
    assert_eq!(tampered(&doubled, &ledger), Check::Format);

    let mut elsewhere = ledger.evidence(3);
    let first = elsewhere.first_entry.as_mut().unwrap();
    first.proof.checkpoint = ledger.checkpoint_at(1).parse().unwrap();
    first.proof.hashes.clear();
    assert_eq!(tampered(&elsewhere, &ledger), Check::Format);

    let mut not_first = ledger.evidence(3);
    let first = not_first.first_entry.as_mut().unwrap();
    first.header = ledger.headers[1].clone();
    first.proof = ledger.proof(1);
    assert_eq!(tampered(&not_first, &ledger), Check::Genesis);

    let mut forger = Sealer::of_everything();
    forger.headers[1].prev = forger.genesis.hash();
    let mut second = forger.evidence(3);
    let first = second.first_entry.as_mut().unwrap();
    first.header = forger.headers[1].clone();
    first.proof = forger.proof(1);
    assert_eq!(tampered(&second, &forger), Check::Genesis);
}

#[test]
fn genesis_names_a_logs_key_after_its_origin() {
    let key = key(ORIGIN, 0).verifier();
    let genesis = |origin| Genesis::new(&key, origin, [0; 32], NOON, None);
    assert!(genesis(ORIGIN).is_ok());
    let invalid = genesis("ledger.example/other").unwrap_err();
    assert_eq!(invalid.field, "verifier_key");
    let witness = CosignerKey::from_seed(ORIGIN, [1; 32]).unwrap().verifier();
    let invalid = Genesis::new(&witness, ORIGIN, [0; 32], NOON, None).unwrap_err();
    assert_eq!(invalid.field, "verifier_key");
}

#[test]
fn a_minimum_checkpoint_must_be_extended() {
    let ledger = ledger();
    let evidence = ledger.evidence(3);
    let pinned = ledger.key.verifier();
    let against = |note: &str, consistency: Option<&[[u8; 32]]>| {
        let minimum = Minimum { note, consistency };
        evidence.verify(Some(&pinned), Some(minimum)).verdict
    };
    let check = |verdict| match verdict {
        Verdict::Tampered(finding) => finding.check,
        other => panic!("{other}"),
    };
    assert_eq!(against(&ledger.checkpoint(), None), Verdict::Ok);
    assert_eq!(against(&ledger.checkpoint_at(0), None), Verdict::Ok);
    for size in 1..ledger.size() {
        let note = ledger.checkpoint_at(size);
        let proof = ledger.consistency(size);
        assert_eq!(against(&note, Some(&proof)), Verdict::Ok);
        let mut wrong = proof.clone();
        wrong[0][0] ^= 1;
        assert_eq!(check(against(&note, Some(&wrong))), Check::Minimum);
        let missing = Reason::NoConsistencyProof {
            minimum: size,
            size: ledger.size(),
        };
        assert_eq!(against(&note, None), Verdict::CouldNotCheck(vec![missing]));
    }
    let mut longer = Sealer::of_everything();
    longer.append(&event(50));
    // Evidence may be older than a checkpoint that was kept later.
    let before = Reason::BeforeMinimum {
        minimum: longer.size(),
        size: ledger.size(),
    };
    assert_eq!(
        against(&longer.checkpoint(), None),
        Verdict::CouldNotCheck(vec![before])
    );
    let mut fork = Sealer::of_everything();
    fork.headers[10].recorded_at += 1;
    assert_eq!(check(against(&fork.checkpoint(), None)), Check::Minimum);
    for unusable in ["", "nonsense", &Sealer::new().checkpoint()] {
        let verdict = against(unusable, None);
        assert!(
            matches!(&verdict, Verdict::CouldNotCheck(reasons)
                if matches!(reasons[..], [Reason::UnusableMinimum { .. }])),
            "{verdict}"
        );
    }
}

#[test]
fn acts_of_the_ledger_cannot_be_clients_events_and_the_other_way_round() {
    let ledger = ledger();
    let act: Vec<_> = disclosed(&ledger.bodies[6]);
    let client: Vec<_> = disclosed(&ledger.bodies[0]);
    for (kind, parts) in [
        (graven::entry::Kind::Event, act),
        (graven::entry::Kind::Act, client.clone()),
        (graven::entry::Kind::Seal, client),
    ] {
        let mut forger = Sealer::new();
        forger.seal(kind, false, graven::entry::Seed([1; 32]), parts);
        let report = forger
            .evidence(0)
            .verify(Some(&forger.key.verifier()), None);
        assert!(matches!(report.verdict, Verdict::Tampered(_)), "{kind:?}");
        let envelope = report
            .checks
            .iter()
            .find(|(check, _)| *check == Check::Envelope);
        assert!(envelope.unwrap().1.is_err());
    }
}

fn disclosed(body: &Body) -> Vec<(Tag, bytes::Bytes)> {
    let parts = body.parts().iter().map(|(tag, content)| match content {
        Content::Disclosed { bytes, .. } => (*tag, bytes.clone()),
        other => panic!("{other:?}"),
    });
    parts.collect()
}

#[test]
fn a_genesis_with_a_predecessor_is_carried_along() {
    let old = ledger();
    let key = key("ledger.example/next", 7);
    let predecessor = v1::Predecessor {
        origin: ORIGIN.into(),
        checkpoint: old.checkpoint(),
    };
    let origin = "ledger.example/next";
    let mut ledger = Sealer::with_key(key.clone());
    ledger.genesis =
        Genesis::new(&key.verifier(), origin, [3; 32], NOON, Some(predecessor)).unwrap();
    ledger.append(&event(0));
    let read = Evidence::from_json(ledger.evidence(0).to_json().as_bytes()).unwrap();
    assert_eq!(verdict(&read, &key.verifier()), Verdict::Ok);
    let carried = read.genesis.descriptor().predecessor.as_ref().unwrap();
    assert_eq!(carried.checkpoint, old.checkpoint());
}
