//! Every row of the table of starts, on both engines.

use graven::entry::{Kind, Tag, v1};
use graven::ledger::{Existing, KnownCheckpoint, Ledger, LedgerError, Options, Refusal};
use graven::merkle::{Frontier, Hash};
use graven::note::{Checkpoint, CosignerKey, Note};
use graven::store::{Batch, Direction, Fault, KeyRange, MemoryDisk, SLOT_LEN, Space, Step};
use graven::store::{SLOT_COUNT, StoreError};
use graven::verify::{Check, Verdict};
use prost::Message;

use super::ledger_support::{Operator, Outside, Site, append, event, export, wait};

const HEAD: &[u8] = b"head";

/// Runs `test` on each engine.
fn on_both(test: impl Fn(Site)) {
    test(Site::in_memory());
    test(Site::in_directory());
}

/// A ledger that grew from `early` to `late`, copied at both sizes, and what clients know of it.
struct History {
    operator: Operator,
    early: Site,
    late: Site,
    outside: Outside,
}

const EARLY: u64 = 300;
const LATE: u64 = 340;

impl History {
    fn new(site: &Site) -> Self {
        let operator = Operator::default();
        let mut outside = Outside::default();
        operator.init(&*site.home).unwrap();
        let ledger = operator.open(&*site.home).unwrap();
        grow(&operator, &ledger, &mut outside, 0..EARLY);
        drop(ledger);
        let early = site.copy();
        let ledger = operator.open(&*site.home).unwrap();
        grow(&operator, &ledger, &mut outside, EARLY..LATE);
        drop(ledger);
        let late = site.copy();
        Self {
            operator,
            early,
            late,
            outside,
        }
    }

    fn refusal(&self, site: &Site) -> Refusal {
        refusal(self.operator.open(&*site.home))
    }

    /// Starts, and everything is as it was.
    fn starts(&mut self, site: &Site) -> Ledger {
        let ledger = self.operator.open(&*site.home).unwrap();
        self.outside.check(&self.operator, &ledger);
        ledger
    }
}

fn grow(
    operator: &Operator,
    ledger: &Ledger,
    outside: &mut Outside,
    numbers: std::ops::Range<u64>,
) {
    let events: Vec<_> = numbers.map(|n| event(&n.to_be_bytes(), n)).collect();
    for batch in events.chunks(20) {
        operator.clock.pass(std::time::Duration::from_secs(1));
        outside.attempt(batch);
        let appended = append(ledger, batch).unwrap();
        outside.acknowledge(operator, ledger, batch, &appended);
    }
}

fn refusal(result: Result<Ledger, LedgerError>) -> Refusal {
    match result.map(drop) {
        Err(LedgerError::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn without_store_and_anchor_only_init_makes_a_ledger() {
    on_both(|site| {
        let operator = Operator::default();
        let refused = refusal(operator.open(&*site.home));
        assert!(matches!(refused, Refusal::NotInitialised(_)), "{refused}");
        let refused = refusal(operator.adopt(&*site.home));
        assert!(matches!(refused, Refusal::NotInitialised(_)), "{refused}");
        operator.init(&*site.home).unwrap();
        assert_eq!(operator.open(&*site.home).unwrap().published().size(), 0);
    });
}

#[test]
fn init_changes_nothing_where_there_is_a_ledger_or_part_of_one() {
    on_both(|site| {
        let mut history = History::new(&site);
        let twice = history.operator.init(&*history.late.home);
        assert!(
            matches!(
                twice,
                Err(LedgerError::Refused(Refusal::AlreadyInitialised(_)))
            ),
            "{twice:?}"
        );
        let late = history.late.copy();
        history.starts(&late);

        let anchor_only = site.another();
        history.late.copy_slots_to(&anchor_only);
        let over = history.operator.init(&*anchor_only.home);
        assert!(
            matches!(
                over,
                Err(LedgerError::Refused(Refusal::AlreadyInitialised(_)))
            ),
            "{over:?}"
        );
        assert_eq!(
            history.refusal(&anchor_only),
            Refusal::StoreMissing { anchored: LATE },
            "init left a store behind"
        );

        let store_only = site.another();
        history.late.copy_store_to(&store_only);
        history.operator.init(&*store_only.home).unwrap_err();
        let refused = history.refusal(&store_only);
        assert!(
            matches!(refused, Refusal::AnchorMissing { .. }),
            "init left an anchor: {refused}"
        );
    });
}

#[test]
fn a_missing_anchor_is_refused_unless_adopted_and_adopting_is_an_entry() {
    on_both(|site| {
        let mut history = History::new(&site);
        let site = site.another();
        history.late.copy_store_to(&site);
        let refused = history.refusal(&site);
        assert!(
            matches!(refused, Refusal::AnchorMissing { .. }),
            "{refused}"
        );
        assert!(refused.to_string().contains("--adopt"), "{refused}");
        adopts(&mut history, &site, LATE);
    });
}

#[test]
fn an_anchor_with_both_slots_bad_is_refused_unless_adopted() {
    on_both(|site| {
        let mut history = History::new(&site);
        for slot in 0..SLOT_COUNT {
            history.late.edit_slot(slot, |bytes| bytes[100] ^= 1);
        }
        let late = history.late.copy();
        let refused = history.refusal(&late);
        let Refusal::AnchorDamaged(what) = &refused else {
            panic!("{refused}");
        };
        assert!(what.contains("slot 0") && what.contains("slot 1"), "{what}");
        adopts(&mut history, &late, LATE);
    });
}

#[test]
fn an_anchor_of_another_length_is_refused_unless_adopted() {
    let site = Site::in_directory();
    let mut history = History::new(&site);
    for length in [0, 1, SLOT_LEN as u64, 2 * SLOT_LEN as u64 + 1] {
        let site = history.late.copy();
        let anchor = site.dir.as_ref().unwrap().path().join("anchor");
        let file = std::fs::OpenOptions::new().write(true).open(anchor);
        file.unwrap().set_len(length).unwrap();
        let refused = history.refusal(&site);
        assert!(matches!(refused, Refusal::AnchorDamaged(_)), "{refused}");
        adopts(&mut history, &site, LATE);
    }
}

fn adopts(history: &mut History, site: &Site, size: u64) {
    history.outside.adoptions += 1;
    drop(history.operator.adopt(&*site.home).unwrap());
    let ledger = history.starts(site);
    let entries = export(&ledger).unwrap();
    assert_eq!(entries.len() as u64, size + 1);
    let entry = entries.last().unwrap();
    assert_eq!(entry.header.kind, Kind::Act);
    let what = v1::What::decode(entry.body.disclosed(Tag::What).unwrap().clone()).unwrap();
    assert_eq!(what.action, "ledger.adopt");
    let Some(v1::ledger_act::Act::Adoption(adoption)) = what.act.unwrap().act else {
        panic!("another act");
    };
    assert_eq!(adoption.size, size);
    assert!(!adoption.found.is_empty());
    drop(ledger);
    history.outside.audit(&history.operator, &*site.home);
    // The flag adopts what has to be adopted, and nothing else.
    let again = history.operator.adopt(&*site.home).unwrap();
    assert_eq!(again.published().size(), size + 1);
}

#[test]
fn an_anchor_is_not_adopted_before_the_entry_that_says_so_is_durable() {
    for step in [Step::Commit, Step::SlotWrite] {
        for fault in [Fault::Lost, Fault::Full, Fault::Unsynced] {
            let operator = Operator::default();
            let disk = MemoryDisk::new();
            operator.init(&disk).unwrap();
            drop(append(&operator.open(&disk).unwrap(), &[event(b"", 1)]).unwrap());
            let mut slots = disk.open_slots().unwrap();
            for slot in 0..SLOT_COUNT {
                graven::store::Slots::write(&mut slots, slot, &[0; SLOT_LEN]).unwrap();
            }
            drop(slots);
            disk.fail(step, 1, fault);
            operator.adopt(&disk).map(drop).unwrap_err();
            disk.power_cut(3);
            match operator.open(&disk) {
                // The write that failed may be there after all, but then whole.
                Ok(ledger) => {
                    let entries = export(&ledger).unwrap();
                    assert_eq!(
                        entries.last().unwrap().header.kind,
                        Kind::Act,
                        "{step:?} {fault:?}"
                    );
                }
                Err(LedgerError::Refused(Refusal::AnchorDamaged(_))) => {}
                Err(other) => panic!("{other}"),
            }
            let ledger = operator.adopt(&disk).unwrap();
            let acts = export(&ledger).unwrap();
            assert!(acts.iter().any(|entry| entry.header.kind == Kind::Act));
        }
    }
}

#[test]
fn adopting_works_from_within_a_runtime() {
    let site = Site::in_memory();
    let history = History::new(&site);
    let site = site.another();
    history.late.copy_store_to(&site);
    wait(async { history.operator.adopt(&*site.home).map(drop).unwrap() });
}

#[test]
fn with_one_slot_bad_it_goes_on() {
    on_both(|site| {
        let mut history = History::new(&site);
        for slot in 0..SLOT_COUNT {
            for garbled in [0, 17, 100, 4095] {
                let site = history.late.copy();
                site.edit_slot(slot, |bytes| bytes[garbled] ^= 0x10);
                let ledger = history.starts(&site);
                assert_eq!(ledger.published().size(), LATE);
                append(&ledger, &[event(b"", 9_999)]).unwrap();
                drop(ledger);
                let report = history.operator.audit(&*site.home, None).unwrap();
                assert_eq!(report.verdict, Verdict::Ok);
                assert_eq!(report.unacknowledged, 0);
            }
        }
    });
}

#[test]
fn a_missing_or_empty_store_under_a_signed_anchor_is_refused() {
    on_both(|site| {
        let history = History::new(&site);
        let without = site.another();
        history.late.copy_slots_to(&without);
        let missing = Refusal::StoreMissing { anchored: LATE };
        assert_eq!(history.refusal(&without), missing);
        assert_eq!(refusal(history.operator.adopt(&*without.home)), missing);
        let report = history.operator.audit(&*without.home, None).unwrap();
        assert!(matches!(report.verdict, Verdict::Tampered(f) if f.check == Check::Store));

        drop(without.home.create_store().unwrap());
        let empty = history.operator.open(&*without.home).map(drop);
        assert!(matches!(empty, Err(LedgerError::Damaged(_))), "{empty:?}");
        history
            .operator
            .adopt(&*without.home)
            .map(drop)
            .unwrap_err();
    });
}

#[test]
fn the_ledger_of_another_origin_key_or_genesis_is_refused() {
    on_both(|site| {
        let history = History::new(&site);
        let other = |origin: &str, first_key_byte| Operator {
            origin: origin.into(),
            first_key_byte,
            ..Operator::default()
        };
        let what = |operator: &Operator| {
            let late = history.late.copy();
            match refusal(operator.open(&*late.home)) {
                Refusal::OtherLedger { what, .. } => what,
                refused => panic!("{refused}"),
            }
        };
        assert_eq!(what(&other("ledger.example/other", 0)), "the origin");
        assert_eq!(what(&other(&history.operator.origin, 9)), "the key");

        // Same key, same name, another random id.
        let twin = Operator {
            entropy: std::sync::Arc::clone(&history.operator.entropy),
            ..Operator::default()
        };
        let (one, two) = (site.another(), site.another());
        twin.init(&*one.home).unwrap();
        twin.init(&*two.home).unwrap();
        let mixed = one.with_slots_of(&two);
        let refused = refusal(twin.open(&*mixed.home));
        assert!(
            matches!(refused, Refusal::BadExtension { from: 0, .. }),
            "{refused}"
        );
    });
}

#[test]
fn a_store_that_lost_acknowledged_entries_is_behind() {
    on_both(|site| {
        let mut history = History::new(&site);
        let restored = history.early.with_slots_of(&history.late);
        let refused = history.refusal(&restored);
        let behind = Refusal::Behind {
            size: EARLY,
            anchored: LATE,
        };
        assert_eq!(refused, behind);
        assert!(refused.to_string().contains("40 are missing"), "{refused}");
        assert_eq!(refusal(history.operator.adopt(&*restored.home)), behind);
        let report = history.operator.audit(&*restored.home, None).unwrap();
        assert!(
            matches!(&report.verdict, Verdict::Tampered(f) if f.seq == Some(EARLY)),
            "{}",
            report.verdict
        );
        // The whole directory of yesterday looks fine from within: only a checkpoint kept outside tells.
        let whole = history.early.copy();
        let report = history.operator.audit(&*whole.home, None).unwrap();
        assert_eq!(report.verdict, Verdict::Ok);
        let minimum = history.outside.minimum(&history.operator).unwrap();
        let report = history.operator.audit(&*whole.home, Some(minimum)).unwrap();
        assert!(matches!(&report.verdict, Verdict::Tampered(f) if f.check == Check::Minimum));
        let late = history.late.copy();
        history.starts(&late);
    });
}

#[test]
fn another_history_than_the_signed_one_is_a_fork() {
    on_both(|site| {
        let history = History::new(&site);
        let fork = history.early.copy();
        let ledger = history.operator.open(&*fork.home).unwrap();
        let others: Vec<_> = (1_000..1_050).map(|n| event(b"", n)).collect();
        append(&ledger, &others).unwrap();
        drop(ledger);
        let forked = fork.with_slots_of(&history.late);
        assert_eq!(history.refusal(&forked), Refusal::Fork { size: LATE });
        let adopted = refusal(history.operator.adopt(&*forked.home));
        assert_eq!(adopted, Refusal::Fork { size: LATE });
        let report = history.operator.audit(&*forked.home, None).unwrap();
        assert!(matches!(report.verdict, Verdict::Tampered(_)));
    });
}

/// Starts beside checkpoints that somebody outside kept.
fn open_knowing(
    operator: &Operator,
    site: &Site,
    adopt: bool,
    notes: &[&str],
) -> Result<Ledger, LedgerError> {
    let known = |(number, note): (usize, &&str)| KnownCheckpoint {
        source: format!("file {number}"),
        note: note.as_bytes().to_vec(),
    };
    let options = Options {
        known_checkpoints: notes.iter().enumerate().map(known).collect(),
        ..operator.options(adopt)
    };
    Ledger::open(&*site.home, options)
}

/// A checkpoint of the ledger, as its key signs them.
fn sign(operator: &Operator, size: u64, root: Hash) -> String {
    let checkpoint = Checkpoint::new(&operator.origin, size, root).unwrap();
    checkpoint.sign(&operator.key())
}

#[test]
fn a_store_smaller_than_a_known_checkpoint_is_rolled_back() {
    on_both(|site| {
        let history = History::new(&site);
        let operator = &history.operator;
        let known = history.outside.minimum(operator).unwrap();
        // Everything of yesterday, anchor and all: nothing in it tells.
        let yesterday = history.early.copy();
        let rolled_back = Refusal::RolledBack {
            size: EARLY,
            known: LATE,
            from: "file 1".into(),
        };
        let early = operator.open(&*yesterday.home).unwrap().published();
        for adopt in [false, true] {
            let refused = open_knowing(operator, &yesterday, adopt, &[&early.note, known]);
            assert_eq!(refusal(refused), rolled_back);
        }
        let message = rolled_back.to_string();
        assert!(message.starts_with("ROLLED BACK"), "{message}");
        assert!(message.contains("40 are missing"), "{message}");
        // Nothing was signed or changed meanwhile.
        let again = operator.open(&*yesterday.home).unwrap().published();
        assert_eq!(again.note, early.note);
        let report = operator.audit(&*yesterday.home, None).unwrap();
        assert_eq!(report.audit.unwrap().entries, EARLY);
        // One that others have signed as well says the same.
        let witness = CosignerKey::from_seed("witness.example/w", [3; 32]).unwrap();
        let checkpoint = Checkpoint::parse(Note::parse(known).unwrap().text()).unwrap();
        let cosignature = witness.cosign(&checkpoint, 1_700_000_000).unwrap();
        let cosigned = format!("{known}{cosignature}\n");
        let refused = open_knowing(operator, &yesterday, false, &[&early.note, &cosigned]);
        assert_eq!(refusal(refused), rolled_back);
        let late = history.late.copy();
        let ledger = open_knowing(operator, &late, false, &[&early.note, &cosigned, known]);
        assert_eq!(ledger.unwrap().published().size(), LATE);
    });
}

#[test]
fn entries_beyond_the_anchor_are_not_signed_against_a_known_checkpoint() {
    on_both(|site| {
        let history = History::new(&site);
        let operator = &history.operator;
        // The anchor is old and the store is not: a start would sign what is beyond it.
        let extended = history.late.with_slots_of(&history.early);
        let slots = |site: &Site| {
            let slots = site.home.open_slots().unwrap();
            [0, 1].map(|slot| slots.read(slot).unwrap())
        };
        let before = slots(&extended);
        let larger = sign(operator, LATE + 1, [7; 32]);
        let other = sign(operator, EARLY + 1, [7; 32]);
        let refused = refusal(open_knowing(operator, &extended, false, &[&larger]));
        assert!(
            matches!(refused, Refusal::RolledBack { size: LATE, .. }),
            "{refused}"
        );
        let refused = refusal(open_knowing(operator, &extended, false, &[&other]));
        assert!(
            matches!(refused, Refusal::OtherThanKnown { .. }),
            "{refused}"
        );
        assert_eq!(slots(&extended), before, "signed in spite of it");
        let known = history.outside.minimum(operator).unwrap();
        let ledger = open_knowing(operator, &extended, false, &[known]).unwrap();
        assert_eq!(ledger.published().size(), LATE);
    });
}

#[test]
fn a_store_that_does_not_extend_a_known_checkpoint_is_a_fork() {
    on_both(|site| {
        let history = History::new(&site);
        let operator = &history.operator;
        let late = history.late.copy();
        // The empty tree has but one root.
        for size in [1, 255, 256, 257, EARLY, LATE - 1, LATE] {
            let other = sign(operator, size, [7; 32]);
            for adopt in [false, true] {
                let refused = open_knowing(operator, &late, adopt, &[&other]);
                let fork = Refusal::OtherThanKnown {
                    size,
                    from: "file 0".into(),
                };
                assert!(fork.to_string().starts_with("FORK"), "{fork}");
                assert_eq!(refusal(refused), fork);
            }
        }
        // Another history that this key signed, as long as this one.
        let fork = history.early.copy();
        let ledger = operator.open(&*fork.home).unwrap();
        let others: Vec<_> = (1_000..1_000 + LATE - EARLY)
            .map(|n| event(b"", n))
            .collect();
        append(&ledger, &others).unwrap();
        drop(ledger);
        let known = history.outside.minimum(operator).unwrap();
        let refused = refusal(open_knowing(operator, &fork, false, &[known]));
        assert!(
            matches!(refused, Refusal::OtherThanKnown { size: LATE, .. }),
            "{refused}"
        );
        // Every checkpoint that this history ever had is good.
        let ledger = operator.open(&*late.home).unwrap();
        let sizes = [0, 1, 2, 255, 256, 257, EARLY, LATE];
        let entries = export(&ledger).unwrap();
        let notes = sizes.map(|size| {
            let mut frontier = Frontier::new();
            for entry in &entries[..size as usize] {
                frontier.push(entry.header.leaf_hash());
            }
            sign(operator, size, frontier.root())
        });
        drop(ledger);
        let notes = notes.each_ref().map(String::as_str);
        drop(open_knowing(operator, &late, false, &notes).unwrap());
    });
}

#[test]
fn a_known_checkpoint_of_something_else_is_refused() {
    on_both(|site| {
        let history = History::new(&site);
        let operator = &history.operator;
        let late = history.late.copy();
        let good = history.outside.minimum(operator).unwrap();
        let with = |origin: &str, first_key_byte| Operator {
            origin: origin.into(),
            first_key_byte,
            ..Operator::default()
        };
        let other_key = sign(&with(&operator.origin, 9), LATE, [7; 32]);
        let other_origin = sign(&with("ledger.example/other", 0), LATE, [7; 32]);
        // The key signs for the ledger whose name it bears, and for no other.
        let foreign = Checkpoint::new("ledger.example/other", LATE, [7; 32]).unwrap();
        let foreign = foreign.sign(&operator.key());
        let altered = good.replacen(&LATE.to_string(), &(LATE - 1).to_string(), 1);
        let unsigned = good.split("\n\n").next().unwrap().to_owned() + "\n";
        let cases = [
            ("no signature by a known key", other_key.as_str()),
            ("no signature by a known key", &other_origin),
            ("is of the log", &foreign),
            ("was not made by that key", &altered),
            ("no blank line", &unsigned),
            ("no blank line", ""),
            ("no blank line", "340\n"),
            ("control character", "\u{1b}[2J\n\n"),
        ];
        for (expected, note) in cases {
            let Refusal::BadKnown { from, what } =
                refusal(open_knowing(operator, &late, true, &[good, note]))
            else {
                panic!("another refusal of {note}");
            };
            assert_eq!(from, "file 1");
            assert!(what.contains(expected), "{what}, not {expected}");
        }
    });
}

#[test]
fn good_entries_beyond_the_anchor_are_kept_and_signed() {
    on_both(|site| {
        let mut history = History::new(&site);
        let extended = history.late.with_slots_of(&history.early);
        let report = history.operator.audit(&*extended.home, None).unwrap();
        assert_eq!(
            (report.verdict, report.unacknowledged),
            (Verdict::Ok, LATE - EARLY)
        );
        let ledger = history.starts(&extended);
        assert_eq!(ledger.published().size(), LATE);
        let retried = append(&ledger, &[event(&(LATE - 1).to_be_bytes(), LATE - 1)]).unwrap();
        assert_eq!(retried.duplicates, [(0, LATE - 1)]);
        drop(ledger);
        history.outside.audit(&history.operator, &*extended.home);
    });
}

#[test]
fn bad_entries_beyond_the_anchor_are_refused() {
    /// `version count encoding recorded_at[8] prev[32] records…`
    const TIME: usize = 3;
    const PREV: usize = 11;
    const BODY_HASH: usize = 43 + 2;
    type Edit = fn(&mut Vec<u8>);
    let in_head: [(&str, Edit); 3] = [
        ("tag", |head| *head.last_mut().unwrap() ^= 1),
        ("tag", |head| head[80] ^= 1),
        ("tag", |head| head[9] ^= 1),
    ];
    let in_pack: [(&str, Edit); 4] = [
        ("time", |pack| {
            pack[TIME..TIME + 8].copy_from_slice(&1u64.to_be_bytes())
        }),
        ("chain", |pack| pack[PREV] ^= 1),
        ("root", |pack| pack[BODY_HASH] ^= 1),
        ("root", |pack| pack[TIME + 7] ^= 1),
    ];
    on_both(|site| {
        let history = History::new(&site);
        let refused_after = |expected: &str, edit: &dyn Fn(&Site)| {
            let extended = history.late.with_slots_of(&history.early);
            edit(&extended);
            let Refusal::BadExtension { from, what } = history.refusal(&extended) else {
                panic!("another refusal");
            };
            assert!(from >= EARLY, "{from}");
            assert!(what.contains(expected), "{what}");
            let report = history.operator.audit(&*extended.home, None).unwrap();
            let only_the_tag = expected == "tag" && report.verdict == Verdict::Ok;
            assert!(
                matches!(report.verdict, Verdict::Tampered(_)) || only_the_tag,
                "{expected}"
            );
        };
        for (expected, edit) in in_head {
            refused_after(expected, &|site| site.edit(Space::Meta, HEAD, edit));
        }
        let last_pack = last_key(&history.late, Space::Entry);
        for (expected, edit) in in_pack {
            let edit_pack = |site: &Site| site.edit(Space::Entry, &last_pack, edit);
            refused_after(expected, &edit_pack);
        }
        refused_after("missing", &|site| {
            let mut batch = Batch::new();
            batch.delete(Space::Entry, last_pack.clone());
            site.home.open_store().unwrap().commit(batch).unwrap();
        });
        refused_after("behind the last", &|site| {
            let store = site.home.open_store().unwrap();
            let pack = store.get(Space::Entry, &last_pack).unwrap().unwrap();
            let mut batch = Batch::new();
            batch.put(Space::Entry, (LATE + 3).to_be_bytes().to_vec(), pack);
            store.commit(batch).unwrap();
        });
    });
}

fn last_key(site: &Site, space: Space) -> Vec<u8> {
    let store = site.home.read_store().unwrap();
    let last = store
        .scan(space, KeyRange::all(), Direction::Reverse)
        .next();
    last.unwrap().unwrap().0.to_vec()
}

#[test]
fn a_ledger_in_use_is_not_opened_audited_or_made_again() {
    on_both(|site| {
        let history = History::new(&site);
        let site = history.late.copy();
        let ledger = history.operator.open(&*site.home).unwrap();
        let in_use = |result: Result<(), LedgerError>| {
            assert!(
                matches!(result, Err(LedgerError::Store(StoreError::InUse { .. }))),
                "{result:?}"
            );
        };
        in_use(history.operator.open(&*site.home).map(drop));
        in_use(history.operator.audit(&*site.home, None).map(drop));
        history.operator.init(&*site.home).unwrap_err();
        let appended = append(&ledger, &[event(b"", 5_000)]).unwrap();
        assert_eq!(appended.first_seq, LATE);
        drop(ledger);
        assert_eq!(
            history
                .operator
                .open(&*site.home)
                .unwrap()
                .published()
                .size(),
            LATE + 1
        );
    });
}

#[test]
fn a_start_signs_nothing_that_it_does_not_have_to() {
    on_both(|site| {
        let history = History::new(&site);
        let site = history.late.copy();
        let note = history
            .operator
            .open(&*site.home)
            .unwrap()
            .published()
            .note
            .clone();
        let again = history.operator.open(&*site.home).unwrap();
        assert_eq!(again.published().note, note);
    });
}

#[test]
fn edited_entries_are_not_served() {
    on_both(|site| {
        let history = History::new(&site);
        let store = history.late.home.read_store().unwrap();
        let first = store.get(Space::Entry, &[0; 8]).unwrap().unwrap();
        drop(store);
        let count = usize::from(first[1]);
        let seed = 43 + 34;
        let parts = 43 + count * 66 + 4;
        // A byte of a seed, of a body hash, and of the parts: as someone would who sets the checksums right.
        for (name, at) in [("seed", seed), ("body hash", 43 + 2), ("parts", parts + 40)] {
            let site = history.late.copy();
            site.edit(Space::Entry, &[0; 8], |pack| pack[at] ^= 1);
            let ledger = match history.operator.open(&*site.home) {
                Ok(ledger) => ledger,
                Err(LedgerError::Damaged(_)) => continue,
                Err(other) => panic!("{name}: {other}"),
            };
            let read = (0..20).find_map(|seq| ledger.entry(seq).err());
            assert!(
                matches!(read, Some(LedgerError::Damaged(_))),
                "{name}: {read:?}"
            );
            let existing = append(&ledger, &[event(&0u64.to_be_bytes(), 77)]);
            assert!(
                matches!(
                    existing,
                    Err(LedgerError::Stopped(_)
                        | LedgerError::IdConflict {
                            existing: Existing::Entry(0),
                            ..
                        })
                ),
                "{name}"
            );
        }
    });
}
