//! `graven serve`: runs a ledger.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing_subscriber::EnvFilter;

use super::access_ledger::{self, AccessLedger, Place};
use super::config::{Config, Identities, Keys};
use super::failure::Failure;
use super::files::{read_key, read_note};
use super::init::{home, make};
use super::passphrase::Passphrase;
use super::random::random;
use super::self_audit;
use super::settings::Settings;
use crate::ledger::{KnownCheckpoint, Ledger, Options, Refusal, SystemClock, SystemEntropy};
use crate::service::{
    self, Admission, Authentication, Extras, Limits, Listeners, Monitor, PolicyFile, RedactionFile,
    ServeError, TlsFiles,
};

const DEFAULT_LISTEN: &str = "127.0.0.1:7431";
const DEFAULT_ACCESS_LISTEN: &str = "127.0.0.1:7432";
const DEV_LISTEN: &str = "127.0.0.1:0";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Configuration file, in TOML
    #[arg(long, env = "GRAVEN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of the ledger
    #[arg(long, env = "GRAVEN_DIR")]
    dir: Option<PathBuf>,
    /// Address and port [default: 127.0.0.1:7431; with --dev a free port]
    #[arg(long, env = "GRAVEN_LISTEN", value_name = "ADDRESS")]
    listen: Option<String>,
    /// Address and port for operators, such as 127.0.0.1:7432; without it nothing can be erased
    /// [default: none; with --dev a free port]
    #[arg(long, env = "GRAVEN_ADMIN_LISTEN", value_name = "ADDRESS")]
    admin_listen: Option<String>,
    /// An existing directory for the backups that operators order [default: none]
    #[arg(long, env = "GRAVEN_BACKUP_DIR", value_name = "DIR")]
    backup_dir: Option<PathBuf>,
    /// Address and port of /metrics, /livez and /readyz [default: none]
    #[arg(long, env = "GRAVEN_METRICS_LISTEN", value_name = "ADDRESS")]
    metrics_listen: Option<String>,
    /// The anchor's file [default: DIR/anchor]
    #[arg(long, env = "GRAVEN_ANCHOR", value_name = "FILE")]
    anchor: Option<PathBuf>,
    /// Signing key [default: DIR/log.key]
    #[arg(long, env = "GRAVEN_LOG_KEY", value_name = "FILE")]
    log_key: Option<PathBuf>,
    /// File with the passphrase of the signing key; - to type it
    #[arg(long, env = "GRAVEN_KEY_PASSPHRASE_FILE", value_name = "FILE")]
    key_passphrase_file: Option<PathBuf>,
    /// Go on without an anchor that is missing or damaged; sealed into the ledger
    #[arg(long)]
    adopt: bool,
    /// A signed checkpoint of this ledger that somebody outside keeps: the ledger starts only if
    /// it still extends it. Can be repeated
    #[arg(long, value_name = "FILE")]
    known_checkpoint: Vec<PathBuf>,
    /// For trying out: a new ledger, this machine only, nobody is authenticated
    #[arg(long, conflicts_with = "config")]
    dev: bool,
    /// Format of the log on standard error
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Everything that is needed to start.
struct Resolved {
    dir: PathBuf,
    anchor: Option<PathBuf>,
    key: PathBuf,
    passphrase: Passphrase,
    origin: Option<String>,
    listen: SocketAddr,
    /// For operators.
    admin_listen: Option<SocketAddr>,
    backup_dir: Option<PathBuf>,
    /// For those who look after the server.
    metrics_listen: Option<SocketAddr>,
    authentication: Authentication,
    limits: Limits,
    /// Who may do what; none where nobody is authenticated.
    policy: Option<PolicyFile>,
    /// What keeps secrets out of events; none where nobody is authenticated.
    redaction: Option<RedactionFile>,
    /// The keys of the issuers of tokens.
    keys: Vec<Keys>,
    tls: Option<TlsFiles>,
    adopt: bool,
    known_checkpoints: Vec<PathBuf>,
    /// What the ledger seals about its run; none where it says nothing about it.
    settings: Option<Settings>,
    /// Where acts of reading are recorded, if they are.
    access: Option<Place>,
}

/// Open files that connections and the store can need together.
const OPEN_FILES: u64 = 65_536;

/// Lets the process open as many files as it may need, if the system allows it.
fn allow_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit
        .maximum
        .map_or(OPEN_FILES, |most| most.min(OPEN_FILES));
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit {
            current: Some(wanted),
            maximum: limit.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit of open files stays at {:?}", limit.current);
        }
    }
}

/// Runs until a signal, or until the ledger stops.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    log_to_stderr(arguments.log_format);
    allow_open_files();
    let resolved = if arguments.dev {
        dev(arguments)?
    } else {
        configured(arguments)?
    };
    let ledger = Arc::new(open(&resolved)?);
    let access = match &resolved.access {
        Some(place) => {
            let access =
                access_ledger::open(&place.dir, ledger.genesis().origin(), &resolved.passphrase)?;
            Some((Arc::new(access), place.listen))
        }
        None => None,
    };
    super::runtime()?.block_on(serve(ledger, access, resolved))
}

fn log_to_stderr(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("warn,graven::cli::serve=info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(is_coloured())
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}

/// Whether standard error takes colour, as `--color` and `NO_COLOR` have it.
fn is_coloured() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
}

fn dev(arguments: &Arguments) -> Result<Resolved, Failure> {
    let random = random()?;
    let number = u32::from_be_bytes(random);
    let dir = arguments
        .dir
        .clone()
        .unwrap_or_else(|| std::env::temp_dir().join(format!("graven-dev-{number:08x}")));
    let listen = address(
        "--listen",
        arguments.listen.as_deref().unwrap_or(DEV_LISTEN),
    )?;
    let admin_listen = arguments.admin_listen.as_deref().unwrap_or(DEV_LISTEN);
    let admin_listen = address("--admin-listen", admin_listen)?;
    for listen in [listen, admin_listen] {
        if !listen.ip().is_loopback() {
            return Err(Failure::usage(format!(
                "--dev authenticates nobody, so it listens on loopback addresses only, not on {listen}"
            )));
        }
    }
    let key = arguments
        .log_key
        .clone()
        .unwrap_or_else(|| dir.join("log.key"));
    let passphrase = Passphrase::new(arguments.key_passphrase_file.as_deref());
    if !dir.join("store").exists() {
        let anchor = arguments.anchor.as_deref();
        let origin = format!("localhost/dev-{number:08x}");
        let given = (arguments.log_key.as_deref(), &passphrase);
        make(&dir, &origin, given, anchor, None)?;
    }
    Ok(Resolved {
        dir,
        anchor: arguments.anchor.clone(),
        key,
        passphrase,
        origin: None,
        listen,
        admin_listen: Some(admin_listen),
        backup_dir: arguments.backup_dir.clone(),
        metrics_listen: metrics_address(arguments.metrics_listen.as_deref())?,
        authentication: Authentication::None,
        limits: Limits::default(),
        policy: None,
        redaction: None,
        keys: Vec::new(),
        tls: None,
        adopt: arguments.adopt,
        known_checkpoints: arguments.known_checkpoint.clone(),
        settings: None,
        access: None,
    })
}

fn configured(arguments: &Arguments) -> Result<Resolved, Failure> {
    let config = match &arguments.config {
        Some(path) => Config::read(path)?,
        None => Config::default(),
    };
    let dir = arguments
        .dir
        .clone()
        .or_else(|| config.dir.clone())
        .ok_or_else(|| {
            Failure::usage("which ledger? give its directory with --dir, or try one with --dev")
        })?;
    let listen = arguments.listen.as_deref().or(config.listen.as_deref());
    let listen = address("--listen", listen.unwrap_or(DEFAULT_LISTEN))?;
    let admin_listen = arguments
        .admin_listen
        .as_deref()
        .or(config.admin_listen.as_deref())
        .map(|admin| address("--admin-listen", admin))
        .transpose()?;
    let metrics_listen = arguments
        .metrics_listen
        .as_deref()
        .or(config.metrics_listen.as_deref());
    if !config.admits_somebody() {
        return Err(Failure::usage(
            "nobody could get in: the configuration needs a [[token]], or [tls] with client_ca; \
             `graven token` makes one, `graven serve --dev` needs none",
        ));
    }
    let tls = config.tls()?;
    for listen in std::iter::once(listen).chain(admin_listen) {
        check_private(listen, tls.is_some())?;
    }
    let access = access(&config, &dir, tls.is_some())?;
    config.limits.check().map_err(Failure::usage)?;
    let policy = policy(&config)?;
    let Identities {
        authentication,
        keys,
    } = config.identities(&policy)?;
    let log_key = arguments.log_key.clone().or_else(|| config.key.clone());
    let passphrase_file = arguments.key_passphrase_file.as_deref();
    let passphrase_file = passphrase_file.or(config.key_passphrase_file.as_deref());
    // No flag takes away what the configuration asks for.
    let mut known_checkpoints = config.known_checkpoints.clone();
    known_checkpoints.extend_from_slice(&arguments.known_checkpoint);
    Ok(Resolved {
        key: log_key.unwrap_or_else(|| dir.join("log.key")),
        passphrase: Passphrase::new(passphrase_file),
        dir,
        anchor: arguments.anchor.clone().or_else(|| config.anchor.clone()),
        origin: config.origin.clone(),
        listen,
        admin_listen,
        backup_dir: arguments
            .backup_dir
            .clone()
            .or_else(|| config.backup_dir.clone()),
        metrics_listen: metrics_address(metrics_listen)?,
        authentication,
        limits: config.limits.clone(),
        policy: Some(policy),
        redaction: Some(RedactionFile::open(config.redaction.as_deref())?),
        keys,
        tls,
        adopt: arguments.adopt,
        known_checkpoints,
        settings: Some(settings(&config, arguments)),
        access,
    })
}

/// Where acts of reading are recorded, if the configuration asks for it.
fn access(config: &Config, dir: &Path, has_tls: bool) -> Result<Option<Place>, Failure> {
    if !config.access_ledger {
        return match &config.access_listen {
            Some(_) => Err(Failure::usage(
                "access_listen is the address of an access ledger: it needs access_ledger = true",
            )),
            None => Ok(None),
        };
    }
    let listen = config.access_listen.as_deref();
    let listen = address("access_listen", listen.unwrap_or(DEFAULT_ACCESS_LISTEN))?;
    check_private(listen, has_tls)?;
    Ok(Some(Place {
        dir: dir.join("access"),
        listen,
    }))
}

/// Refuses to send credentials over a network as they are.
fn check_private(listen: SocketAddr, has_tls: bool) -> Result<(), Failure> {
    if has_tls || listen.ip().is_loopback() {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "tokens would cross the network in the clear: give [tls], or a loopback address instead \
         of {listen}"
    )))
}

/// The configuration under the flags and variables that win over it.
fn settings(config: &Config, arguments: &Arguments) -> Settings {
    let mut table = config.table.clone();
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let known: Vec<String> = arguments
        .known_checkpoint
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let given = [
        ("dir", path(&arguments.dir)),
        ("listen", arguments.listen.clone()),
        ("admin_listen", arguments.admin_listen.clone()),
        ("anchor", path(&arguments.anchor)),
        ("key", path(&arguments.log_key)),
        ("key_passphrase_file", path(&arguments.key_passphrase_file)),
        // These add to those of the configuration.
        (
            "--known-checkpoint",
            (!known.is_empty()).then(|| known.join("\n")),
        ),
        ("--adopt", arguments.adopt.then(String::new)),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            table.insert(name.to_owned(), value.into());
        }
    }
    Settings::of(&table)
}

fn policy(config: &Config) -> Result<PolicyFile, Failure> {
    let path = config.policy.as_deref().ok_or_else(|| {
        Failure::usage(
            "nobody could do anything: the configuration needs `policy = \"FILE\"`, a file of \
             [[grant]] with identity and role (writer, reader, auditor, operator)",
        )
    })?;
    Ok(PolicyFile::open(Some(path))?)
}

fn address(setting: &str, text: &str) -> Result<SocketAddr, Failure> {
    text.parse().map_err(|_| {
        Failure::usage(format!(
            "{setting} {text}: expected an address and port, such as 127.0.0.1:7431"
        ))
    })
}

fn metrics_address(text: Option<&str>) -> Result<Option<SocketAddr>, Failure> {
    text.map(|text| address("--metrics-listen", text))
        .transpose()
}

fn open(resolved: &Resolved) -> Result<Ledger, Failure> {
    if !Path::new(&resolved.dir).is_dir() {
        return Err(Refusal::NotInitialised(resolved.dir.display().to_string()).into_failure());
    }
    let key = read_key(&resolved.key, &resolved.passphrase)?;
    let known_checkpoints = resolved
        .known_checkpoints
        .iter()
        .map(|path| known_checkpoint(path))
        .collect::<Result<_, _>>()?;
    let options = Options {
        // A key bears the name of its ledger.
        origin: resolved
            .origin
            .clone()
            .unwrap_or_else(|| key.name().to_string()),
        key,
        adopt: resolved.adopt,
        known_checkpoints,
        clock: Arc::new(SystemClock::default()),
        entropy: Arc::new(SystemEntropy),
    };
    Ok(Ledger::open(
        &home(&resolved.dir, resolved.anchor.as_deref()),
        options,
    )?)
}

fn known_checkpoint(path: &Path) -> Result<KnownCheckpoint, Failure> {
    let source = path.display().to_string();
    // Without it nothing can be said, so nothing is signed.
    let note = read_note(path).map_err(|error| {
        Failure::unchecked(format!("reading the known checkpoint {source}: {error}"))
    })?;
    Ok(KnownCheckpoint { source, note })
}

async fn serve(
    ledger: Arc<Ledger>,
    access: Option<(Arc<Ledger>, SocketAddr)>,
    mut resolved: Resolved,
) -> Result<ExitCode, Failure> {
    let (public, address) = bind(resolved.listen).await?;
    let (admin, admin_address) = match resolved.admin_listen {
        Some(listen) => bind(listen)
            .await
            .map(|(listener, address)| (Some(listener), Some(address)))?,
        None => (None, None),
    };
    let monitor = monitor(&resolved).await?;
    let cannot = |error| Failure::other(format!("waiting for signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    let (ending, ended_by) = tokio::sync::oneshot::channel();
    let shutdown = async move {
        let signal = tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        };
        // Whoever waits for it lives as long as the server.
        let _ = ending.send(signal);
    };
    let records_itself = resolved.settings.is_some();
    if let Some(settings) = resolved.settings.take() {
        self_audit::start(&ledger, Some(settings)).await?;
    }
    let redaction = resolved.redaction.take();
    let rules = redaction.as_ref().map(RedactionFile::subscribe);
    let mut following = match resolved.policy.take() {
        Some(policy) => follow(policy, redaction, &ledger).await?,
        None => Following {
            tasks: JoinSet::new(),
            told: watch::channel(()).1,
        },
    };
    let access = match access {
        Some((access, listen)) => {
            let tls = resolved.tls.as_ref().map(TlsFiles::tls);
            let origin = ledger.genesis().origin();
            let authentication = &resolved.authentication;
            Some(AccessLedger::start(access, listen, origin, authentication, tls).await?)
        }
        None => None,
    };
    let keys = fetch(std::mem::take(&mut resolved.keys)).await;
    announce(
        &ledger,
        &resolved,
        address,
        admin_address,
        access.as_ref(),
        monitor.as_ref(),
    );
    let size = ledger.published().size();
    tracing::info!(%address, origin = ledger.genesis().origin(), size, "started");
    let Resolved {
        authentication,
        limits,
        tls: tls_files,
        backup_dir,
        ..
    } = resolved;
    let tls = tls_files.as_ref().map(TlsFiles::tls);
    following.add(tls_files, keys);
    let listeners = Listeners {
        public,
        admin,
        monitor,
        backup_dir,
    };
    let extras = Extras {
        reads: access.as_ref().map(AccessLedger::log),
        redaction: rules,
    };
    let serving = Arc::clone(&ledger);
    let admission = Admission {
        authentication,
        limits,
        clock: Arc::new(SystemClock::default()),
    };
    let served = service::serve_with(serving, listeners, admission, tls, extras, shutdown).await;
    tracing::info!(size = ledger.published().size(), "stopping");
    drop(following);
    let signal = ended_by.await.ok().filter(|_| served.is_ok());
    if let Some(access) = access {
        access.stop(signal).await;
    }
    if let Some(signal) = signal.filter(|_| records_itself) {
        self_audit::stop(&ledger, signal).await;
    }
    // Joins the ledger's threads, which may still be writing.
    let closed = tokio::task::spawn_blocking(move || ledger.close()).await;
    match (served, closed) {
        (Ok(()), Ok(())) => Ok(ExitCode::SUCCESS),
        (Err(error @ ServeError::Stopped(_)), _) => Err(Failure::other(format!(
            "{error}; what was acknowledged is safe, start again to recover"
        ))),
        (Err(error), _) => Err(Failure::other(error.to_string())),
        (_, Err(error)) => Err(Failure::other(format!("closing: {error}"))),
    }
}

async fn bind(listen: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let cannot = |error| Failure::other(format!("listening on {listen}: {error}"));
    let listener = TcpListener::bind(listen).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    Ok((listener, address))
}

/// The files that are read again when they change, and at once on SIGHUP. No more once this is dropped.
struct Following {
    tasks: JoinSet<()>,
    told: watch::Receiver<()>,
}

/// Seals the policy and the rules for secrets if they are others than at the last start, and looks after their files from
/// then on.
async fn follow(
    policy: PolicyFile,
    redaction: Option<RedactionFile>,
    ledger: &Arc<Ledger>,
) -> Result<Following, Failure> {
    policy.seal_at_start(ledger).await?;
    if let Some(redaction) = &redaction {
        redaction.seal_at_start(ledger).await?;
    }
    let mut hangup = signal(SignalKind::hangup())
        .map_err(|error| Failure::other(format!("waiting for signals: {error}")))?;
    let (tell, told) = watch::channel(());
    let mut tasks = JoinSet::new();
    tasks.spawn(policy.follow(Arc::clone(ledger), told.clone()));
    if let Some(redaction) = redaction {
        tasks.spawn(redaction.follow(Arc::clone(ledger), told.clone()));
    }
    tasks.spawn(async move {
        while hangup.recv().await.is_some() {
            tell.send_replace(());
        }
    });
    Ok(Following { tasks, told })
}

impl Following {
    fn add(&mut self, tls: Option<TlsFiles>, keys: Vec<Keys>) {
        let told = || self.told.clone();
        if let Some(tls) = tls {
            self.tasks.spawn(tls.follow(told()));
        }
        for keys in keys {
            match keys {
                Keys::File(file) => self.tasks.spawn(file.follow(told())),
                Keys::Url(fetched) => self.tasks.spawn(fetched.follow(told())),
            };
        }
    }
}

/// Fetches what is at URLs, all at the same time. A provider that does not answer keeps nobody else out: the server starts,
/// and tries again.
async fn fetch(keys: Vec<Keys>) -> Vec<Keys> {
    let mut fetching = JoinSet::new();
    for mut keys in keys {
        fetching.spawn(async move {
            if let Keys::Url(fetched) = &mut keys {
                fetched.fetch().await;
            }
            keys
        });
    }
    fetching.join_all().await
}

/// The listener of those who look after the server, if there is to be one.
async fn monitor(resolved: &Resolved) -> Result<Option<Monitor>, Failure> {
    let Some(listen) = resolved.metrics_listen else {
        return Ok(None);
    };
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| Failure::other(format!("listening on {listen}: {error}")))?;
    let dir = resolved.dir.clone();
    Ok(Some(Monitor { listener, dir }))
}

/// Tells where the ledger is and what to pin.
fn announce(
    ledger: &Ledger,
    resolved: &Resolved,
    address: SocketAddr,
    admin: Option<SocketAddr>,
    access: Option<&AccessLedger>,
    monitor: Option<&Monitor>,
) {
    let scheme = if resolved.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let genesis = ledger.genesis();
    let (origin, key) = (genesis.origin(), genesis.verifier_key());
    let mut lines = format!("listening on {scheme}://{address}\norigin {origin}\nkey {key}\n");
    if let Some(admin) = admin {
        let admin = format!("admin {scheme}://{admin}\n");
        lines.push_str(&admin);
    }
    if let Some(access) = access {
        lines.push_str(&access.announcement(scheme));
    }
    if let Some(Ok(address)) = monitor.map(|monitor| monitor.listener.local_addr()) {
        let metrics = format!("metrics http://{address}/metrics\n");
        lines.push_str(&metrics);
    }
    if matches!(resolved.authentication, Authentication::None) {
        let directory = format!("directory {}\n", resolved.dir.display());
        lines.push_str(&directory);
        lines.push_str("nobody is authenticated, and every entry says so\n");
    }
    // A server does not end because nobody reads this to the last line.
    let _ = std::io::stdout().write_all(lines.as_bytes());
}

impl Refusal {
    fn into_failure(self) -> Failure {
        crate::ledger::LedgerError::from(self).into()
    }
}
