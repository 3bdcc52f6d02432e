//! A client certificate on its connection. It was checked when the connection began, and is again when the authorities, or what
//! they have revoked, are others by now.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_rustls::rustls::pki_types::CertificateDer;

use super::certificate::ClientCertificate;
use super::tls::{Secured, Tls};

/// A certificate that the TLS layer has checked.
#[derive(Debug)]
pub(super) struct Presented {
    /// Whom it stands for.
    pub(super) certificate: ClientCertificate,
    /// It and what came with it.
    chain: Vec<CertificateDer<'static>>,
    tls: Tls,
    /// What it was checked against last, and whether it was accepted.
    checked: Mutex<(Arc<Secured>, bool)>,
}

impl Presented {
    /// A chain that `secured` accepted in a handshake; none if it is empty.
    pub(super) fn new(
        chain: &[CertificateDer<'_>],
        tls: &Tls,
        secured: Arc<Secured>,
    ) -> Option<Self> {
        let first = chain.first()?;
        let own = |part: &CertificateDer<'_>| part.clone().into_owned();
        Some(Self {
            certificate: ClientCertificate::read(first),
            chain: chain.iter().map(own).collect(),
            tls: tls.clone(),
            checked: Mutex::new((secured, true)),
        })
    }

    /// Whether a new connection with it would be accepted now, as far as files say.
    pub(super) fn is_accepted(&self) -> bool {
        self.is_accepted_by(&self.tls.current())
    }

    /// Waits until it is accepted no more.
    pub(super) async fn refused(&self) {
        let refused = |secured: &Arc<Secured>| !self.is_accepted_by(secured);
        if !self.tls.clone().wait_for(refused).await {
            // Nobody changes the files any more.
            std::future::pending::<()>().await;
        }
    }

    /// Each new state of the files is asked once.
    fn is_accepted_by(&self, secured: &Arc<Secured>) -> bool {
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&checked.0, secured) {
            *checked = (Arc::clone(secured), secured.accepts(&self.chain));
        }
        checked.1
    }
}
