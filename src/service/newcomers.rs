//! Connections on which nobody has been recognised yet: only so many of each network address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedSemaphorePermit;

/// How many there are of each network.
#[derive(Debug, Default)]
pub(super) struct Newcomers(Mutex<HashMap<IpAddr, usize>>);

/// One of them.
#[derive(Debug)]
pub(super) struct Newcomer {
    all: Arc<Newcomers>,
    network: IpAddr,
}

impl Newcomers {
    /// Lets one in, unless there are `most` already.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr, most: usize) -> Option<Newcomer> {
        let network = network(address);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(network).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Newcomer {
            all: Arc::clone(self),
            network,
        })
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        let mut counts = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.network);
            }
        }
    }
}

/// Who has one IPv6 address has all of its /64.
fn network(address: IpAddr) -> IpAddr {
    const HALF: u128 = u64::MAX as u128;
    match address {
        IpAddr::V6(address) if address.to_ipv4_mapped().is_none() => {
            IpAddr::V6((address.to_bits() & !HALF).into())
        }
        address => address.to_canonical(),
    }
}

/// What a connection counts as.
#[derive(Debug, Default)]
pub(super) enum Standing {
    /// Nobody counts it.
    #[default]
    Uncounted,
    /// Nobody has been recognised on it.
    New(#[expect(dead_code, reason = "held")] Newcomer),
    /// It is one of those of the identity that was recognised first.
    Known(#[expect(dead_code, reason = "held")] OwnedSemaphorePermit),
}

/// What a connection counts as, shared by its calls.
#[derive(Debug, Clone, Default)]
pub(super) struct Counted(Arc<Mutex<Standing>>);

impl Counted {
    pub(super) fn new(newcomer: Newcomer) -> Self {
        Self(Arc::new(Mutex::new(Standing::New(newcomer))))
    }

    /// Counts it among the connections of somebody, if it was new. `place` gives it a place there, or says why there is none.
    pub(super) fn recognise<E>(
        &self,
        place: impl FnOnce() -> Result<OwnedSemaphorePermit, E>,
    ) -> Result<(), E> {
        let mut standing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*standing, Standing::New(_)) {
            *standing = Standing::Known(place()?);
        }
        Ok(())
    }
}
