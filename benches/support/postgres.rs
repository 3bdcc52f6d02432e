//! A temporary server of PostgreSQL, where that is installed. It runs as the user `postgres` when this runs as root, because
//! it refuses to run as root.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Nothing of durability is turned off, and there is room enough that no checkpoint falls into a short run.
const SETTINGS: &str = "-c listen_addresses='' -c shared_buffers=2GB -c max_wal_size=8GB \
    -c fsync=on -c synchronous_commit=on -c wal_sync_method=fdatasync";

pub(crate) struct Cluster {
    bin: PathBuf,
    data: PathBuf,
    /// The directory of its socket.
    pub(crate) socket: PathBuf,
}

impl Cluster {
    /// Starts a server; none where PostgreSQL is not installed.
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
            "{SETTINGS} -c unix_socket_directories='{}'",
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
        Some(this)
    }

    /// Runs statements; what they print.
    pub(crate) fn sql(&self, sql: &str) -> String {
        let output = self.psql().args(["-At", "-c", sql]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a statement that gives one number.
    pub(crate) fn number(&self, sql: &str) -> u64 {
        self.sql(sql).trim().parse().unwrap()
    }

    pub(crate) fn psql(&self) -> Command {
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

impl Drop for Cluster {
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
