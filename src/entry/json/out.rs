//! Messages as they are written. What has its default value is left out.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::super::{Tag, hex, v1};
use super::time;
use super::words::{self, word};

/// Serializes the fields of an object, leaving out what is empty.
pub(super) struct Fields<M>(pub(super) M);

impl<M: SerializeMap> Fields<M> {
    /// A field that is always there.
    pub(super) fn always<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), M::Error> {
        self.0.serialize_entry(name, value)
    }

    /// A field that is there if it has a value.
    pub(super) fn some<T: Serialize>(
        &mut self,
        name: &'static str,
        value: Option<T>,
    ) -> Result<(), M::Error> {
        match value {
            Some(value) => self.always(name, &value),
            None => Ok(()),
        }
    }

    pub(super) fn text(&mut self, name: &'static str, text: &str) -> Result<(), M::Error> {
        self.some(name, said(text))
    }

    pub(super) fn list<T: Serialize>(
        &mut self,
        name: &'static str,
        items: &[T],
    ) -> Result<(), M::Error> {
        self.some(name, (!items.is_empty()).then_some(items))
    }
}

/// Text that is not empty.
pub(super) fn said(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// A message as it is written.
pub(super) struct Out<'a, T>(pub(super) &'a T);

/// The items of a list as they are written.
pub(super) fn all<T>(items: &[T]) -> Vec<Out<'_, T>> {
    items.iter().map(Out).collect()
}

/// Writes an object whose fields `$fields` writes.
macro_rules! object {
    ($message:ty, |$value:ident, $object:ident| $fields:block) => {
        impl Serialize for Out<'_, $message> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let $value = self.0;
                let mut $object = Fields(serializer.serialize_map(None)?);
                $fields
                $object.0.end()
            }
        }
    };
}

object!(v1::Session, |session, object| {
    object.text("id", &session.id)?;
    object.text("method", &session.method)?;
    object.text("credential", &session.credential)?;
    object.text("terminal", &session.terminal)?;
});

object!(v1::Target, |target, object| {
    object.always("uri", &target.uri)?;
    object.always("before", &target.before.as_ref().map(Out))?;
    object.always("after", &target.after.as_ref().map(Out))?;
    object.text("instance", &target.instance)?;
    object.text("owner", &target.owner)?;
    object.text("previous_uri", &target.previous_uri)?;
    object.text("seen_as", &target.seen_as)?;
    object.text("ref", &target.r#ref)?;
    object.text("format", &target.format)?;
});

impl Serialize for Out<'_, v1::Version> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let v1::Version { ids, state, size } = self.0;
        match (word(&words::VERSION_STATE, *state), size) {
            (None, None) => ids.serialize(serializer),
            (Some(word), None) if ids.is_empty() => serializer.serialize_str(word),
            (word, size) => {
                let mut object = Fields(serializer.serialize_map(None)?);
                object.list("ids", ids)?;
                object.some("state", word)?;
                object.some("size", *size)?;
                object.0.end()
            }
        }
    }
}

object!(v1::Run, |run, object| {
    object.text("namespace", &run.namespace)?;
    object.text("job", &run.job)?;
    object.text("id", &run.id)?;
    object.text("parent_id", &run.parent_id)?;
    object.some("attempt", (run.attempt != 0).then_some(run.attempt))?;
    object.some("gpus", run.gpus)?;
    object.list("nodes", &run.nodes)?;
});

object!(v1::Reference, |reference, object| {
    object.always("uri", &reference.uri)?;
    object.some("version", reference.version.as_ref().map(Out))?;
    object.some("evidence", word(&words::EVIDENCE, reference.evidence))?;
    object.text("role", &reference.role)?;
});

object!(v1::Code, |code, object| {
    object.text("repository", &code.repository)?;
    object.text("commit", &code.commit)?;
    object.text("path", &code.path)?;
    object.some("dirty", code.dirty.then_some(true))?;
    object.text("image", &code.image)?;
});

object!(v1::Link, |link, object| {
    object.always("from", &link.from)?;
    object.always("to", &link.to)?;
    object.some("valid_from", link.valid_from.and_then(time::write))?;
    object.some("valid_to", link.valid_to.and_then(time::write))?;
    object.text("authority", &link.authority)?;
});

object!(v1::Process, |process, object| {
    object.some("pid", (process.pid != 0).then_some(process.pid))?;
    object.text("executable", &process.executable)?;
    object.text("container", &process.container)?;
    object.list("addresses", &process.addresses)?;
    object.text("user_agent", &process.user_agent)?;
});

object!(v1::Mapper, |mapper, object| {
    object.text("name", &mapper.name)?;
    object.text("version", &mapper.version)?;
});

// The seed stays out: it would give away the salts of parts that are withheld.
object!(v1::ActorSignature, |signature, object| {
    if signature.ssh_signature.is_empty() {
        object.always("public_key", &STANDARD.encode(&signature.public_key))?;
        object.always("signature", &STANDARD.encode(&signature.signature))?;
    } else {
        let encoded = STANDARD.encode(&signature.ssh_signature);
        object.always("ssh_signature", &encoded)?;
    }
});

object!(v1::LedgerAct, |act, object| {
    use v1::ledger_act::Act;
    match &act.act {
        Some(Act::Seal(seal)) => object.always("seal", &Out(seal))?,
        Some(Act::Erasure(erasure)) => object.always("erasure", &Out(erasure))?,
        Some(Act::KeyRotation(rotation)) => object.always("key_rotation", &Out(rotation))?,
        Some(Act::Adoption(adoption)) => object.always("adoption", &Out(adoption))?,
        Some(Act::PolicyChange(change)) => object.always("policy_change", &Out(change))?,
        Some(Act::RedactionChange(change)) => object.always("redaction_change", &Out(change))?,
        Some(Act::Start(start)) => object.always("start", &Out(start))?,
        Some(Act::Stop(stop)) => object.always("stop", &Out(stop))?,
        Some(Act::Configuration(configuration)) => {
            object.always("configuration", &Out(configuration))?;
        }
        Some(Act::Refusals(refusals)) => object.always("refusals", &Out(refusals))?,
        Some(Act::RangeErasure(erasure)) => object.always("range_erasure", &Out(erasure))?,
        Some(Act::Hold(hold)) => object.always("hold", &Out(hold))?,
        Some(Act::Release(release)) => object.always("release", &Out(release))?,
        None => {}
    }
});

object!(v1::SeqRange, |range, object| {
    object.always("first_seq", &range.first_seq)?;
    object.always("end_seq", &range.end_seq)?;
});

object!(v1::RangeErasure, |erasure, object| {
    object.always("entries", &all(&erasure.entries))?;
    object.always("parts", &part_names(&erasure.parts))?;
    object.text("ticket", &erasure.ticket)?;
    object.text("reason", &erasure.reason)?;
});

object!(v1::Hold, |hold, object| {
    object.text("name", &hold.name)?;
    object.text("ticket", &hold.ticket)?;
    object.text("reason", &hold.reason)?;
    object.list("entries", &all(&hold.entries))?;
    object.text("filter", &hold.filter)?;
});

object!(v1::Release, |release, object| {
    object.text("name", &release.name)?;
    object.always("hold_seq", &release.hold_seq)?;
    object.text("ticket", &release.ticket)?;
    object.text("reason", &release.reason)?;
});

object!(v1::Seal, |seal, object| {
    object.always("index_version", &seal.index_version)?;
    object.always("levels", &all(&seal.levels))?;
});

object!(v1::SealLevel, |level, object| {
    object.always("segments", &level.segments)?;
    object.always("root", &hex::encode(&level.root))?;
});

object!(v1::Erasure, |erasure, object| {
    object.always("seq", &erasure.seq)?;
    object.always("parts", &part_names(&erasure.parts))?;
    object.text("requested_by", &erasure.requested_by)?;
    object.text("ticket", &erasure.ticket)?;
});

/// The names of parts given by number.
fn part_names(numbers: &[u32]) -> Vec<Cow<'static, str>> {
    let name = |number: &u32| match Tag::from_number(*number) {
        Some(tag) => Cow::from(tag.name()),
        None => Cow::from(number.to_string()),
    };
    numbers.iter().map(name).collect()
}

object!(v1::KeyRotation, |rotation, object| {
    object.always("statement", &rotation.statement)?;
});

object!(v1::Adoption, |adoption, object| {
    object.always("size", &adoption.size)?;
    object.always("root", &hex::encode(&adoption.root))?;
    object.text("found", &adoption.found)?;
});

object!(v1::PolicyChange, |change, object| {
    object.always("digest", &hex::encode(&change.digest))?;
    object.always("grants", &change.grants)?;
    object.text("occasion", &change.occasion)?;
});

object!(v1::RedactionChange, |change, object| {
    object.always("digest", &hex::encode(&change.digest))?;
    object.text("occasion", &change.occasion)?;
    object.text("shipped", &change.shipped)?;
    object.text("rules", &change.rules)?;
});

object!(v1::Redaction, |redaction, object| {
    object.always("rule", &redaction.rule)?;
    object.always("field", &redaction.field)?;
    object.always("count", &redaction.count)?;
});

object!(v1::Start, |start, object| {
    let previous = match start.previous() {
        v1::PreviousRun::Unspecified => None,
        v1::PreviousRun::None => Some("none"),
        v1::PreviousRun::Clean => Some("clean"),
        v1::PreviousRun::Unclean => Some("unclean"),
    };
    object.text("version", &start.version)?;
    object.some("previous", previous)?;
    object.some("previous_seq", start.previous_seq)?;
});

object!(v1::Stop, |stop, object| {
    object.text("occasion", &stop.occasion)?;
});

object!(v1::Configuration, |configuration, object| {
    object.always("digest", &hex::encode(&configuration.digest))?;
    object.list("changed", &configuration.changed)?;
    object.always("settings", &all(&configuration.settings))?;
});

object!(v1::Setting, |setting, object| {
    object.text("name", &setting.name)?;
    object.always("digest", &hex::encode(&setting.digest))?;
});

object!(v1::Refusals, |refusals, object| {
    object.always("refusals", &all(&refusals.refusals))?;
    object.some("others", (refusals.others > 0).then_some(refusals.others))?;
});

object!(v1::Refusal, |refusal, object| {
    if let Some(submitter) = &refusal.submitter {
        object.text("issuer", &submitter.issuer)?;
        object.text("submitter", &submitter.subject)?;
    }
    object.text("method", &refusal.method)?;
    object.text("reason", &refusal.reason)?;
    object.always("count", &refusal.count)?;
});

/// Labels as one object.
pub(super) struct Labels<'a>(pub(super) &'a [v1::Label]);

impl Serialize for Labels<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|label| (&label.key, &label.value)))
    }
}
