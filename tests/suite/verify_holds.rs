//! Erasures held against holds: by the entries alone, whatever a server or a store says is in force.

use graven::entry::v1::ledger_act::Act;
use graven::entry::{Header, Kind, Seed, Tag, v1};
use graven::verify::{Audit, Check, Finding, Reason, Verdict};
use prost::Message;

use super::verify_support::{Sealer, act_parts, envelope, erased, event, numbered};

const SECRETS: u64 = 6;

fn with_events() -> Sealer {
    let mut ledger = Sealer::new();
    (0..SECRETS).for_each(|number| ledger.append(&event(number)));
    ledger
}

/// Seals what an operator ordered.
fn order(ledger: &mut Sealer, action: &str, act: Act) {
    let mut parts = act_parts(action, act);
    parts[0].1 = envelope().encode_to_vec().into();
    let seed = Seed(numbered(ledger.size()));
    ledger.seal(Kind::Act, false, seed, parts);
}

fn hold(name: &str, seqs: &[u64], filter: &str) -> Act {
    let range = |seq: &u64| v1::SeqRange {
        first_seq: *seq,
        end_seq: seq + 1,
    };
    Act::Hold(v1::Hold {
        name: name.into(),
        ticket: "CASE-9".into(),
        entries: seqs.iter().map(range).collect(),
        filter: filter.into(),
        ..Default::default()
    })
}

fn release(name: &str, hold_seq: u64) -> Act {
    Act::Release(v1::Release {
        name: name.into(),
        hold_seq,
        ..Default::default()
    })
}

/// Seals the erasure of the detail of an entry, and takes it away.
fn erase(ledger: &mut Sealer, seq: u64) {
    let act = Act::RangeErasure(v1::RangeErasure {
        entries: vec![v1::SeqRange {
            first_seq: seq,
            end_seq: seq + 1,
        }],
        parts: vec![6],
        ticket: "LEGAL-1".into(),
        ..Default::default()
    });
    order(ledger, "ledger.erase", act);
    let body = &mut ledger.bodies[seq as usize];
    *body = erased(body, &[Tag::Detail]);
}

/// The audit of a ledger, with a second look at the entries of `second` where that is needed.
fn audit(ledger: &Sealer, second: &Sealer) -> Verdict {
    let mut audit = Audit::new(&ledger.genesis, Some(&ledger.key.verifier()), None);
    for (header, body) in ledger.headers.iter().zip(&ledger.bodies) {
        if audit.push(&header.encode(), body).is_err() {
            break;
        }
    }
    if let Some(mut look) = audit.second_look() {
        let entries = second.headers.iter().zip(&second.bodies);
        let mut entries = entries.take(look.end() as usize);
        let push = |(header, body): (&Header, _)| {
            let body = look.needs_parts().then_some(body);
            look.push(header, body)
        };
        let finding = entries.try_for_each(push).err();
        audit.settle(&look, finding);
    }
    audit.finish(&ledger.checkpoint()).verdict
}

#[track_caller]
fn found(verdict: Verdict) -> (Option<u64>, Check, String) {
    match verdict {
        Verdict::Tampered(Finding {
            seq,
            check,
            expected,
            ..
        }) => (seq, check, expected),
        other => panic!("not found out: {other}"),
    }
}

#[test]
fn an_erasure_under_a_hold_is_found_at_its_own_place() {
    for (seqs, filter) in [
        (&[4, 2][1..], ""),
        (&[][..], "target:\"adam2.py\""),
        (&[5][..], "target:\"adam2.py\" OR seq = 99"),
    ] {
        let mut ledger = with_events();
        order(&mut ledger, "ledger.hold", hold("case", seqs, filter));
        erase(&mut ledger, 3);
        assert_eq!(audit(&ledger, &ledger), Verdict::Ok, "{filter}");
        erase(&mut ledger, 2);
        // More entries, and one more erasure that is none of the hold's.
        ledger.append(&event(9));
        erase(&mut ledger, 1);
        let (seq, check, said) = found(audit(&ledger, &ledger));
        assert_eq!((seq, check), (Some(SECRETS + 2), Check::Hold), "{filter}");
        assert!(
            said.contains("entry 2") && said.contains("\"case\""),
            "{said}"
        );
    }
}

#[test]
fn only_a_hold_in_force_at_its_place_forbids_an_erasure() {
    for filter in ["", "target:\"adam2.py\""] {
        let seqs = if filter.is_empty() { &[2][..] } else { &[] };
        let mut ledger = with_events();
        order(&mut ledger, "ledger.hold", hold("case", seqs, filter));
        let placed = SECRETS;
        order(&mut ledger, "ledger.release", release("case", placed));
        erase(&mut ledger, 2);
        order(&mut ledger, "ledger.hold", hold("case", seqs, filter));
        assert_eq!(audit(&ledger, &ledger), Verdict::Ok);
        // It is in force from its own place on, also over what comes behind it.
        let mut late = with_events();
        order(&mut late, "ledger.hold", hold("case", &[], "actor:*"));
        late.append(&event(8));
        erase(&mut late, SECRETS + 1);
        assert_eq!(found(audit(&late, &late)).0, Some(SECRETS + 2));
    }
}

#[test]
fn holds_are_placed_and_released_one_after_the_other() {
    let mut ledger = with_events();
    order(&mut ledger, "ledger.hold", hold("case", &[2], ""));
    let mut twice = ledger;
    order(&mut twice, "ledger.hold", hold("case", &[5], ""));
    let at = (Some(SECRETS + 1), Check::Hold);
    let of = |(seq, check, _)| (seq, check);
    assert_eq!(of(found(audit(&twice, &twice))), at);
    for act in [release("case", 0), release("other", SECRETS)] {
        let mut ledger = with_events();
        order(&mut ledger, "ledger.hold", hold("case", &[2], ""));
        order(&mut ledger, "ledger.release", act);
        assert_eq!(of(found(audit(&ledger, &ledger))), at);
    }
}

#[test]
fn what_cannot_be_told_of_a_hold_is_said() {
    let mut ledger = with_events();
    let filter = "actor = \"oidc:corp/nobody\"";
    order(&mut ledger, "ledger.hold", hold("case", &[], filter));
    erase(&mut ledger, 2);
    let doubt = |verdict| match verdict {
        Verdict::CouldNotCheck(reasons) => reasons,
        other => panic!("{other}"),
    };
    let untold = Reason::HoldsNotCompared {
        erasure: SECRETS + 1,
    };
    // Nothing is shown again, or too little.
    let mut short = with_events();
    short.headers.truncate(3);
    for second in [&Sealer::new(), &short] {
        assert!(doubt(audit(&ledger, second)).contains(&untold));
    }
    // Others than before.
    let mut others = with_events();
    others.headers[4].recorded_at += 1;
    order(&mut others, "ledger.hold", hold("case", &[], filter));
    assert_eq!(found(audit(&ledger, &others)).1, Check::Root);
    // The part that tells is withheld.
    let mut withheld = ledger;
    let body = &mut withheld.bodies[2];
    *body = body.clone().withhold(&[Tag::Who]);
    assert!(doubt(audit(&withheld, &withheld)).contains(&untold));
    // A filter of a later program.
    let mut later = with_events();
    order(
        &mut later,
        "ledger.hold",
        hold("case", &[], "phase_of_moon = 3"),
    );
    erase(&mut later, 2);
    assert_eq!(doubt(audit(&later, &later)), [untold]);
}
