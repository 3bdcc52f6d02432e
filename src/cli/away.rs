//! A server that goes away while it is followed, and may come back.

use std::time::Duration;

use tonic::{Code, Status};

use super::arguments::Global;

/// Between attempts to connect again.
const PAUSE: Duration = Duration::from_secs(1);

/// Says once that the server has gone, and once that it is back.
pub(super) struct Away<'a> {
    global: &'a Global,
    said: bool,
}

impl<'a> Away<'a> {
    pub(super) fn new(global: &'a Global) -> Self {
        Self {
            global,
            said: false,
        }
    }

    /// Whether the server may come back after this.
    pub(super) fn is_meant_by(status: &Status) -> bool {
        // A connection that breaks ends a stream with an error of the transport.
        status.code() == Code::Unavailable || std::error::Error::source(status).is_some()
    }

    pub(super) async fn wait(&mut self) {
        if !self.said {
            self.said = true;
            self.global
                .say("the server has gone: trying again every second, from where this was");
        }
        tokio::time::sleep(PAUSE).await;
    }

    pub(super) fn is_back(&mut self) {
        if std::mem::take(&mut self.said) {
            self.global.say("the server is back");
        }
    }
}
