//! Keys that are fetched again and again, and kept for a while when that fails.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use super::keys::KeySet;
use super::keys_url::KeysUrl;

/// The longest time between two attempts while they fail.
const MAX_RETRY: Duration = Duration::from_secs(60);

/// When keys are fetched, and for how long they are kept.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// Between two fetches.
    pub refresh: Duration,
    /// Without a fetch that succeeded the keys are kept for so long.
    pub keep: Duration,
    /// A token of an unknown key has them fetched earlier, but not sooner than this after the last attempt.
    pub early: Duration,
    /// After the first failure; twice as long after each further one, and at most a minute.
    pub retry: Duration,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(5 * 60),
            keep: Duration::from_secs(24 * 3600),
            early: Duration::from_secs(30),
            retry: Duration::from_secs(1),
        }
    }
}

/// The keys of an issuer that publishes them at a URL. There are none until they were fetched.
pub struct FetchedKeys {
    url: KeysUrl,
    schedule: Schedule,
    current: watch::Sender<Arc<KeySet>>,
    status: Arc<FetchStatus>,
    /// When it was tried last.
    tried: Instant,
    /// Attempts that failed since one succeeded.
    failures: u32,
    /// When there are no keys any more, unless a fetch succeeds before.
    until: Option<Instant>,
    /// What was said to be wrong.
    said: Option<String>,
}

/// How it stands with the keys of an issuer, and how to ask for them.
#[derive(Debug)]
pub struct FetchStatus {
    issuer: String,
    keys: watch::Receiver<Arc<KeySet>>,
    wanted: Notify,
    fetched: AtomicU64,
    failed: AtomicU64,
    last: Mutex<Option<std::time::Instant>>,
}

/// What is next.
enum Next {
    Fetch,
    Drop,
}

impl FetchedKeys {
    /// The keys of `issuer` at `url`.
    pub fn new(issuer: &str, url: KeysUrl, schedule: Schedule) -> Self {
        let current = watch::Sender::new(Arc::new(KeySet::none()));
        let status = FetchStatus {
            issuer: issuer.to_owned(),
            keys: current.subscribe(),
            wanted: Notify::new(),
            fetched: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            last: Mutex::new(None),
        };
        Self {
            url,
            schedule,
            current,
            status: Arc::new(status),
            tried: Instant::now(),
            failures: 0,
            until: None,
            said: None,
        }
    }

    /// Where they are.
    pub fn url(&self) -> &KeysUrl {
        &self.url
    }

    /// What is in force.
    pub fn subscribe(&self) -> watch::Receiver<Arc<KeySet>> {
        self.current.subscribe()
    }

    /// How it stands.
    pub fn status(&self) -> Arc<FetchStatus> {
        Arc::clone(&self.status)
    }

    /// Fetches them now. When that fails, all stays as it was.
    pub async fn fetch(&mut self) {
        let fetched = self.url.fetch().await;
        self.tried = Instant::now();
        let issuer = &self.status.issuer;
        match fetched {
            Ok(keys) => {
                self.failures = 0;
                self.until = self.tried.checked_add(self.schedule.keep);
                self.status.note(true);
                if self.said.take().is_some() {
                    tracing::warn!(%issuer, "the keys are fetched again");
                }
                if **self.current.borrow() != keys {
                    // That there were none before the first time is no change.
                    if self.status.attempts() != (1, 0) {
                        tracing::warn!(%issuer, keys = keys.len(), "the keys of an issuer changed");
                    }
                    self.current.send_replace(Arc::new(keys));
                }
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                self.status.note(false);
                let problem = error.to_string();
                if self.said.as_ref() != Some(&problem) {
                    let (url, kept) = (self.url.as_str(), self.status.has_keys());
                    let then = if kept {
                        "they stay as they were for now"
                    } else {
                        "there are none, and its tokens are refused"
                    };
                    tracing::error!(%issuer, url, %problem, "the keys cannot be fetched: {then}");
                    self.said = Some(problem);
                }
            }
        }
    }

    /// Fetches them again and again, and at once when it is told to. Never ends by itself.
    pub async fn follow(mut self, mut told: watch::Receiver<()>) {
        loop {
            match self.next(&mut told).await {
                Next::Fetch => self.fetch().await,
                Next::Drop => {
                    let issuer = &self.status.issuer;
                    tracing::error!(%issuer, "the keys could not be fetched for too long: its tokens are refused");
                    self.until = None;
                    self.current.send_replace(Arc::new(KeySet::none()));
                }
            }
        }
    }

    async fn next(&self, told: &mut watch::Receiver<()>) -> Next {
        let wanted = async {
            self.status.wanted.notified().await;
            sleep_until(later(self.tried, self.schedule.early)).await;
        };
        let told = async {
            if told.changed().await.is_err() {
                // Nobody tells any more.
                std::future::pending::<()>().await;
            }
        };
        let too_old = async {
            match self.until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = sleep_until(later(self.tried, self.pause())) => Next::Fetch,
            () = wanted => Next::Fetch,
            () = told => Next::Fetch,
            () = too_old => Next::Drop,
        }
    }

    /// From the last attempt to the next.
    fn pause(&self) -> Duration {
        let Some(before) = self.failures.checked_sub(1) else {
            return self.schedule.refresh;
        };
        let retry = self.schedule.retry.saturating_mul(1 << before.min(16));
        retry.min(MAX_RETRY).min(self.schedule.refresh)
    }
}

impl FetchStatus {
    /// Whose keys they are.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whether there are any.
    pub fn has_keys(&self) -> bool {
        !self.keys.borrow().is_empty()
    }

    /// How many there are.
    pub fn keys(&self) -> usize {
        self.keys.borrow().len()
    }

    /// Attempts since the start: those that succeeded, and those that failed.
    pub fn attempts(&self) -> (u64, u64) {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (count(&self.fetched), count(&self.failed))
    }

    /// Since they were fetched last; none if they never were.
    pub fn age(&self) -> Option<Duration> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.map(|last| last.elapsed())
    }

    /// Has them fetched earlier than they would be.
    pub(in crate::service) fn want(&self) {
        self.wanted.notify_one();
    }

    fn note(&self, succeeded: bool) {
        if succeeded {
            self.fetched.fetch_add(1, Ordering::Relaxed);
            let now = std::time::Instant::now();
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        } else {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Far away when it cannot be told.
fn later(time: Instant, pause: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(365 * 24 * 3600);
    time + pause.min(FAR)
}
