use std::fmt::{self, Display, Formatter};

use super::key::KeyId;
use super::name::check_key_name;
use super::text::{base64, parse_base64};

/// One signature line of a note: `— <name> <base64 of key id and signature>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    name: String,
    id: KeyId,
    bytes: Vec<u8>,
}

impl Signature {
    pub(super) fn from_sound_parts(name: &str, id: KeyId, bytes: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            id,
            bytes: bytes.to_owned(),
        }
    }

    /// Parses one line, without its newline. None if it is no signature line.
    pub fn parse_line(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix("— ")?.split_once(' ')?;
        check_key_name(name).ok()?;
        let decoded = parse_base64(encoded)?;
        let (id, bytes) = decoded.split_first_chunk()?;
        (!bytes.is_empty()).then(|| Self::from_sound_parts(name, *id, bytes))
    }

    /// Name of the key that is said to have signed.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Id of the key that is said to have signed.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// What follows the key id: for Ed25519 64 bytes, for cosignatures 72.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The line, without a newline.
impl Display for Signature {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "— {} {}",
            self.name,
            base64(&[&self.id, self.bytes.as_slice()].concat())
        )
    }
}
