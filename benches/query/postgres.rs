//! The same events and questions in PostgreSQL, where it is installed: one table with the indexes that the questions want.
//! Its server runs as the user `postgres` when this runs as root, because it refuses to run as root.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::events::{self, Row};
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

pub(crate) struct Postgres {
    bin: PathBuf,
    data: PathBuf,
    socket: PathBuf,
}

impl Postgres {
    /// Starts a server with an empty table; none where PostgreSQL is not installed.
    pub(crate) fn start(dir: &Path) -> Option<Self> {
        let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
        let mut bins: Vec<PathBuf> = versions
            .flatten()
            .map(|entry| entry.path().join("bin"))
            .filter(|bin| bin.join("initdb").exists())
            .collect();
        bins.sort();
        let this = Self {
            bin: bins.pop()?,
            data: dir.join("data"),
            socket: dir.to_path_buf(),
        };
        std::fs::create_dir_all(dir).unwrap();
        if is_root() {
            let owned = Command::new("chown").arg("postgres").arg(dir).status();
            assert!(owned.unwrap().success(), "there is no user postgres");
        }
        let data = this.data.to_str().unwrap();
        this.run("initdb", &["-D", data, "-A", "trust", "-U", "postgres"]);
        let options = format!(
            "-c listen_addresses='' -c unix_socket_directories='{}' -c shared_buffers=2GB -c max_wal_size=8GB",
            this.socket.display()
        );
        this.run(
            "pg_ctl",
            &[
                "-D",
                data,
                "-o",
                &options,
                "-w",
                "-l",
                &format!("{data}/log"),
                "start",
            ],
        );
        this.sql(TABLE);
        Some(this)
    }

    /// Inserts events.
    pub(crate) fn load(&self, rows: impl Iterator<Item = Row>) {
        let mut psql = self
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
        self.sql("VACUUM ANALYZE audit");
        self.sql("CHECKPOINT");
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
        let number = |sql: &str| self.sql(sql).trim().parse().unwrap();
        (
            number("SELECT pg_table_size('audit')"),
            number("SELECT pg_indexes_size('audit')"),
        )
    }

    /// The times that psql gives for the statements of a script but the first, over a socket of this machine.
    fn timed(&self, script: &str) -> Vec<Duration> {
        let mut psql = self
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

    fn sql(&self, sql: &str) -> String {
        let output = self.psql().args(["-At", "-c", sql]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn psql(&self) -> Command {
        let mut psql = self.command("psql");
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-h"])
            .arg(&self.socket)
            .arg("postgres");
        psql
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let status = self
            .command(program)
            .args(arguments)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "{program} failed");
    }

    fn command(&self, program: &str) -> Command {
        let program = self.bin.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir("/");
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.data.to_str().unwrap();
        let _ = self
            .command("pg_ctl")
            .args(["-D", data, "-m", "immediate", "stop"])
            .stdout(Stdio::null())
            .status();
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
