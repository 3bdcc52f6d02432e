//! Certificates, made as any authority would, and as none should.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationList,
    CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod,
    KeyPair, RevokedCertParams, SanType,
};

pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(super) pem: String,
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub(super) struct Issued {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Authority {
    pub(super) fn new() -> Self {
        Self::named("Test authority")
    }

    pub(super) fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// A certificate for these names, otherwise as `change` makes it.
    pub(super) fn issue(
        &self,
        name: &str,
        names: Vec<SanType>,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Issued {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names = names;
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// A list that says that the certificates with these serial numbers are revoked, and that ends so many seconds from now.
    pub(super) fn revoke(&self, serials: &[u64], seconds: i64) -> CertificateRevocationList {
        let now = SystemTime::now();
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: (*serial).into(),
            revocation_time: now.into(),
            reason_code: None,
            invalidity_date: None,
        });
        let hour = Duration::from_secs(3600);
        let end = if seconds < 0 {
            now - Duration::from_secs(seconds.unsigned_abs())
        } else {
            now + Duration::from_secs(seconds.unsigned_abs())
        };
        let params = CertificateRevocationListParams {
            this_update: (now - 2 * hour).into(),
            next_update: end.into(),
            crl_number: 1_u64.into(),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap()
    }

    /// A certificate of the server `localhost`.
    pub(super) fn server(&self) -> Issued {
        let name = SanType::DnsName("localhost".try_into().unwrap());
        self.issue("server", vec![name], |_| {})
    }
}

impl Issued {
    /// Writes it to `<dir>/<name>.pem` and `<dir>/<name>.key`.
    pub(super) fn write(&self, dir: &Path, name: &str) {
        fs::write(dir.join(format!("{name}.key")), &self.key).unwrap();
        fs::write(dir.join(format!("{name}.pem")), &self.certificate).unwrap();
    }
}

pub(super) fn uri(uri: &str) -> SanType {
    SanType::URI(uri.try_into().unwrap())
}

/// Certificates of `good`, a URI, that do not get through the handshake.
pub(super) fn without_handshake(authority: &Authority, good: &str) -> Vec<(&'static str, Issued)> {
    let day = rcgen::date_time_ymd;
    vec![
        (
            "another authority",
            Authority::new().issue("x", vec![uri(good)], |_| {}),
        ),
        (
            "expired",
            authority.issue("x", vec![uri(good)], |params| {
                params.not_before = day(2001, 1, 1);
                params.not_after = day(2002, 1, 1);
            }),
        ),
        (
            "not yet valid",
            authority.issue("x", vec![uri(good)], |params| {
                params.not_before = day(2400, 1, 1);
                params.not_after = day(2401, 1, 1);
            }),
        ),
        (
            "for servers alone",
            authority.issue("x", vec![uri(good)], |params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }),
        ),
    ]
}

/// Certificates that get through the handshake and stand for nobody.
pub(super) fn of_nobody(authority: &Authority, good: &str) -> Vec<(&'static str, Issued)> {
    let odd = [
        ("a SPIFFE id without a path", "spiffe://lab"),
        ("a SPIFFE id with an empty path", "spiffe://lab/"),
        ("a SPIFFE id with an empty segment", "spiffe://lab//writer"),
        ("a SPIFFE id that goes up", "spiffe://lab/x/../writer"),
        ("a SPIFFE id without a domain", "spiffe:///writer"),
        ("a SPIFFE domain in capitals", "spiffe://LAB/writer"),
        ("a SPIFFE scheme in capitals", "SPIFFE://lab/writer"),
        ("a SPIFFE id with a port", "spiffe://lab:1/writer"),
        ("a SPIFFE id with a user", "spiffe://me@lab/writer"),
        ("a SPIFFE id with a query", "spiffe://lab/writer?x"),
        ("a SPIFFE id with a fragment", "spiffe://lab/writer#x"),
        ("a SPIFFE id with an escape", "spiffe://lab/writ%65r"),
        ("a SPIFFE id without slashes", "spiffe:lab/writer"),
        ("a URI with a space", "https://lab/the writer"),
        ("a URI of several lines", "https://lab/writer\nx"),
        ("a URI without a scheme", "lab/writer"),
        ("an empty URI", ""),
    ];
    let mut certificates: Vec<_> = odd
        .iter()
        .map(|(fault, name)| (*fault, authority.issue("writer", vec![uri(name)], |_| {})))
        .collect();
    certificates.push((
        "two URIs",
        authority.issue("x", vec![uri(good), uri("spiffe://lab/other")], |_| {}),
    ));
    certificates.push((
        "the same URI twice",
        authority.issue("x", vec![uri(good), uri(good)], |_| {}),
    ));
    certificates.push((
        "no name at all",
        authority.issue("x", Vec::new(), |params| {
            params.distinguished_name = rcgen::DistinguishedName::new();
        }),
    ));
    let long = format!("https://lab/{}", "x".repeat(512));
    certificates.push(("a long URI", authority.issue("x", vec![uri(&long)], |_| {})));
    certificates.push((
        "two common names",
        authority.issue("writer", Vec::new(), |params| {
            let common_name = DnType::CustomDnType(vec![2, 5, 4, 3]);
            params.distinguished_name.push(common_name, "reader");
        }),
    ));
    certificates.push((
        "an empty common name",
        authority.issue("", Vec::new(), |_| {}),
    ));
    certificates
}
