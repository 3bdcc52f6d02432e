//! What `graven verify` has to say about the search index.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use super::arguments::Global;
use super::failure::Failure;
use super::files::write_new;
use super::render::escape;
use crate::note::VerifierKey;
use crate::verify::{Accusation, Judgement, Lie, Reason, Rederived, Verdict};

/// It could not be checked, or nothing is proved.
const UNCHECKED: u8 = 5;
/// It is proved that something is false.
const TAMPERED: u8 = 3;

/// What can be said about an index that was derived.
pub(super) fn facts(index: &Rederived) -> Vec<String> {
    let derived = match index.newest {
        Some((seal, covered)) => format!(
            "{} segments re-derived, which entry {seal} seals over {covered} entries",
            index.segments
        ),
        None => "no segments: nothing is sealed yet".into(),
    };
    vec![derived, format!("{} seals checked", index.seals)]
}

/// What can be said about a false index, and the file with the proof of it.
pub(super) fn accusation_facts(
    accused: Option<(Accusation, Lie)>,
    out: Option<&Path>,
) -> Result<Vec<String>, Failure> {
    let Some((accusation, lie)) = accused else {
        let without = "too little is shown for a proof that others can check";
        return Ok(vec![without.into()]);
    };
    let Some(out) = out else {
        let more = "--out FILE writes the proof of it for others".into();
        return Ok(vec![lie.to_string(), more]);
    };
    write_new(out, &accusation.to_json())?;
    let file = out.display();
    let proof = format!("the proof is in {file}: check it with graven verify {file} --key KEY");
    Ok(vec![lie.to_string(), proof])
}

/// Judges the accusation that an index is false.
pub(super) fn accusation(json: &[u8], pinned: Option<&VerifierKey>) -> Result<ExitCode, Failure> {
    let judged = match Accusation::from_json(json) {
        Ok(accusation) => (
            accusation.judge(pinned),
            accusation.verifier_key.to_string(),
        ),
        Err(finding) => (Judgement::NothingProved(finding), String::new()),
    };
    let (code, said) = match judged {
        (Judgement::Proved(lie), _) => (
            TAMPERED,
            format!("TAMPERED: the operator sealed a false index: {lie}"),
        ),
        (Judgement::Unpinned(lie), key) => {
            let reason = Reason::NoKeyPinned { key };
            (
                UNCHECKED,
                format!("COULD NOT CHECK: {reason}; under it, the index is false: {lie}"),
            )
        }
        (Judgement::NothingProved(finding), _) => (
            UNCHECKED,
            format!("COULD NOT CHECK: the file proves nothing: {finding}"),
        ),
    };
    writeln!(anstream::stdout(), "{}", escape(&said))?;
    Ok(ExitCode::from(code))
}

/// Whether something is wrong.
pub(super) fn is_tampered(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Tampered(_))
}

/// Says on standard error how fast it went.
pub(super) fn say_rate(entries: u64, started: Instant, global: &Global) {
    let seconds = started.elapsed().as_secs_f64();
    #[allow(clippy::cast_precision_loss)] // Of entries that were read one by one.
    let rate = entries as f64 / seconds.max(0.001);
    global.say(&format!(
        "{entries} entries re-derived in {seconds:.1} s, {rate:.0} entries/s"
    ));
}
