//! Events of a made-up laboratory: a hundred days, a few busy people and many quiet ones, forty sources. The event `n` is
//! always the same, so that every system is given the same history.

use graven::entry::v1;

/// 2026-01-01T00:00:00Z, in seconds since 1970.
pub(crate) const BEGIN: i64 = 1_767_225_600;
pub(crate) const DAYS: i64 = 100;
/// Somebody who acted ten times in each million events, evenly.
pub(crate) const RARE_ACTOR: &str = "oidc:corp/rare";

const ACTORS: u64 = 2_000;
const ACTIONS: [&str; 10] = [
    "file.update",
    "file.update",
    "file.update",
    "checkpoint.save",
    "checkpoint.load",
    "run.start",
    "run.end",
    "job.submit",
    "job.cancel",
    "image.retag",
];

/// What both a ledger and a table are given.
pub(crate) struct Row {
    pub(crate) number: u64,
    /// Nanoseconds since 1970.
    pub(crate) occurred_at: i64,
    pub(crate) actor: String,
    pub(crate) action: &'static str,
    pub(crate) target: String,
    pub(crate) owner: String,
    pub(crate) before: String,
    pub(crate) after: String,
    pub(crate) run: String,
    pub(crate) source: String,
    pub(crate) host: String,
    pub(crate) detail: [u8; 256],
}

/// The event `number` of `total`.
pub(crate) fn row(number: u64, total: u64) -> Row {
    let mut random = blake3::Hasher::new()
        .update(&number.to_be_bytes())
        .finalize_xof();
    let mut words = [0; 64];
    random.fill(&mut words);
    let word = |i: usize| u64::from_be_bytes(words[i * 8..i * 8 + 8].try_into().unwrap());
    let mut detail = [0; 256];
    random.fill(&mut detail);
    let span = DAYS * 86_400 * 1_000_000_000;
    let at = (i128::from(span) * i128::from(number) / i128::from(total)) as i64;
    // Up to five minutes late.
    let late = (word(0) % 300_000_000_000) as i64;
    let actor = if number % 100_000 == 50_000 {
        RARE_ACTOR.into()
    } else {
        actor(word(1))
    };
    let file = skewed(word(2), 200_000);
    let version = |n: u64| format!("sha256:{}", blake3::hash(&n.to_be_bytes()).to_hex());
    let source = skewed(word(3), 40);
    Row {
        number,
        occurred_at: BEGIN * 1_000_000_000 + at - late,
        actor,
        action: ACTIONS[(word(4) % 10) as usize],
        target: format!(
            "fs://nfs1/home/team{}/src/module{}/file{file}.py",
            file % 40,
            file % 2_000
        ),
        owner: self::actor(file.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
        before: version(word(5)),
        after: version(word(6)),
        run: format!("run-{}", number / 1_000),
        source: format!("agent://node-{source}"),
        host: format!("node-{source}"),
        detail,
    }
}

/// One of the actors, the first ones far more often than the last.
pub(crate) fn actor(random: u64) -> String {
    format!("oidc:corp/user{}", skewed(random, ACTORS))
}

fn skewed(random: u64, count: u64) -> u64 {
    let unit = random as f64 / u64::MAX as f64;
    ((unit * unit * unit) * count as f64) as u64 % count
}

impl Row {
    pub(crate) fn event(&self) -> v1::Event {
        let version = |id: &str| {
            Some(v1::Version {
                ids: vec![id.into()],
                ..Default::default()
            })
        };
        let mut id = self.occurred_at.to_be_bytes().to_vec();
        id.extend(self.number.to_be_bytes());
        v1::Event {
            who: Some(v1::Who {
                actor: self.actor.clone(),
                assurance: v1::Assurance::Authenticated.into(),
                ..Default::default()
            }),
            what: Some(v1::What {
                action: self.action.into(),
                outcome: v1::Outcome::Success.into(),
                targets: vec![v1::Target {
                    uri: self.target.clone(),
                    owner: self.owner.clone(),
                    before: version(&self.before),
                    after: version(&self.after),
                    ..Default::default()
                }],
                run: Some(v1::Run {
                    id: self.run.clone(),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            context: Some(v1::Context {
                source: self.source.clone(),
                source_seq: Some(self.number),
                host: self.host.clone(),
                occurred_at: Some(self.occurred_at),
                idempotency_id: id,
                ..Default::default()
            }),
            detail: Some(v1::Detail {
                content: self.detail.to_vec(),
                ..Default::default()
            }),
            ..Default::default()
        }
    }
}
