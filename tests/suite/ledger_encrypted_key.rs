//! Signing keys under a passphrase: what was sealed comes back, and nothing else does.

use graven::ledger::{EncryptedKey, EncryptedKeyError, PassphraseCost};
use graven::note::SignerKey;

/// As `tests/vectors/encrypted_key.py` made it.
const GOLDEN: &str = include_str!("../vectors/encrypted.key");
const PASSPHRASE: &str = "Grüße, correct horse battery staple";
/// The least that is accepted.
const CHEAP: PassphraseCost = PassphraseCost {
    memory: 8 * 1024,
    passes: 1,
    lanes: 1,
};

fn golden_key() -> SignerKey {
    let seed: Vec<u8> = (0..32).collect();
    SignerKey::from_seed("ledger.example/main", seed.try_into().unwrap()).unwrap()
}

fn open(text: &str, passphrase: &str) -> Result<String, EncryptedKeyError> {
    let key = EncryptedKey::parse(text)?.open(passphrase.as_bytes())?;
    Ok(key.encode().to_string())
}

#[test]
fn what_other_software_sealed_is_opened_and_sealed_the_same() {
    let key = golden_key();
    assert_eq!(open(GOLDEN, PASSPHRASE), Ok(key.encode().to_string()));
    let cost = PassphraseCost {
        memory: 8192,
        passes: 2,
        lanes: 3,
    };
    let salt: Vec<u8> = (100..116).collect();
    let sealed = EncryptedKey::seal(&key, PASSPHRASE.as_bytes(), cost, salt.try_into().unwrap());
    assert_eq!(sealed.unwrap().encode(), GOLDEN);
    let read = EncryptedKey::parse(GOLDEN).unwrap();
    assert_eq!(read.name(), "ledger.example/main");
    assert!(EncryptedKey::is_one(GOLDEN) && !EncryptedKey::is_one(&key.encode()));
}

#[test]
fn another_passphrase_opens_nothing() {
    for wrong in [
        "",
        "x",
        "grüße, correct horse battery staple",
        "Grüße, correct horse battery staple\n",
        "Grüße, correct horse battery stapl",
    ] {
        assert_eq!(
            open(GOLDEN, wrong),
            Err(EncryptedKeyError::Wrong),
            "{wrong}"
        );
    }
}

#[test]
fn no_altered_byte_passes() {
    let sealed = EncryptedKey::seal(&golden_key(), b"x", CHEAP, [3; 16]).unwrap();
    let text = sealed.encode();
    // The cost of an attempt is some milliseconds, so of the sealed text every fifth character.
    let body = text.find("sealed").unwrap() + 10;
    let places = (0..body)
        .chain((body..text.len()).step_by(5))
        .chain(text.len() - 6..text.len());
    for at in places {
        let other = if text.as_bytes()[at] == b'1' {
            "2"
        } else {
            "1"
        };
        let mut altered = text.clone();
        altered.replace_range(at..=at, other);
        assert!(open(&altered, "x").is_err(), "byte {at}: {altered}");
        assert!(EncryptedKey::parse(&text[..at]).is_err(), "{at} bytes");
    }
    for longer in [format!("{text}\n"), format!("{text}x"), format!(" {text}")] {
        assert!(EncryptedKey::parse(&longer).is_err(), "{longer}");
    }
    let windows = text.replace('\n', "\r\n");
    assert!(EncryptedKey::parse(&windows).is_err());
}

#[test]
fn a_file_does_not_choose_how_much_memory_or_time_it_takes() {
    let with = |cost: &str| EncryptedKey::parse(&GOLDEN.replace("8192 2 3", cost)).unwrap_err();
    for cost in [
        "67108864 2 3",
        "1048577 1 1",
        "4294967295 1 1",
        "8191 2 3",
        "8192 0 3",
        "8192 17 3",
        "8192 2 0",
        "8192 2 17",
    ] {
        assert_eq!(with(cost), EncryptedKeyError::Cost, "{cost}");
    }
    for cost in [
        "",
        "8192 2",
        "8192 2 3 1",
        "08192 2 3",
        "+8192 2 3",
        "8192  2 3",
        "8192 2 4294967296",
        "8192 2 -3",
    ] {
        assert!(
            matches!(with(cost), EncryptedKeyError::Malformed(_)),
            "{cost}"
        );
    }
    let dear = PassphraseCost {
        memory: 2 * 1024 * 1024,
        ..CHEAP
    };
    let sealed = EncryptedKey::seal(&golden_key(), b"x", dear, [3; 16]);
    assert_eq!(sealed, Err(EncryptedKeyError::Cost));
    let long = GOLDEN.replace("sealed ", &format!("sealed {}", "AAAA".repeat(2_000)));
    assert!(matches!(
        EncryptedKey::parse(&long),
        Err(EncryptedKeyError::Malformed(_))
    ));
}
