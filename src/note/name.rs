use thiserror::Error;

/// The longest key name or origin, in bytes: what tlog-cosignature can sign.
pub const NAME_BYTES_MAX: usize = 255;

/// Why a key name or origin was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameError {
    /// No characters.
    #[error("name is empty")]
    Empty,
    /// Over [`NAME_BYTES_MAX`].
    #[error("name is {bytes} bytes long, over the limit of {NAME_BYTES_MAX}")]
    TooLong {
        /// Length of the name.
        bytes: usize,
    },
    /// Spaces and control characters separate names from what follows them.
    #[error("name holds {character:?}: no space, control character or + is allowed")]
    Character {
        /// The first one that is not allowed.
        character: char,
    },
    /// Could be read as the size in a checkpoint.
    #[error("name is a number")]
    Number,
}

/// Refuses what cannot be both the name of a key and the origin of a log.
///
/// signed-note asks for a name that is not empty and has neither Unicode spaces nor `+`. To that
/// Graven adds the length, control characters, and that a name is not all digits, which keeps every
/// line that holds a name apart from the one that holds a checkpoint's size.
pub fn check_name(name: &str) -> Result<(), NameError> {
    if name.len() > NAME_BYTES_MAX {
        return Err(NameError::TooLong { bytes: name.len() });
    }
    check_key_name(name)?;
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NameError::Number);
    }
    Ok(())
}

/// What signed-note itself asks of a key name, and so of any signature line.
pub(super) fn check_key_name(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    let wrong =
        |character: &char| character.is_whitespace() || character.is_control() || *character == '+';
    match name.chars().find(wrong) {
        Some(character) => Err(NameError::Character { character }),
        None => Ok(()),
    }
}
