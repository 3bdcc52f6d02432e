//! SQLite through the `sqlite3` module of Python, in a process of its own: WAL, `synchronous=FULL`, one writer.
//!
//! Its latencies and rates are those of the calls alone, without the interpreter that reads the events between them.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::feed::{Feed, phases};
use super::postgres::lines;
use super::report::Figures;
use super::support::load::Load;

/// Prints a line for single inserts and one for batches: rows, nanoseconds, and the nanoseconds of each call.
const PROGRAM: &str = r#"
import sqlite3, sys, time
path, seconds, singles = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
db = sqlite3.connect(path, isolation_level=None)
db.execute("PRAGMA journal_mode=WAL")
db.execute("PRAGMA synchronous=FULL")
db.executescript("""
CREATE TABLE audit (id INTEGER PRIMARY KEY, occurred_at TEXT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
    target TEXT NOT NULL, owner TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL, run TEXT NOT NULL,
    source TEXT NOT NULL, source_seq INTEGER NOT NULL, host TEXT NOT NULL, detail TEXT NOT NULL);
CREATE INDEX audit_actor ON audit (actor);
CREATE INDEX audit_action ON audit (action);
CREATE INDEX audit_target ON audit (target);
CREATE INDEX audit_source ON audit (source);
CREATE INDEX audit_occurred_at ON audit (occurred_at);
""")
insert = ("INSERT INTO audit (occurred_at, actor, action, target, owner, before, after, run, source, source_seq, host,"
          " detail) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)")
rows = (line.rstrip("\n").split("\t") for line in sys.stdin)
clock = time.perf_counter_ns

def report(count, times):
    print(count, sum(times), *times, flush=True)

times = []
end = time.monotonic() + seconds
while len(times) < singles and time.monotonic() < end:
    row = next(rows)
    start = clock()
    db.execute(insert, row)
    times.append(clock() - start)
report(len(times), times)
count, times = 0, []
while True:
    batch = [row for _, row in zip(range(1000), rows)]
    if not batch:
        break
    start = clock()
    db.execute("BEGIN")
    db.executemany(insert, batch)
    db.execute("COMMIT")
    times.append(clock() - start)
    count += len(batch)
report(count, times)
db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
assert db.execute("SELECT count(*) FROM audit").fetchone()[0] == int(sys.argv[4])
db.close()
"#;

pub(crate) fn run(dir: &Path, feed: &Feed) -> Result<Figures, String> {
    let module = Command::new("python3")
        .args(["-c", "import sqlite3"])
        .stderr(Stdio::null())
        .status();
    if !module.is_ok_and(|status| status.success()) {
        return Err("not installed: there is no python3 with sqlite3 in PATH".into());
    }
    let file = dir.join("audit.db");
    let singles = feed.end(&phases()[0]);
    let mut python = Command::new("python3")
        .arg("-c")
        .arg(PROGRAM)
        .arg(&file)
        .arg(feed.seconds().as_secs_f64().to_string())
        .arg(singles.to_string())
        .arg(feed.entries().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = python.stdin.take().unwrap();
    let stdout = BufReader::new(python.stdout.take().unwrap());
    let printed: Vec<String> = std::thread::scope(|scope| {
        scope.spawn(move || {
            for rows in feed.all().chunks(100) {
                stdin.write_all(lines(rows).as_bytes()).unwrap();
            }
        });
        stdout.lines().map(Result::unwrap).collect()
    });
    let status = python.wait().unwrap();
    let [single, batches] = printed.as_slice() else {
        return Err(format!("failed: {status}"));
    };
    if !status.success() {
        return Err(format!("failed: {status}"));
    }
    Ok(Figures {
        loads: vec![Some(load(single)), None, Some(load(batches))],
        bytes: std::fs::metadata(file).unwrap().len(),
    })
}

fn load(line: &str) -> Load {
    let mut numbers = line.split(' ').map(|number| number.parse().unwrap());
    Load {
        entries: numbers.next().unwrap(),
        elapsed: Duration::from_nanos(numbers.next().unwrap()),
        latencies: numbers.map(Duration::from_nanos).collect(),
    }
}
