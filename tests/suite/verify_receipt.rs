//! Receipts: a ledger that lies about anything it answers with is found out by the client alone.

use ed25519_dalek::SigningKey;
use graven::entry::{CheckedEvent, Seed, signature, v1};
use graven::verify::{Check, Expected, Finding, expand_receipt, verify_receipt};
use prost::Message;

use super::verify_support::{
    ORIGIN, Sealer, checked, envelope, event, event_message, key, ledger_envelope, signed_event,
    signed_event_for,
};

/// A ledger of three other entries, then a group of the given events at one time, then two more.
fn sealed(events: &[CheckedEvent]) -> (Sealer, v1::Receipt) {
    let mut ledger = Sealer::new();
    for number in 100..103 {
        ledger.append(&event(number));
    }
    let (first, time) = (ledger.size(), ledger.clock);
    for event in events {
        ledger.clock = time;
        ledger.append(event);
    }
    let end = ledger.size();
    ledger.append(&event(200));
    ledger.append(&event(201));
    let receipt = ledger.receipt(first, end);
    (ledger, receipt)
}

fn group() -> Vec<CheckedEvent> {
    vec![
        event(0),
        signed_event(1),
        event(2),
        event(3),
        signed_event(4),
    ]
}

fn verify(
    receipt: &v1::Receipt,
    events: &[CheckedEvent],
    expected: &Expected,
) -> Result<(), Finding> {
    let events: Vec<_> = events.iter().collect();
    verify_receipt(receipt, &events, expected).map(drop)
}

#[track_caller]
fn refused(receipt: &v1::Receipt, events: &[CheckedEvent], expected: &Expected) -> Check {
    verify(receipt, events, expected)
        .expect_err("a lie was believed")
        .check
}

#[test]
fn honest_receipts_give_the_sealed_headers() {
    for events in [
        vec![event(0)],
        vec![signed_event(0)],
        vec![event(0), event(1)],
        group(),
    ] {
        let (ledger, receipt) = sealed(&events);
        let references: Vec<_> = events.iter().collect();
        let headers = verify_receipt(&receipt, &references, &ledger.expected()).unwrap();
        assert_eq!(headers, ledger.headers[3..3 + events.len()]);
    }
}

#[test]
fn the_first_entry_of_a_ledger_has_a_receipt_too() {
    let mut ledger = Sealer::new();
    ledger.append(&event(0));
    verify(&ledger.receipt(0, 1), &[event(0)], &ledger.expected()).unwrap();
}

#[test]
fn any_changed_byte_of_a_receipt_is_refused() {
    for events in [vec![event(0)], vec![signed_event(0)], group()] {
        let (ledger, good) = sealed(&events);
        let encoded = good.encode_to_vec();
        let expected = ledger.expected();
        let mut decoded = 0;
        for position in 0..encoded.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut bytes = encoded.clone();
                bytes[position] ^= flip;
                // A message with another unknown field or spelling is no lie.
                let Ok(receipt) = v1::Receipt::decode(bytes.as_slice()) else {
                    continue;
                };
                if receipt != good {
                    decoded += 1;
                    refused(&receipt, &events, &expected);
                }
            }
        }
        assert!(decoded > encoded.len());
    }
}

#[test]
fn any_shortened_or_lengthened_field_is_refused() {
    let events = group();
    let (ledger, good) = sealed(&events);
    let expected = ledger.expected();
    let fields: [fn(&mut v1::Receipt) -> &mut Vec<u8>; 4] = [
        |receipt| &mut receipt.previous,
        |receipt| &mut receipt.seeds,
        |receipt| &mut receipt.proof,
        |receipt| &mut receipt.envelopes[1],
    ];
    for field in fields {
        for change in 0..5 {
            let mut receipt = good.clone();
            let bytes = field(&mut receipt);
            match change {
                0 => drop(bytes.pop()),
                1 => bytes.push(0),
                2 => bytes.clear(),
                3 => bytes.extend([0; 32]),
                _ => bytes.truncate(bytes.len().saturating_sub(32)),
            }
            refused(&receipt, &events, &expected);
        }
    }
    let mut receipt = good.clone();
    receipt.checkpoint.push('\n');
    refused(&receipt, &events, &expected);
    receipt.checkpoint.clear();
    refused(&receipt, &events, &expected);
}

#[test]
fn another_place_or_time_is_refused() {
    let events = group();
    let (ledger, good) = sealed(&events);
    for first_seq in [0, 2, 4, 5, u64::MAX, u64::MAX - 4] {
        let receipt = v1::Receipt {
            first_seq,
            ..good.clone()
        };
        refused(&receipt, &events, &ledger.expected());
    }
    for recorded_at in [0, good.recorded_at - 1, good.recorded_at + 1, u64::MAX] {
        let receipt = v1::Receipt {
            recorded_at,
            ..good.clone()
        };
        assert_eq!(refused(&receipt, &events, &ledger.expected()), Check::Root);
    }
}

#[test]
fn other_events_than_those_sent_are_refused() {
    let events = group();
    let (ledger, receipt) = sealed(&events);
    let expected = ledger.expected();
    let mut swapped = events.clone();
    swapped.swap(2, 3);
    assert_eq!(refused(&receipt, &swapped, &expected), Check::Root);
    let mut other = events.clone();
    other[0] = event(77);
    assert_eq!(refused(&receipt, &other, &expected), Check::Root);
    assert_eq!(refused(&receipt, &events[..4], &expected), Check::Receipt);
    assert_eq!(refused(&receipt, &[], &expected), Check::Receipt);
    let mut longer = events.clone();
    longer.push(event(200));
    assert_eq!(refused(&receipt, &longer, &expected), Check::Receipt);
}

#[test]
fn a_submitter_other_than_the_client_is_refused() {
    let mut ledger = Sealer::new();
    let mut forged = envelope();
    forged.submitter = Some(v1::Submitter {
        issuer: "token".into(),
        subject: "oidc:corp/mallory".into(),
    });
    ledger.append_under(&event(0), forged.clone());
    let receipt = ledger.receipt(0, 1);
    assert_eq!(
        refused(&receipt, &[event(0)], &ledger.expected()),
        Check::Submitter
    );
    let mut expected = ledger.expected();
    expected.submitter = forged.submitter;
    verify(&receipt, &[event(0)], &expected).unwrap();
    expected.submitter = None;
    verify(&receipt, &[event(0)], &expected).unwrap();
}

#[test]
fn envelopes_that_do_not_belong_to_a_clients_event_are_refused() {
    let mut unauthenticated = envelope();
    unauthenticated.authentication = 0;
    let mut nobody = envelope();
    nobody.submitter = None;
    for envelope in [ledger_envelope(), unauthenticated, nobody] {
        let mut ledger = Sealer::new();
        ledger.append_under(&event(0), envelope);
        let mut expected = ledger.expected();
        expected.submitter = None;
        let check = refused(&ledger.receipt(0, 1), &[event(0)], &expected);
        assert_eq!(check, Check::Envelope);
    }
}

#[test]
fn an_actors_signature_can_be_neither_dropped_nor_added_nor_exchanged() {
    let resealed = |sent: &CheckedEvent, sealed: &CheckedEvent| {
        let mut ledger = Sealer::new();
        ledger.append(sealed);
        refused(
            &ledger.receipt(0, 1),
            std::slice::from_ref(sent),
            &ledger.expected(),
        )
    };
    let (signed, mut bare) = (signed_event(0), signed_event(0));
    bare.actor_signature = None;
    assert_eq!(resealed(&signed, &bare), Check::ActorSignature);
    assert_eq!(resealed(&bare, &signed), Check::Envelope);
    let mut exchanged = signed_event(0);
    exchanged.actor_signature = signed_event(1).actor_signature;
    assert_eq!(resealed(&signed, &exchanged), Check::ActorSignature);
    // By another key, over the same parts: valid, and somebody else's.
    let parts: Vec<_> = signed
        .parts
        .iter()
        .map(|(tag, b)| (*tag, b.as_ref()))
        .collect();
    let sent = signed.actor_signature.as_ref().unwrap();
    let seed = Seed(sent.seed.as_slice().try_into().unwrap());
    let thief = SigningKey::from_bytes(&[0x0f; 32]);
    let mut stolen = signed.clone();
    stolen.actor_signature = Some(signature::sign(&thief, &seed, ORIGIN, &parts));
    assert_eq!(resealed(&signed, &stolen), Check::ActorSignature);
    // Made for another ledger: the honest client would not have sent it here.
    let foreign = signed_event_for("ledger.example/other", 0);
    assert_eq!(resealed(&foreign, &foreign), Check::ActorSignature);
}

#[test]
fn a_signers_seed_is_not_replaced() {
    let events = [signed_event(0)];
    let (ledger, mut receipt) = sealed(&events);
    receipt.seeds = vec![9; 32];
    let check = refused(&receipt, &events, &ledger.expected());
    assert_eq!(check, Check::ActorSignature);
}

#[test]
fn seeds_and_envelopes_belong_to_their_events() {
    let events = group();
    let (ledger, good) = sealed(&events);
    let mut receipt = good.clone();
    receipt.seeds.rotate_left(32);
    refused(&receipt, &events, &ledger.expected());
    let mut receipt = good.clone();
    receipt.envelopes.swap(0, 1);
    refused(&receipt, &events, &ledger.expected());
    for count in [0, 2, 4] {
        let mut receipt = good.clone();
        receipt.envelopes.truncate(count);
        assert_eq!(
            refused(&receipt, &events, &ledger.expected()),
            Check::Receipt
        );
    }
    let mut receipt = good;
    receipt.envelopes.push(receipt.envelopes[0].clone());
    assert_eq!(
        refused(&receipt, &events, &ledger.expected()),
        Check::Receipt
    );
}

#[test]
fn an_envelope_with_a_second_spelling_is_refused() {
    let mut ledger = Sealer::new();
    ledger.append(&event(0));
    let mut receipt = ledger.receipt(0, 1);
    // Field 15, which nobody knows, and which a decoder would drop.
    receipt.envelopes[0].extend([0x7a, 0x01, 0x00]);
    assert_eq!(
        refused(&receipt, &[event(0)], &ledger.expected()),
        Check::Part
    );
}

#[test]
fn checkpoints_of_other_ledgers_keys_and_sizes_are_refused() {
    let events = group();
    let (ledger, good) = sealed(&events);
    let expected = ledger.expected();
    let with = |checkpoint: String| v1::Receipt {
        checkpoint,
        ..good.clone()
    };
    for size in 0..ledger.size() {
        let check = refused(&with(ledger.checkpoint_at(size)), &events, &expected);
        assert_eq!(check, Check::Root);
    }
    let mut larger = Sealer::new();
    larger.headers.clone_from(&ledger.headers);
    larger.append(&event(300));
    assert_eq!(
        refused(&with(larger.checkpoint()), &events, &expected),
        Check::Root
    );

    let mut stolen = Sealer::with_key(key("ledger.example/main", 32));
    stolen.headers.clone_from(&ledger.headers);
    assert_eq!(
        refused(&with(stolen.checkpoint()), &events, &expected),
        Check::Signature
    );
    let mut other = Sealer::with_key(key("ledger.example/other", 0));
    other.headers.clone_from(&ledger.headers);
    assert_eq!(
        refused(&with(other.checkpoint()), &events, &expected),
        Check::Signature
    );
    let expects_other = Expected {
        origin: "ledger.example/other".into(),
        ..expected
    };
    assert_eq!(refused(&good, &[event(0)], &expects_other), Check::Receipt);
    let (_, single) = sealed(&[event(0)]);
    assert_eq!(refused(&single, &[event(0)], &expects_other), Check::Origin);
}

#[test]
fn a_proof_is_for_one_index_and_size_alone() {
    // Whoever takes the size from elsewhere than the signed checkpoint accepts (2, 3) for (1, 2).
    let mut ledger = Sealer::new();
    ledger.append(&event(0));
    ledger.append(&event(1));
    let good = ledger.receipt(1, 2);
    verify(&good, &[event(1)], &ledger.expected()).unwrap();
    for first_seq in (0..40).filter(|seq| *seq != 1) {
        let receipt = v1::Receipt {
            first_seq,
            ..good.clone()
        };
        refused(&receipt, &[event(1)], &ledger.expected());
    }
}

#[test]
fn events_that_a_client_may_not_send_have_no_receipt() {
    let mut message = event_message(0);
    message.what.as_mut().unwrap().action = "file.update".into();
    let mut forged = checked(&message);
    let what = v1::What {
        action: "ledger.erase".into(),
        targets: message.what.unwrap().targets,
        ..Default::default()
    };
    forged.parts[1].1 = what.encode_to_vec().into();
    let mut ledger = Sealer::new();
    ledger.append(&forged);
    let check = refused(&ledger.receipt(0, 1), &[forged], &ledger.expected());
    assert_eq!(check, Check::Part);
}

#[test]
fn one_event_of_a_group_can_be_shown_alone() {
    // Every group in every tree of up to 12 entries, every event of it.
    for size in 1..=12u64 {
        let mut ledger = Sealer::new();
        let events: Vec<_> = (0..size)
            .map(|number| {
                if number % 3 == 1 {
                    signed_event(number)
                } else {
                    event(number)
                }
            })
            .collect();
        for event in &events {
            ledger.clock = 1;
            ledger.append(event);
        }
        let expected = ledger.expected();
        for first in 0..size {
            for end in first + 1..=size {
                let receipt = ledger.receipt(first, end);
                let sent: Vec<_> = events[first as usize..end as usize].iter().collect();
                for (index, event) in sent.iter().enumerate() {
                    let alone = expand_receipt(&receipt, &sent, &expected, index).unwrap();
                    let headers = verify_receipt(&alone, &[event], &expected).unwrap();
                    assert_eq!(headers, [ledger.headers[first as usize + index].clone()]);
                    let seq = first + index as u64;
                    assert_eq!(alone, ledger.receipt(seq, seq + 1));
                }
                assert!(expand_receipt(&receipt, &sent, &expected, sent.len()).is_err());
            }
        }
    }
}
