//! Tells streams, which never end by themselves, that they have to: the server is about to, or the caller may not go on.

use tokio::sync::watch;
use tonic::Status;

use super::door::Caller;

/// Closes every stream that holds a [`Closing`].
pub(super) struct Close(watch::Sender<bool>);

/// Completes when a stream has to end.
#[derive(Clone)]
pub(super) struct Closing {
    server: watch::Receiver<bool>,
    caller: Option<Caller>,
}

impl Close {
    pub(super) fn new() -> (Self, Closing) {
        let (sender, receiver) = watch::channel(false);
        let closing = Closing {
            server: receiver,
            caller: None,
        };
        (Self(sender), closing)
    }

    pub(super) fn now(&self) {
        self.0.send_replace(true);
    }
}

impl Closing {
    /// Whether the server is shutting down.
    pub(super) fn is_closing(&self) -> bool {
        *self.server.borrow()
    }

    /// For a stream of this caller.
    pub(super) fn of(&self, caller: &Caller) -> Self {
        Self {
            server: self.server.clone(),
            caller: Some(caller.clone()),
        }
    }

    /// Waits for the end, and gives what to answer with: a client calls again and goes on from where it was.
    pub(super) async fn wait(&mut self) -> Status {
        let changed = async {
            match &mut self.caller {
                Some(caller) => caller.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // An error means that the server has gone already.
            _ = self.server.wait_for(|closing| *closing) => {
                Status::unavailable("the server is shutting down: connect again")
            }
            refusal = changed => refusal,
        }
    }
}
