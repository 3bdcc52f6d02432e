//! Ready is not the same as alive: when nothing can be appended, that is said before anybody tries.

use std::time::Duration;

use graven::ledger::LedgerError;
use graven::store::{Fault, MemoryDisk, Step};

use super::ledger_support::{Operator, append, event, wait};
use super::verify_support::NOON;

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn a_clock_that_jumped_is_not_ready_until_it_is_right() {
    let (operator, disk) = (Operator::default(), MemoryDisk::new());
    operator.init(&disk).unwrap();
    let ledger = operator.open(&disk).unwrap();
    append(&ledger, &[event(b"", 1)]).unwrap();
    ledger.check_ready().unwrap();
    let ahead = NOON + 2 * u64::try_from(HOUR.as_nanos()).unwrap();
    operator.clock.set(ahead);
    let problem = ledger.check_ready().unwrap_err();
    assert!(
        matches!(problem, LedgerError::ClockJump { seconds: 7_200 }),
        "{problem}"
    );
    // Asking changes nothing: the append finds the same.
    let refused = append(&ledger, &[event(b"", 2)]).unwrap_err();
    assert!(
        matches!(refused, LedgerError::ClockJump { seconds: 7_200 }),
        "{refused}"
    );
    operator.clock.set(NOON);
    ledger.check_ready().unwrap();
    operator.clock.pass(2 * HOUR);
    ledger.check_ready().unwrap();
    append(&ledger, &[event(b"", 2)]).unwrap();
}

#[test]
fn a_ledger_that_stopped_is_not_ready() {
    let (operator, disk) = (Operator::default(), MemoryDisk::new());
    operator.init(&disk).unwrap();
    let ledger = operator.open(&disk).unwrap();
    append(&ledger, &[event(b"", 1)]).unwrap();
    disk.fail(Step::Commit, 1, Fault::Lost);
    append(&ledger, &[event(b"", 2)]).unwrap_err();
    wait(ledger.stopped_because());
    assert!(matches!(ledger.check_ready(), Err(LedgerError::Stopped(_))));
    let counts = ledger.figures().unwrap().appends;
    assert_eq!(
        (counts.acknowledged, counts.refused, counts.unknown),
        (1, 0, 1)
    );
    assert_eq!(counts.classes.iter().sum::<u64>(), 1);
}
