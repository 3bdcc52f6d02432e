//! The real binary, as a user runs it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

pub(super) struct Server {
    child: Child,
    pub(super) url: String,
    pub(super) origin: String,
    pub(super) key: String,
    /// Where it takes orders, as far as that was asked for.
    pub(super) admin: Option<String>,
    pub(super) dir: PathBuf,
    _temporary: TempDir,
}

pub(super) fn graven() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_graven"));
    for variable in [
        "GRAVEN_SERVER",
        "GRAVEN_ADMIN",
        "GRAVEN_ADMIN_LISTEN",
        "GRAVEN_KEY",
        "GRAVEN_KEY_PASSPHRASE_FILE",
        "CREDENTIALS_DIRECTORY",
        "GRAVEN_TOKEN",
        "GRAVEN_DIR",
        "GRAVEN_CONFIG",
        "GRAVEN_QUERIES_FILE",
        "COLUMNS",
    ] {
        command.env_remove(variable);
    }
    command
}

/// Runs a command to its end, with `input` on its standard input.
pub(super) fn run(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its input may have gone.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

pub(super) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(super) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

impl Server {
    /// A development ledger.
    pub(super) fn dev() -> Self {
        let temporary = TempDir::new().unwrap();
        let dir = temporary.path().join("ledger");
        let mut command = graven();
        command.args(["serve", "--dev", "--dir"]).arg(&dir);
        Self::start_with(command, dir, temporary, true)
    }

    /// A server that `command` starts.
    pub(super) fn start(command: Command, dir: PathBuf, temporary: TempDir) -> Self {
        Self::start_with(command, dir, temporary, false)
    }

    /// The same, of which it is asked where it takes orders.
    pub(super) fn start_with(
        command: Command,
        dir: PathBuf,
        temporary: TempDir,
        admin: bool,
    ) -> Self {
        Self::started(command, dir, temporary, admin).0
    }

    /// A server that `command` starts, with the address and the key of its access ledger.
    pub(super) fn start_with_access(
        command: Command,
        dir: PathBuf,
        temporary: TempDir,
    ) -> (Self, (String, String)) {
        let (server, mut line) = Self::started(command, dir, temporary, false);
        let url = line("access listening on ");
        line("access origin ");
        let key = line("access key ");
        (server, (url, key))
    }

    fn started(
        mut command: Command,
        dir: PathBuf,
        temporary: TempDir,
        admin: bool,
    ) -> (Self, impl FnMut(&str) -> String) {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut line = move |prefix: &str| {
            let line = lines.next().unwrap().unwrap();
            line.strip_prefix(prefix).unwrap().to_string()
        };
        let (url, origin, key) = (line("listening on "), line("origin "), line("key "));
        let admin = admin.then(|| line("admin "));
        let server = Self {
            child,
            url,
            origin,
            key,
            admin,
            dir,
            _temporary: temporary,
        };
        (server, line)
    }

    /// A command that talks to this server and pins its key.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = graven();
        command
            .args(arguments)
            .env("GRAVEN_SERVER", &self.url)
            .env("GRAVEN_KEY", &self.key);
        if let Some(admin) = &self.admin {
            command.env("GRAVEN_ADMIN", admin);
        }
        command
    }

    pub(super) fn run(&self, arguments: &[&str], input: &str) -> Output {
        run(&mut self.command(arguments), input)
    }

    /// What a command that must succeed prints.
    pub(super) fn prints(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run(arguments, input);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            stderr(&output)
        );
        stdout(&output)
    }

    /// Its process id.
    pub(super) fn id(&self) -> String {
        self.child.id().to_string()
    }

    /// Ends the server as a service manager would, and gives its exit code.
    pub(super) fn terminate(&mut self) -> Option<i32> {
        let id = self.id();
        assert!(Command::new("kill").arg(id).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The path as an argument.
pub(super) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
