//! An identity provider that publishes keys at a URL, well and badly.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::certificates::Issued;

pub(super) struct Provider {
    pub(super) url: String,
    port: u16,
    shared: Arc<Shared>,
    serving: Option<JoinHandle<()>>,
}

struct Shared {
    answer: Mutex<Vec<u8>>,
    /// The last request.
    request: Mutex<String>,
    asked: AtomicUsize,
    ended: AtomicBool,
}

/// What a provider answers that has these keys.
pub(super) fn ok(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

impl Provider {
    /// One that answers with these bytes.
    pub(super) fn new(answer: Vec<u8>) -> Self {
        Self::start(TcpListener::bind("127.0.0.1:0").unwrap(), answer, None)
    }

    /// The same over TLS.
    pub(super) fn secure(answer: Vec<u8>, certificate: &Issued) -> Self {
        let chain = CertificateDer::from_pem_slice(certificate.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![chain], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self::start(listener, answer, Some(Arc::new(config)))
    }

    /// One that begins to answer where `listener` was waiting.
    pub(super) fn start(
        listener: TcpListener,
        answer: Vec<u8>,
        tls: Option<Arc<ServerConfig>>,
    ) -> Self {
        let port = listener.local_addr().unwrap().port();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared {
            answer: Mutex::new(answer),
            request: Mutex::default(),
            asked: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        });
        let serving = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.serve(&listener, tls)
        });
        Self {
            url: format!("{scheme}://localhost:{port}/keys?v=1"),
            port,
            shared,
            serving: Some(serving),
        }
    }

    /// Answers with these bytes from now on.
    pub(super) fn answer(&self, answer: Vec<u8>) {
        *self.shared.answer.lock().unwrap() = answer;
    }

    /// How often it was asked.
    pub(super) fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    pub(super) fn last_request(&self) -> String {
        self.shared.request.lock().unwrap().clone()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        let _ = self.serving.take().unwrap().join();
    }
}

impl Shared {
    fn serve(&self, listener: &TcpListener, tls: Option<Arc<ServerConfig>>) {
        // Those whose answer has no end stay open.
        let mut open = Vec::new();
        for stream in listener.incoming() {
            if self.ended.load(Ordering::SeqCst) {
                return;
            }
            let mut stream = stream.unwrap();
            match &tls {
                None => self.converse(&mut stream),
                Some(config) => {
                    let session = ServerConnection::new(Arc::clone(config)).unwrap();
                    let mut secured = StreamOwned::new(session, stream);
                    self.converse(&mut secured);
                    secured.conn.send_close_notify();
                    let _ = secured.flush();
                    stream = secured.sock;
                }
            }
            open.push(stream);
        }
    }

    fn converse(&self, stream: &mut (impl Read + Write)) {
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte) {
                Ok(1) => request.push(byte[0]),
                _ => return,
            }
        }
        *self.request.lock().unwrap() = String::from_utf8_lossy(&request).into_owned();
        self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.answer.lock().unwrap().clone();
        // It may be more than anybody wants.
        let _ = stream.write_all(&answer);
        let _ = stream.flush();
    }
}
