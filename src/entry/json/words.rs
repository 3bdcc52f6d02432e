//! The words that stand for the values of enumerations, in the order of their numbers.

/// Stands for the value 0 of every enumeration. Printed only where leaving it out would mean something else.
pub(super) const UNSPECIFIED: &str = "unspecified";

pub(crate) const ASSURANCE: [&str; 5] = [
    UNSPECIFIED,
    "asserted",
    "inferred",
    "authenticated",
    "attested",
];
pub(crate) const OUTCOME: [&str; 4] = [UNSPECIFIED, "success", "failure", "denied"];
pub(crate) const VERSION_STATE: [&str; 5] =
    [UNSPECIFIED, "absent", "pending", "too_large", "unavailable"];
pub(crate) const EVIDENCE: [&str; 4] = [UNSPECIFIED, "observed", "declared", "inferred"];
pub(crate) const AUTHENTICATION: [&str; 6] = [
    UNSPECIFIED,
    "none",
    "token",
    "client_certificate",
    "jwt",
    "ledger",
];

/// The word for `number`, none for 0.
pub(crate) fn word(words: &[&'static str], number: i32) -> Option<&'static str> {
    let index = usize::try_from(number).ok().filter(|index| *index > 0)?;
    words.get(index).copied()
}

/// The number of `word`.
pub(super) fn number(words: &[&str], word: &str) -> Option<i32> {
    let index = words.iter().position(|known| *known == word)?;
    i32::try_from(index).ok()
}
