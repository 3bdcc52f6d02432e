//! Generates the tables from which `entry::canonical` checks encodings.
//!
//! Limits are read from the comments in the proto files ("At most 512 bytes.", "At most 16 items of at most 512 bytes."),
//! so that what the documentation says is what is enforced. A string, bytes or repeated field without one fails the build.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Write;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet,
};

/// Fields whose text has a grammar of its own (docs/naming.md), or whose number is a time.
const SYNTAX: [(&str, &str); 26] = [
    ("Code.repository", "TargetName"),
    ("Context.observed_at", "Time"),
    ("Context.occurred_at", "Time"),
    ("Erasure.requested_by", "Identity"),
    ("Link.valid_from", "Time"),
    ("Link.valid_to", "Time"),
    ("Reference.uri", "TargetName"),
    ("Submitter.subject", "Identity"),
    ("Target.owner", "Identity"),
    ("Target.previous_uri", "TargetName"),
    ("Target.uri", "TargetName"),
    ("Version.ids", "VersionId"),
    ("What.action", "Action"),
    ("What.grantee", "Identity"),
    ("What.participants", "Identity"),
    ("Who.actor", "Identity"),
    ("Who.on_behalf_of", "Identity"),
    ("ActorSignature.public_key", "Exactly(32)"),
    ("ActorSignature.seed", "Exactly(32)"),
    ("ActorSignature.signature", "Exactly(64)"),
    ("Adoption.root", "Exactly(32)"),
    ("Configuration.digest", "Exactly(32)"),
    ("PolicyChange.digest", "Exactly(32)"),
    ("RedactionChange.digest", "Exactly(32)"),
    ("SealLevel.root", "Exactly(32)"),
    ("Setting.digest", "Exactly(32)"),
];

pub(crate) fn generate(descriptors: &FileDescriptorSet) -> Result<String, Box<dyn Error>> {
    let mut tables = String::new();
    for file in &descriptors.file {
        if crate::SERVICES.contains(&file.name()) {
            continue;
        }
        let comments = comments(file);
        let enums: HashMap<&str, i32> = file
            .enum_type
            .iter()
            .map(|e| {
                (
                    e.name(),
                    e.value
                        .iter()
                        .map(EnumValueDescriptorProto::number)
                        .max()
                        .unwrap_or(0),
                )
            })
            .collect();
        for (index, message) in file.message_type.iter().enumerate() {
            table(&mut tables, message, index, &comments, &enums)?;
        }
    }
    Ok(tables)
}

fn table(
    tables: &mut String,
    message: &DescriptorProto,
    index: usize,
    comments: &HashMap<Vec<i32>, String>,
    enums: &HashMap<&str, i32>,
) -> Result<(), Box<dyn Error>> {
    writeln!(
        tables,
        "pub(crate) static {}: Message = Message {{ fields: &[",
        constant(message.name())
    )?;
    let mut fields: Vec<_> = message.field.iter().enumerate().collect();
    fields.sort_by_key(|(_, field)| field.number());
    for (position, field) in fields {
        let path = vec![4, i32::try_from(index)?, 2, i32::try_from(position)?];
        let comment = comments.get(&path).map_or("", String::as_str);
        let name = format!("{}.{}", message.name(), field.name());
        let limits = Limits::read(comment);
        let repeated = field.label() == Label::Repeated;
        let max_items = match (repeated, limits.items) {
            (false, _) => 1,
            (true, Some(items)) => items,
            (true, None) => return Err(format!("{name}: no \"At most … items\"").into()),
        };
        let presence = field.proto3_optional() || field.oneof_index.is_some();
        let exclusive = field.oneof_index.is_some() && !field.proto3_optional();
        writeln!(
            tables,
            "    Field {{ number: {}, name: \"{}\", kind: {}, repeated: {repeated}, \
             max_items: {max_items}, presence: {presence}, exclusive: {exclusive} }},",
            field.number(),
            field.name(),
            kind(&name, field, &limits, enums)?,
        )?;
    }
    writeln!(tables, "] }};")?;
    Ok(())
}

fn kind(
    name: &str,
    field: &FieldDescriptorProto,
    limits: &Limits,
    enums: &HashMap<&str, i32>,
) -> Result<String, Box<dyn Error>> {
    let syntax = SYNTAX
        .iter()
        .find(|(field, _)| *field == name)
        .map_or("Any", |(_, s)| s);
    let max_bytes = || {
        limits
            .bytes
            .ok_or_else(|| format!("{name}: no \"At most … bytes\""))
    };
    Ok(match field.r#type() {
        Type::String => format!(
            "Kind::Text {{ max_bytes: {}, syntax: Syntax::{syntax} }}",
            max_bytes()?
        ),
        Type::Bytes => format!(
            "Kind::Bytes {{ max_bytes: {}, syntax: Syntax::{syntax} }}",
            max_bytes()?
        ),
        Type::Uint32 if field.label() == Label::Repeated => "Kind::PackedUint32".into(),
        Type::Uint32 => "Kind::Uint { max: u32::MAX as u64 }".into(),
        Type::Uint64 if field.label() == Label::Repeated => "Kind::PackedUint64".into(),
        Type::Uint64 => "Kind::Uint { max: u64::MAX }".into(),
        Type::Sint64 => format!("Kind::Sint64 {{ syntax: Syntax::{syntax} }}"),
        Type::Bool => "Kind::Bool".into(),
        Type::Enum => {
            let largest = enums.get(short(field.type_name())).ok_or("unknown enum")?;
            format!("Kind::Enum {{ largest: {largest} }}")
        }
        Type::Message => format!("Kind::Message(&{})", constant(short(field.type_name()))),
        other => return Err(format!("{name}: no rule for {other:?}").into()),
    })
}

struct Limits {
    items: Option<u32>,
    bytes: Option<u32>,
}

impl Limits {
    /// Reads "At most N items", "at most N bytes".
    fn read(comment: &str) -> Self {
        let words: Vec<&str> = comment.split_whitespace().collect();
        let mut limits = Self {
            items: None,
            bytes: None,
        };
        for window in words.windows(4) {
            let [at, most, number, unit] = window else {
                continue;
            };
            if !at.eq_ignore_ascii_case("at") || *most != "most" {
                continue;
            }
            match unit.trim_end_matches(['.', ',']) {
                "items" => limits.items = number.parse().ok(),
                "bytes" => limits.bytes = number.parse().ok(),
                _ => {}
            }
        }
        limits
    }
}

fn comments(file: &FileDescriptorProto) -> HashMap<Vec<i32>, String> {
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    locations
        .map(|l| (l.path.clone(), l.leading_comments().to_string()))
        .collect()
}

fn short(type_name: &str) -> &str {
    type_name.rsplit('.').next().unwrap_or(type_name)
}

/// `ActorSignature` → `ACTOR_SIGNATURE`
fn constant(message: &str) -> String {
    let mut name = String::new();
    for (i, c) in message.chars().enumerate() {
        if c.is_ascii_uppercase() && i > 0 {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}
