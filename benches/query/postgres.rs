//! The same events and questions in PostgreSQL, where it is installed: one table with the indexes that the questions want.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use super::support::events::{self, Row};
use super::support::postgres::Cluster;
use prost::Message;

const TABLE: &str = "
    CREATE TABLE audit (
        seq bigint PRIMARY KEY,
        occurred_at timestamptz NOT NULL,
        actor text NOT NULL,
        action text NOT NULL,
        target text NOT NULL,
        before text NOT NULL,
        after text NOT NULL,
        run text NOT NULL,
        source text NOT NULL,
        host text NOT NULL,
        event bytea NOT NULL
    );
    CREATE INDEX ON audit (actor, occurred_at);
    CREATE INDEX ON audit (target, occurred_at);
    CREATE INDEX ON audit (after);
";

pub(crate) struct Postgres(Cluster);

impl Postgres {
    /// Starts a server with an empty table; none where PostgreSQL is not installed.
    pub(crate) fn start(dir: &Path) -> Option<Self> {
        let cluster = Cluster::start(dir)?;
        cluster.sql(TABLE);
        Some(Self(cluster))
    }

    /// Inserts events.
    pub(crate) fn load(&self, rows: impl Iterator<Item = Row>) {
        let mut psql = self
            .0
            .psql()
            .args(["-c", "COPY audit FROM STDIN"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = BufWriter::with_capacity(1 << 20, psql.stdin.take().unwrap());
        for row in rows {
            let event = row.event().encode_to_vec();
            let hex: String = event.iter().map(|byte| format!("{byte:02x}")).collect();
            let at = jiff::Timestamp::from_nanosecond(row.occurred_at.into()).unwrap();
            writeln!(
                out,
                "{}\t{at}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t\\\\x{hex}",
                row.number,
                row.actor,
                row.action,
                row.target,
                row.before,
                row.after,
                row.run,
                row.source,
                row.host
            )
            .unwrap();
        }
        drop(out);
        assert!(psql.wait().unwrap().success());
        self.0.sql("VACUUM ANALYZE audit");
        self.0.sql("CHECKPOINT");
    }

    /// How long each question takes that asks for the newest 40 acts of an actor on a day.
    pub(crate) fn first_pages(&self, asked: &[(String, i64)]) -> Vec<Duration> {
        let mut script = String::from(
            "PREPARE q(text, timestamptz, timestamptz) AS SELECT * FROM audit WHERE actor = $1 \
             AND occurred_at >= $2 AND occurred_at < $3 ORDER BY occurred_at DESC LIMIT 40;\n",
        );
        for (actor, day) in asked {
            let at = |day| jiff::Timestamp::from_second(events::BEGIN + day * 86_400).unwrap();
            script += &format!("EXECUTE q('{actor}', '{}', '{}');\n", at(*day), at(day + 1));
        }
        self.timed(&script)
    }

    /// How long it takes to find that a version never came out.
    pub(crate) fn absent(&self, times: usize) -> Vec<Duration> {
        let mut script =
            String::from("PREPARE q(text) AS SELECT * FROM audit WHERE after = $1 LIMIT 40;\n");
        for i in 0..times {
            script += &format!("EXECUTE q('sha256:absent{i}');\n");
        }
        self.timed(&script)
    }

    pub(crate) fn bytes(&self) -> (u64, u64) {
        (
            self.0.number("SELECT pg_table_size('audit')"),
            self.0.number("SELECT pg_indexes_size('audit')"),
        )
    }

    /// The times that psql gives for the statements of a script but the first, over a socket of this machine.
    fn timed(&self, script: &str) -> Vec<Duration> {
        let mut psql = self
            .0
            .psql()
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = psql.stdin.take().unwrap();
        let script = format!("\\o /dev/null\n\\timing on\n{script}");
        let writer = std::thread::spawn(move || stdin.write_all(script.as_bytes()).unwrap());
        let output = psql.wait_with_output().unwrap();
        writer.join().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let times = text.lines().filter_map(|line| {
            let time = line.strip_prefix("Time: ")?.split_whitespace().next()?;
            Some(Duration::from_secs_f64(time.parse::<f64>().ok()? / 1e3))
        });
        times.skip(1).collect()
    }
}
