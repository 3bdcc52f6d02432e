//! What a server seals about its own run.

use std::sync::Arc;

use super::failure::Failure;
use super::settings::Settings;
use crate::entry::v1;
use crate::ledger::{Ledger, LedgerError};

/// Seals that the server starts, and with what configuration if there is one and it is another than before. To be called
/// before anybody is served.
pub(super) async fn start(ledger: &Arc<Ledger>, settings: Option<Settings>) -> Result<(), Failure> {
    let reading = Arc::clone(ledger);
    let read = move || Ok((reading.previous_run()?, reading.last_configuration()?));
    let (previous, last) = tokio::task::spawn_blocking(read)
        .await
        .unwrap_or_else(|_| Err(LedgerError::Stopped("a read failed".into())))?;
    let start = v1::Start {
        version: env!("CARGO_PKG_VERSION").into(),
        ..previous
    };
    serve_all_the_same(ledger.record_start(start).await)?;
    if let Some(configuration) = settings.and_then(|settings| settings.since(last.as_ref())) {
        serve_all_the_same(ledger.record_configuration(configuration).await)?;
    }
    Ok(())
}

/// Seals that the server has ended in peace.
pub(super) async fn stop(ledger: &Ledger, occasion: &str) {
    let stop = v1::Stop {
        occasion: occasion.into(),
    };
    if let Err(error) = ledger.record_stop(stop).await {
        tracing::error!(%error, "the ledger does not say that it stops");
    }
}

/// A ledger that is full can still be read, so it is served although it cannot say so.
fn serve_all_the_same(sealed: Result<(), LedgerError>) -> Result<(), Failure> {
    match sealed {
        Err(error @ (LedgerError::Full { .. } | LedgerError::ClockJump { .. })) => {
            tracing::error!(%error, "the ledger does not say that it starts");
            Ok(())
        }
        sealed => Ok(sealed?),
    }
}
