//! Audits: whatever was done to a ledger, they say that it was, and where.

use bytes::Bytes;
use graven::entry::v1::ledger_act::Act;
use graven::entry::{Header, Kind, Seed, Tag, signature, v1};
use graven::note::{Checkpoint, Rotation, VerifierKey};
use graven::verify::{Audit, AuditReport, Check, Reason, Verdict, check_entry};
use prost::Message;

use super::verify_support::{
    ORIGIN, Sealer, act_parts, envelope, erased, erasure, event, key, ledger_envelope, signed_event,
};

/// What a server would hand over, with the signed checkpoint.
fn audit_with(
    ledger: &Sealer,
    checkpoint: &str,
    pinned: Option<&VerifierKey>,
    minimum: Option<&str>,
) -> AuditReport {
    let mut audit = Audit::new(&ledger.genesis, pinned, minimum);
    for (header, body) in ledger.headers.iter().zip(&ledger.bodies) {
        if audit.push(&header.encode(), body).is_err() {
            break;
        }
    }
    audit.finish(checkpoint)
}

fn first_key() -> VerifierKey {
    key(ORIGIN, 0).verifier()
}

/// Tampers with a ledger whose checkpoint someone holds; gives where and how that is found out.
#[track_caller]
fn after(tamper: impl FnOnce(&mut Sealer)) -> (Option<u64>, Check) {
    let mut ledger = Sealer::of_everything();
    let checkpoint = ledger.checkpoint();
    tamper(&mut ledger);
    found(audit_with(&ledger, &checkpoint, Some(&first_key()), None))
}

#[track_caller]
fn found(report: AuditReport) -> (Option<u64>, Check) {
    match report.verdict {
        Verdict::Tampered(finding) => (finding.seq, finding.check),
        other => panic!("not found out: {other}"),
    }
}

#[test]
fn an_untouched_ledger_is_ok() {
    let ledger = Sealer::of_everything();
    let report = audit_with(&ledger, &ledger.checkpoint(), Some(&first_key()), None);
    assert_eq!(report.verdict, Verdict::Ok);
    assert_eq!(report.entries, 11);
    assert_eq!(report.key, key(ORIGIN, 64).verifier());
    assert_eq!(report.erased, [(2, Tag::Why), (2, Tag::Detail)]);
    assert_eq!(report.withheld, []);
    assert_eq!(report.checkpoint.unwrap().size(), 11);
}

#[test]
fn an_empty_ledger_is_ok() {
    let ledger = Sealer::new();
    let report = audit_with(&ledger, &ledger.checkpoint(), Some(&first_key()), None);
    assert_eq!(report.verdict, Verdict::Ok);
}

#[test]
fn entries_checked_apart_fold_to_the_same() {
    let ledger = Sealer::of_everything();
    let entries = ledger.headers.iter().zip(&ledger.bodies);
    let checked: Vec<_> = (0..)
        .zip(entries)
        .map(|(seq, (header, body))| check_entry(ORIGIN, seq, &header.encode(), body).unwrap())
        .collect();
    let mut audit = Audit::new(&ledger.genesis, Some(&first_key()), None);
    checked.iter().for_each(|entry| audit.fold(entry).unwrap());
    assert_eq!(audit.finish(&ledger.checkpoint()).verdict, Verdict::Ok);

    let header = ledger.headers[4].encode();
    let misplaced = check_entry(ORIGIN, 3, &header, &ledger.bodies[4]).unwrap_err();
    assert_eq!((misplaced.seq, misplaced.check), (Some(3), Check::Seq));

    let mut audit = Audit::new(&ledger.genesis, Some(&first_key()), None);
    audit.fold(&checked[0]).unwrap();
    let finding = audit.fold(&checked[2]).unwrap_err();
    assert_eq!((finding.seq, finding.check), (Some(1), Check::Seq));
    // The first finding stays, whatever follows.
    assert_eq!(audit.fold(&checked[1]).unwrap_err(), finding);
    let report = audit.finish(&ledger.checkpoint());
    assert_eq!(report.entries, 1);
    assert_eq!(report.verdict, Verdict::Tampered(finding));
}

#[test]
fn an_altered_part_is_found_where_it_is() {
    for seq in 0..11usize {
        let place = after(|ledger| {
            let other = ledger.bodies[(seq + 1) % 11].clone();
            ledger.bodies[seq] = other;
        });
        assert_eq!(place, (Some(seq as u64), Check::Body));
    }
}

#[test]
fn swapped_bodies_are_found_at_the_first() {
    let place = after(|ledger| ledger.bodies.swap(3, 4));
    assert_eq!(place, (Some(3), Check::Body));
}

#[test]
fn an_altered_header_breaks_the_chain_behind_it() {
    for seq in 0..11usize {
        // With its body, so that only the neighbours can tell.
        let place = after(|ledger| ledger.headers[seq].recorded_at += 1);
        let expected = match seq {
            10 => (None, Check::Root),
            _ => (Some(seq as u64 + 1), Check::Chain),
        };
        assert_eq!(place, expected);
    }
}

#[test]
fn history_rewritten_to_the_end_does_not_have_the_signed_root() {
    for seq in 0..7usize {
        let place = after(|ledger| {
            ledger.headers[seq].recorded_at += 1;
            // The rotation names the root below it, and cannot be signed again.
            ledger.rechain(seq + 1);
        });
        assert_eq!(place, (Some(7), Check::KeyRotation));
    }
    for seq in 7..11usize {
        let place = after(|ledger| {
            ledger.headers[seq].recorded_at += 1;
            ledger.rechain(seq + 1);
        });
        assert_eq!(place, (None, Check::Root));
    }
}

#[test]
fn a_removed_entry_is_found_where_it_was() {
    for seq in 0..11usize {
        let place = after(|ledger| {
            ledger.headers.remove(seq);
            ledger.bodies.remove(seq);
        });
        let check = if seq == 10 { Check::Size } else { Check::Seq };
        assert_eq!(place, (Some(seq as u64), check));
    }
}

#[test]
fn a_removed_entry_is_found_when_those_behind_are_renumbered() {
    let place = after(|ledger| {
        ledger.headers.remove(8);
        ledger.bodies.remove(8);
        (8..)
            .zip(&mut ledger.headers[8..])
            .for_each(|(seq, header)| header.seq = seq);
    });
    assert_eq!(place, (Some(8), Check::Chain));
    let place = after(|ledger| {
        ledger.headers.remove(8);
        ledger.bodies.remove(8);
        (8..)
            .zip(&mut ledger.headers[8..])
            .for_each(|(seq, header)| header.seq = seq);
        ledger.rechain(8);
    });
    assert_eq!(place, (Some(10), Check::Size));
}

#[test]
fn an_inserted_entry_is_found_where_it_is() {
    for seq in 0..11usize {
        let place = after(|ledger| {
            ledger.headers.insert(seq, ledger.headers[seq].clone());
            ledger.bodies.insert(seq, ledger.bodies[seq].clone());
        });
        assert_eq!(place, (Some(seq as u64 + 1), Check::Seq));
    }
    let place = after(|ledger| ledger.append(&event(99)));
    assert_eq!(place, (Some(11), Check::Size));
}

#[test]
fn reordered_entries_are_found_at_the_first() {
    for seq in 0..10usize {
        let place = after(|ledger| {
            ledger.headers.swap(seq, seq + 1);
            ledger.bodies.swap(seq, seq + 1);
        });
        assert_eq!(place, (Some(seq as u64), Check::Seq));
    }
}

#[test]
fn a_cut_off_tail_is_found_at_the_first_entry_that_is_missing() {
    for size in 0..11usize {
        let place = after(|ledger| {
            ledger.headers.truncate(size);
            ledger.bodies.truncate(size);
        });
        // Below the rotation the checkpoint is by a key that nobody has handed over to.
        let expected = match size {
            0..8 => (None, Check::Signature),
            _ => (Some(size as u64), Check::Size),
        };
        assert_eq!(place, expected);
    }
}

#[test]
fn a_ledger_that_seals_an_earlier_time_is_found_out() {
    let mut ledger = Sealer::new();
    (0..3).for_each(|number| ledger.append(&event(number)));
    ledger.clock -= 1_001;
    ledger.append(&event(3));
    let report = audit_with(&ledger, &ledger.checkpoint(), Some(&first_key()), None);
    assert_eq!(found(report), (Some(3), Check::Time));
    // The same time again is none earlier.
    let mut ledger = Sealer::new();
    ledger.append(&event(0));
    ledger.clock -= 1_000;
    ledger.append(&event(1));
    let report = audit_with(&ledger, &ledger.checkpoint(), Some(&first_key()), None);
    assert_eq!(report.verdict, Verdict::Ok);
}

#[test]
fn headers_that_mean_nothing_are_found_where_they_are() {
    let ledger = Sealer::of_everything();
    for (position, value) in [(0, 2), (1, 0), (1, 4), (2, 2), (2, 0x81)] {
        let mut audit = Audit::new(&ledger.genesis, None, None);
        audit
            .push(&ledger.headers[0].encode(), &ledger.bodies[0])
            .unwrap();
        let mut header = ledger.headers[1].encode();
        header[position] = value;
        let finding = audit.push(&header, &ledger.bodies[1]).unwrap_err();
        assert_eq!((finding.seq, finding.check), (Some(1), Check::Header));
    }
    let mut audit = Audit::new(&ledger.genesis, None, None);
    let finding = audit.push(&[1; 82], &ledger.bodies[0]).unwrap_err();
    assert_eq!((finding.seq, finding.check), (Some(0), Check::Header));
}

#[test]
fn checkpoints_by_others_or_of_others_are_refused() {
    let ledger = Sealer::of_everything();
    let root = ledger.tree().root();
    let signed = |origin: &str, name: &str, first: u8| {
        let checkpoint = Checkpoint::new(origin, 11, root).unwrap();
        checkpoint.sign(&key(name, first))
    };
    let other = "ledger.example/other";
    for (checkpoint, check) in [
        (signed(ORIGIN, ORIGIN, 3), Check::Signature),
        // The key from before the rotation.
        (signed(ORIGIN, ORIGIN, 0), Check::Signature),
        (signed(other, other, 64), Check::Signature),
        (signed(other, ORIGIN, 64), Check::Origin),
        (
            Checkpoint::new(ORIGIN, 11, root).unwrap().to_string(),
            Check::Format,
        ),
        (String::new(), Check::Format),
    ] {
        let report = audit_with(&ledger, &checkpoint, Some(&first_key()), None);
        assert_eq!(report.checkpoint, None);
        assert_eq!(found(report), (None, check));
    }
}

#[test]
fn the_pinned_key_is_one_that_the_ledger_has_or_had() {
    let ledger = Sealer::of_everything();
    let checkpoint = ledger.checkpoint();
    for good in [first_key(), key(ORIGIN, 64).verifier()] {
        let report = audit_with(&ledger, &checkpoint, Some(&good), None);
        assert_eq!(report.verdict, Verdict::Ok);
    }
    for bad in [key(ORIGIN, 65), key("ledger.example/other", 0)] {
        let report = audit_with(&ledger, &checkpoint, Some(&bad.verifier()), None);
        assert_eq!(found(report), (None, Check::Key));
    }
    let report = audit_with(&ledger, &checkpoint, None, None);
    let doubt = Reason::NoKeyPinned {
        key: key(ORIGIN, 64).verifier().to_string(),
    };
    assert_eq!(report.verdict, Verdict::CouldNotCheck(vec![doubt]));
}

#[test]
fn another_genesis_is_found_at_entry_0() {
    let mut ledger = Sealer::of_everything();
    let checkpoint = ledger.checkpoint();
    ledger.genesis = Sealer::with_key(key("ledger.example/other", 0)).genesis;
    let report = audit_with(&ledger, &checkpoint, None, None);
    // The signed entry would be of another origin too, but entry 0 comes first.
    assert_eq!(found(report), (Some(0), Check::Genesis));
}

#[test]
fn a_key_takes_over_only_with_the_consent_of_the_one_before() {
    let rotated = |statement: &dyn Fn(&Sealer) -> String| {
        let mut ledger = Sealer::new();
        ledger.append(&event(0));
        ledger.append(&event(1));
        let statement = statement(&ledger);
        ledger.act(
            Kind::Act,
            "ledger.rotate",
            Act::KeyRotation(v1::KeyRotation { statement }),
        );
        ledger.key = key(ORIGIN, 64);
        audit_with(&ledger, &ledger.checkpoint(), Some(&first_key()), None)
    };
    let next = key(ORIGIN, 64);
    let honest = rotated(&|ledger| ledger.rotation(&next).to_string());
    assert_eq!(honest.verdict, Verdict::Ok);

    let of = |ledger: &Sealer, size: u64, from: u8| {
        let root = ledger.tree().root_at(size);
        let from = key(ORIGIN, from);
        let (old, new) = (from.verifier(), next.verifier());
        let rotation = Rotation::new(ORIGIN, size, root, old, new).unwrap();
        rotation.sign(&from, &next).unwrap().to_string()
    };
    let refused: [&dyn Fn(&Sealer) -> String; 6] = [
        &|ledger| {
            let (from, root) = (key(ORIGIN, 0), ledger.tree().root());
            let (old, new) = (from.verifier(), next.verifier());
            let rotation = Rotation::new(ORIGIN, 3, root, old, new).unwrap();
            rotation.sign(&from, &next).unwrap().to_string()
        },
        &|ledger| of(ledger, 2, 33),
        &|ledger| of(ledger, 1, 0),
        &|ledger| {
            let mut other = Sealer::new();
            other.append(&event(0));
            other.append(&event(2));
            assert_eq!(other.size(), ledger.size());
            of(&other, 2, 0)
        },
        // Without the old key's signature.
        &|ledger| {
            let note = of(ledger, 2, 0);
            let lines: Vec<_> = note.lines().collect();
            lines
                .iter()
                .enumerate()
                .filter(|(i, _)| *i != 7)
                .map(|(_, l)| format!("{l}\n"))
                .collect()
        },
        &|_| String::new(),
    ];
    for statement in refused {
        assert_eq!(found(rotated(statement)), (Some(2), Check::KeyRotation));
    }
}

#[test]
fn a_part_missing_without_an_entry_that_says_so_is_withheld() {
    let mut ledger = Sealer::of_everything();
    let checkpoint = ledger.checkpoint();
    ledger.bodies[3] = erased(&ledger.bodies[3], &[Tag::Why]);
    ledger.bodies[4] = ledger.bodies[4]
        .clone()
        .withhold(&[Tag::Who, Tag::Envelope]);
    let report = audit_with(&ledger, &checkpoint, Some(&first_key()), None);
    assert_eq!(report.erased, [(2, Tag::Why), (2, Tag::Detail)]);
    assert_eq!(
        report.withheld,
        [(3, Tag::Why), (4, Tag::Envelope), (4, Tag::Who)]
    );
    let reason = Reason::Withheld {
        parts: 3,
        seq: 3,
        tag: Tag::Why,
    };
    assert_eq!(report.verdict, Verdict::CouldNotCheck(vec![reason]));
    // Held back where an entry says erased: there is nothing more to be had.
    let mut ledger = Sealer::of_everything();
    ledger.bodies[2] = ledger.bodies[2].clone().withhold(&[Tag::Why]);
    let report = audit_with(&ledger, &checkpoint, Some(&first_key()), None);
    assert_eq!(report.verdict, Verdict::Ok);
}

#[test]
fn only_why_and_detail_can_have_been_erased() {
    for tag in [Tag::Envelope, Tag::Who, Tag::What, Tag::Context] {
        let place = after(|ledger| ledger.bodies[1] = erased(&ledger.bodies[1], &[tag]));
        assert_eq!(place, (Some(1), Check::Erasure));
    }
}

/// Seals one wrong entry behind a good one, with everything signed as it should be.
fn sealing(kind: Kind, flag: bool, parts: Vec<(Tag, Bytes)>) -> (Option<u64>, Check) {
    let mut ledger = Sealer::new();
    ledger.append(&event(0));
    ledger.seal(kind, flag, Seed([7; 32]), parts);
    found(audit_with(
        &ledger,
        &ledger.checkpoint(),
        Some(&first_key()),
        None,
    ))
}

fn client_parts() -> Vec<(Tag, Bytes)> {
    let mut parts = vec![(Tag::Envelope, Bytes::from(envelope().encode_to_vec()))];
    parts.extend(event(1).parts);
    parts
}

fn ledger_parts() -> Vec<(Tag, Bytes)> {
    act_parts("ledger.erase", erasure(0, &[Tag::Why]))
}

#[test]
fn a_ledger_that_breaks_the_rules_is_found_out_though_all_hashes_agree() {
    // Acts as events, events as acts.
    assert_eq!(
        sealing(Kind::Event, false, ledger_parts()),
        (Some(1), Check::Part)
    );
    let mut disguised = client_parts();
    disguised[0] = ledger_parts()[0].clone();
    assert_eq!(
        sealing(Kind::Event, false, disguised),
        (Some(1), Check::Envelope)
    );
    assert_eq!(
        sealing(Kind::Act, false, client_parts()),
        (Some(1), Check::Envelope)
    );
    assert_eq!(
        sealing(Kind::Seal, false, ledger_parts()),
        (Some(1), Check::Act)
    );
    // A flag without a signature, a signature without the flag, a signature of something else.
    assert_eq!(
        sealing(Kind::Event, true, client_parts()),
        (Some(1), Check::Envelope)
    );
    let mut signed = client_parts();
    let mut with_signature = envelope();
    with_signature.actor_signature = signed_event(5)
        .actor_signature
        .as_ref()
        .map(signature::without_seed);
    signed[0].1 = with_signature.encode_to_vec().into();
    assert_eq!(
        sealing(Kind::Event, false, signed.clone()),
        (Some(1), Check::Envelope)
    );
    assert_eq!(
        sealing(Kind::Event, true, signed),
        (Some(1), Check::ActorSignature)
    );
    let mut signed_act = ledger_parts();
    let mut with_signature = ledger_envelope();
    with_signature.actor_signature = signed_event(5)
        .actor_signature
        .as_ref()
        .map(signature::without_seed);
    signed_act[0].1 = with_signature.encode_to_vec().into();
    assert_eq!(
        sealing(Kind::Act, true, signed_act),
        (Some(1), Check::Envelope)
    );
    // Redactions of an act, in no order, without a count, of a field that is never changed, beside an actor's signature.
    let note = |rule: &str, field: &str, count| v1::Redaction {
        rule: rule.into(),
        field: field.into(),
        count,
    };
    let good = note("a", "why.reason", 1);
    let mut noted = ledger_envelope();
    noted.redactions = vec![good.clone()];
    let mut act = ledger_parts();
    act[0].1 = noted.encode_to_vec().into();
    assert_eq!(sealing(Kind::Act, false, act), (Some(1), Check::Envelope));
    for redactions in [
        vec![good.clone(), good.clone()],
        vec![good.clone(), note("a", "detail.content", 1)],
        vec![note("a", "why.reason", 0)],
        vec![note("a", "who.actor", 1)],
    ] {
        let mut parts = client_parts();
        let noted = v1::Envelope {
            redactions,
            ..envelope()
        };
        parts[0].1 = noted.encode_to_vec().into();
        assert_eq!(
            sealing(Kind::Event, false, parts),
            (Some(1), Check::Envelope)
        );
    }
    // Parts that are not there, or not what they should be.
    for missing in [0, 2, 3] {
        let mut parts = client_parts();
        parts.remove(missing);
        assert_eq!(sealing(Kind::Event, false, parts), (Some(1), Check::Part));
    }
    let mut unknown_field = client_parts();
    let bytes = [unknown_field[1].1.as_ref(), &[0x7a, 0x00]].concat();
    unknown_field[1].1 = bytes.into();
    assert_eq!(
        sealing(Kind::Event, false, unknown_field),
        (Some(1), Check::Part)
    );
}

#[test]
fn acts_that_make_no_sense_are_found_out() {
    let seal_of = |root: Vec<u8>| {
        let level = v1::SealLevel { segments: 1, root };
        Act::Seal(v1::Seal {
            index_version: 1,
            levels: vec![level],
        })
    };
    let adoption = |size, root: Vec<u8>| {
        Act::Adoption(v1::Adoption {
            size,
            root,
            found: String::new(),
        })
    };
    for (kind, action, act) in [
        (Kind::Act, "ledger.erase", erasure(1, &[Tag::Why])),
        (Kind::Act, "ledger.erase", erasure(0, &[])),
        (Kind::Act, "ledger.erase", erasure(0, &[Tag::Who])),
        (Kind::Act, "ledger.erase", erasure(0, &[Tag::Who, Tag::Why])),
        (
            Kind::Act,
            "ledger.erase",
            erasure(0, &[Tag::Detail, Tag::Why]),
        ),
        (Kind::Act, "file.update", erasure(0, &[Tag::Why])),
        (Kind::Act, "ledger.seal", seal_of(vec![0; 32])),
        (Kind::Seal, "ledger.seal", seal_of(Vec::new())),
        (Kind::Seal, "ledger.seal", erasure(0, &[Tag::Why])),
        (Kind::Act, "ledger.adopt", adoption(2, vec![0; 32])),
        (Kind::Act, "ledger.adopt", adoption(1, Vec::new())),
        (
            Kind::Act,
            "ledger.policy",
            Act::PolicyChange(v1::PolicyChange::default()),
        ),
        (
            Kind::Act,
            "ledger.redaction",
            Act::RedactionChange(v1::RedactionChange::default()),
        ),
    ] {
        let what = format!("{kind:?} {action} {act:?}");
        let place = sealing(kind, false, act_parts(action, act));
        assert_eq!(place, (Some(1), Check::Act), "{what}");
    }
    let empty = v1::What {
        action: "ledger.nothing".into(),
        act: Some(v1::LedgerAct { act: None }),
        ..Default::default()
    };
    let mut parts = ledger_parts();
    parts[1].1 = empty.encode_to_vec().into();
    assert_eq!(sealing(Kind::Act, false, parts), (Some(1), Check::Act));
}

#[test]
fn a_minimum_checkpoint_must_be_a_prefix() {
    let ledger = Sealer::of_everything();
    let checkpoint = ledger.checkpoint();
    let against =
        |minimum: &str| audit_with(&ledger, &checkpoint, Some(&first_key()), Some(minimum)).verdict;
    let old_key = key(ORIGIN, 0);
    for size in 0..=11 {
        let root = ledger.tree().root_at(size);
        let minimum = Checkpoint::new(ORIGIN, size, root).unwrap();
        assert_eq!(against(&minimum.sign(&old_key)), Verdict::Ok);
        assert_eq!(against(&minimum.sign(&ledger.key)), Verdict::Ok);
    }
    let finding = |verdict| match verdict {
        Verdict::Tampered(finding) => (finding.seq, finding.check),
        other => panic!("{other}"),
    };
    let fork = Checkpoint::new(ORIGIN, 5, [9; 32]).unwrap().sign(&old_key);
    assert_eq!(finding(against(&fork)), (None, Check::Minimum));
    let longer = Checkpoint::new(ORIGIN, 12, [9; 32]).unwrap().sign(&old_key);
    assert_eq!(finding(against(&longer)), (Some(11), Check::Minimum));
    let foreign = Checkpoint::new(ORIGIN, 5, [9; 32])
        .unwrap()
        .sign(&key(ORIGIN, 5));
    for unusable in ["", "nonsense", &foreign] {
        assert!(matches!(
            &against(unusable),
            Verdict::CouldNotCheck(reasons) if matches!(reasons[..], [Reason::UnusableMinimum { .. }])
        ));
    }
}

#[test]
fn every_changed_byte_of_a_header_is_found_out() {
    let ledger = Sealer::of_everything();
    let checkpoint = ledger.checkpoint();
    for seq in 0..ledger.headers.len() {
        for position in 0..Header::LEN {
            let mut audit = Audit::new(&ledger.genesis, Some(&first_key()), None);
            for (index, header) in ledger.headers.iter().enumerate() {
                let mut bytes = header.encode();
                if index == seq {
                    bytes[position] ^= 0x01;
                }
                if audit.push(&bytes, &ledger.bodies[index]).is_err() {
                    break;
                }
            }
            let (place, _) = found(audit.finish(&checkpoint));
            let near = [Some(seq as u64), Some(seq as u64 + 1), None];
            assert!(near.contains(&place), "byte {position} of {seq}: {place:?}");
        }
    }
}
