//! Whom a client certificate stands for, and until when.

use sha2::{Digest as _, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::entry::{hex, names};

/// The longest identity, in bytes.
const MAX_BYTES: usize = 512;

/// A client certificate that the TLS layer has checked.
#[derive(Debug)]
pub(super) struct ClientCertificate {
    /// Whom it stands for; none if that cannot be told.
    pub(super) subject: Option<String>,
    /// Its SHA-256, as it is sealed.
    pub(super) sha256: String,
    /// When it ends to be good, in seconds since 1970.
    pub(super) until: f64,
}

impl ClientCertificate {
    /// Reads a certificate in DER. One that cannot be read stands for nobody.
    pub(super) fn read(der: &[u8]) -> Self {
        let sha256 = sha256(der);
        let Ok((_, certificate)) = X509Certificate::from_der(der) else {
            return Self {
                subject: None,
                sha256,
                until: 0.0,
            };
        };
        #[expect(clippy::cast_precision_loss, reason = "a date, in seconds")]
        let last = certificate.validity().not_after.timestamp() as f64;
        Self {
            subject: subject(&certificate),
            sha256,
            until: last + 1.0,
        }
    }
}

/// SHA-256 as it is sealed.
pub(super) fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(&Sha256::digest(bytes)))
}

/// The identity a certificate stands for: its one SPIFFE or other URI, else `x509:` and its one common name.
///
/// None when that is not one: several URIs, a SPIFFE id that breaks the rules of SPIFFE, several common names, a name that is
/// too long or has other than visible characters.
fn subject(certificate: &X509Certificate<'_>) -> Option<String> {
    // An error means that there are two lists of names.
    let names = certificate.subject_alternative_name().ok()?;
    let names = names
        .map(|names| names.value.general_names.as_slice())
        .unwrap_or_default();
    let mut uris = names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let subject = match (uris.next(), uris.next()) {
        (Some(uri), None) => of_uri(uri)?,
        (Some(_), Some(_)) => return None,
        (None, _) => {
            let mut names = certificate.subject().iter_common_name();
            let (name, None) = (names.next()?.as_str().ok()?, names.next()) else {
                return None;
            };
            let visible = !name.is_empty() && name.trim() == name;
            visible.then(|| format!("x509:{name}"))?
        }
    };
    let fits = subject.len() <= MAX_BYTES && !subject.chars().any(char::is_control);
    (fits && names::check_identity(&subject).is_ok()).then_some(subject)
}

fn of_uri(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once(':')?;
    let visible = uri.bytes().all(|byte| byte.is_ascii_graphic());
    if scheme.is_empty() || rest.is_empty() || !visible {
        return None;
    }
    if scheme.eq_ignore_ascii_case("spiffe") {
        return is_spiffe_id(uri).then(|| uri.to_owned());
    }
    Some(format!("other:{uri}"))
}

/// The rules of the SPIFFE standard: `spiffe://`, a trust domain in lower case, and a path whose segments are not empty, not
/// `.` and not `..`; no port, user, query or fragment.
fn is_spiffe_id(uri: &str) -> bool {
    let Some((domain, path)) = uri
        .strip_prefix("spiffe://")
        .and_then(|rest| rest.split_once('/'))
    else {
        // A trust domain without a path stands for its authority, not for a workload.
        return false;
    };
    let in_domain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
    let in_path = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let is_segment =
        |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(in_path);
    !domain.is_empty() && domain.bytes().all(in_domain) && path.split('/').all(is_segment)
}
