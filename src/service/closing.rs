//! Tells streams, which never end by themselves, that the server is about to.

use tokio::sync::watch;
use tonic::Status;

/// Closes every stream that holds a [`Closing`].
pub(super) struct Close(watch::Sender<bool>);

/// Completes when the server is shutting down.
#[derive(Clone)]
pub(super) struct Closing(watch::Receiver<bool>);

impl Close {
    pub(super) fn new() -> (Self, Closing) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Closing(receiver))
    }

    pub(super) fn now(&self) {
        self.0.send_replace(true);
    }
}

impl Closing {
    /// Waits for the end, and gives what to answer with: a client reconnects and goes on from where it was.
    pub(super) async fn wait(&mut self) -> Status {
        // An error means that the server has gone already.
        let _ = self.0.wait_for(|closing| *closing).await;
        Status::unavailable("the server is shutting down: connect again")
    }
}
