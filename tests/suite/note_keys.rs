//! Keys and names: the vectors of golang.org/x/mod/sumdb/note (BSD-3-Clause), C2SP signed-note and
//! transparency-dev/formats, and keys that must be refused.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use graven::note::{
    CosignerKey, KeyError, NameError, SignatureType, SignerKey, VerifierKey, check_name,
};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const PETER_PRIVATE: &str =
    "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";

/// Every part of a key, and every key with one byte changed.
fn mangled(key: &str) -> Vec<String> {
    let mut keys = Vec::new();
    for start in 0..=key.len() {
        for end in start..=key.len() {
            if (start, end) != (0, key.len()) {
                keys.push(key[start..end].to_owned());
            }
        }
    }
    for position in 0..key.len() {
        let mut bytes = key.as_bytes().to_vec();
        bytes[position] += 1;
        keys.push(String::from_utf8(bytes).unwrap());
    }
    keys
}

/// A verifier key with the right id for what is in it, whatever that is.
fn adjusted(name: &str, material: &[u8]) -> String {
    let hash = Sha256::new()
        .chain_update(name)
        .chain_update(b"\n")
        .chain_update(material)
        .finalize();
    let id = u32::from_be_bytes(hash[..4].try_into().unwrap());
    format!("{name}+{id:08x}+{}", BASE64_STANDARD.encode(material))
}

fn unhex(text: &str) -> [u8; 32] {
    std::array::from_fn(|index| u8::from_str_radix(&text[2 * index..2 * index + 2], 16).unwrap())
}

#[test]
fn published_keys_parse() {
    for (text, kind) in [
        (PETER, SignatureType::Ed25519),
        (
            "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop",
            SignatureType::Ed25519,
        ),
        (
            "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            SignatureType::Ed25519,
        ),
        (
            "sigsum.org+e4ade967+AZuUY6B08pW3QVHu8uvsrxWPcAv9nykap2Nb4oxCee+r",
            SignatureType::Ed25519,
        ),
        (
            "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
            SignatureType::CosignatureV1,
        ),
    ] {
        let key = VerifierKey::parse(text).unwrap();
        assert_eq!((key.to_string().as_str(), key.kind()), (text, kind));
    }
}

#[test]
fn a_private_key_gives_its_public_one() {
    let key = SignerKey::parse(PETER_PRIVATE).unwrap();
    assert_eq!(key.verifier().to_string(), PETER);
    assert_eq!(*key.encode(), PETER_PRIVATE);
}

#[test]
fn mangled_keys_are_refused() {
    for key in mangled(PETER) {
        assert!(VerifierKey::parse(&key).is_err(), "{key}");
    }
    for key in mangled(PETER_PRIVATE) {
        assert!(SignerKey::parse(&key).is_err(), "{key}");
    }
}

#[test]
fn keys_of_other_lengths_and_algorithms_are_refused() {
    // From the Go tests: the id is right, the length or the algorithm is not.
    assert_eq!(
        VerifierKey::parse(
            "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY=="
        ),
        Err(KeyError::MalformedMaterial)
    );
    assert_eq!(
        VerifierKey::parse("PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"),
        Err(KeyError::UnusableType { found: 0x65 })
    );
    let public = VerifierKey::parse(PETER).unwrap();
    for kind in [0, 2, 3, 5, 6, 0xff] {
        let key = adjusted(
            "PeterNeumann",
            &[&[kind], &public.public_key()[..]].concat(),
        );
        assert_eq!(
            VerifierKey::parse(&key),
            Err(KeyError::UnusableType { found: kind })
        );
    }
    assert_eq!(
        VerifierKey::parse("name+00000000+"),
        Err(KeyError::MalformedMaterial)
    );
    assert_eq!(
        VerifierKey::parse(&PETER.replace("c74f20a3", "C74F20A3")),
        Err(KeyError::MalformedId)
    );
}

#[test]
fn a_signer_is_no_cosigner() {
    assert_eq!(
        CosignerKey::parse(PETER_PRIVATE).unwrap_err(),
        KeyError::UnusableType { found: 1 }
    );
    let cosigner = CosignerKey::from_seed("w", [1; 32]).unwrap();
    assert_eq!(
        CosignerKey::parse(&cosigner.encode()).unwrap().verifier(),
        cosigner.verifier()
    );
    assert_eq!(
        SignerKey::parse(&cosigner.encode()).unwrap_err(),
        KeyError::UnusableType { found: 4 }
    );
    let signer = SignerKey::from_seed("w", [1; 32]).unwrap();
    assert_ne!(signer.verifier().id(), cosigner.verifier().id());
}

/// Points of small order in all their encodings, with which anyone could sign, and other encodings
/// that are not the one of their point, or of none.
#[test]
fn weak_keys_are_refused() {
    for point in [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        // y = 3 and y = p + 3: one point, not small, of which only the first is the encoding.
        "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        // y = 2 is on no point.
        "0200000000000000000000000000000000000000000000000000000000000000",
    ] {
        let public = unhex(point);
        assert_eq!(
            VerifierKey::new("name", SignatureType::Ed25519, &public),
            Err(KeyError::WeakKey),
            "{point}"
        );
        let text = adjusted("name", &[&[1], &public[..]].concat());
        assert_eq!(VerifierKey::parse(&text), Err(KeyError::WeakKey), "{point}");
    }
    let mut canonical = [0; 32];
    canonical[0] = 3;
    assert!(VerifierKey::new("name", SignatureType::Ed25519, &canonical).is_ok());
}

#[test]
fn names() {
    let longest = "n".repeat(255);
    for name in [
        "ledger.example/main",
        "a",
        "0a",
        "oid/1.2.3",
        "日本/ログ",
        "—",
        &longest,
    ] {
        assert_eq!(check_name(name), Ok(()), "{name:?}");
    }
    let character = |character| Err(NameError::Character { character });
    assert_eq!(check_name(""), Err(NameError::Empty));
    assert_eq!(
        check_name(&"n".repeat(256)),
        Err(NameError::TooLong { bytes: 256 })
    );
    assert_eq!(check_name("a b"), character(' '));
    assert_eq!(check_name("a "), character(' '));
    assert_eq!(check_name("a+b"), character('+'));
    for wrong in [
        '\n', '\r', '\t', '\0', '\u{7f}', '\u{85}', '\u{a0}', '\u{2003}', '\u{2028}', '\u{3000}',
    ] {
        assert_eq!(check_name(&format!("a{wrong}b")), character(wrong));
    }
    assert_eq!(check_name("0"), Err(NameError::Number));
    assert_eq!(check_name("1234567890"), Err(NameError::Number));
    for name in ["", "a b", "12"] {
        assert!(SignerKey::from_seed(name, [0; 32]).is_err());
        assert!(CosignerKey::from_seed(name, [0; 32]).is_err());
        assert!(VerifierKey::parse(&PETER.replace("PeterNeumann", name)).is_err());
    }
}

#[test]
fn secrets_are_not_printed() {
    let (signer, cosigner) = (
        SignerKey::parse(PETER_PRIVATE).unwrap(),
        CosignerKey::from_seed("w", [7; 32]).unwrap(),
    );
    assert_eq!(format!("{signer:?}"), "SignerKey(PeterNeumann, secret)");
    assert_eq!(format!("{cosigner:#?}"), "CosignerKey(w, secret)");
}

proptest! {
    #[test]
    fn keys_come_back_from_their_text(name in "[a-zA-Z./-]{1,40}", seed: [u8; 32]) {
        let signer = SignerKey::from_seed(&name, seed).unwrap();
        let again = SignerKey::parse(&signer.encode()).unwrap();
        prop_assert_eq!(again.verifier(), signer.verifier());
        prop_assert_eq!(VerifierKey::parse(&signer.verifier().to_string()), Ok(signer.verifier()));
        let witness = CosignerKey::from_seed(&name, seed).unwrap().verifier();
        prop_assert_eq!(VerifierKey::parse(&witness.to_string()), Ok(witness));
    }

    #[test]
    fn any_text_is_answered(text in "\\PC*", id: u32, material: Vec<u8>) {
        let _ = VerifierKey::parse(&text);
        let _ = SignerKey::parse(&format!("PRIVATE+KEY+{text}"));
        let _ = VerifierKey::parse(&format!("n+{id:08x}+{}", BASE64_STANDARD.encode(&material)));
        if let Ok(key) = VerifierKey::parse(&adjusted("n", &material)) {
            prop_assert_eq!(key.to_string(), adjusted("n", &material));
        }
    }
}
