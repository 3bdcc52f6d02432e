//! The configuration in force, as the ledger seals it: names of settings and digests of their values.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use toml::{Table, Value};

use crate::entry::v1;

/// The most settings that are told apart.
const MAX_SETTINGS: usize = 1_024;
/// The longest name of a setting, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// Digests of the values of all settings, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings(BTreeMap<String, [u8; 32]>);

impl Settings {
    /// The settings of a configuration file. An item of a list with a name is a setting of its own.
    pub(super) fn of(table: &Table) -> Self {
        let mut settings = BTreeMap::new();
        for (section, value) in table {
            for (name, value) in parts(section, value) {
                settings.insert(name, digest(&value));
            }
        }
        if settings.len() > MAX_SETTINGS || settings.keys().any(|name| name.len() > MAX_NAME_BYTES)
        {
            // Too many to tell apart: each section is one.
            settings = table
                .iter()
                .map(|(section, value)| (section.clone(), digest(value)))
                .collect();
        }
        Self(settings)
    }

    /// What is sealed if these are in force after `last`; nothing if nothing changed.
    pub(super) fn since(&self, last: Option<&v1::Configuration>) -> Option<v1::Configuration> {
        let digest = self.digest();
        if last.is_some_and(|last| last.digest == digest) {
            return None;
        }
        let before: BTreeMap<&str, &[u8]> = last
            .iter()
            .flat_map(|last| &last.settings)
            .map(|setting| (setting.name.as_str(), setting.digest.as_slice()))
            .collect();
        let added_or_changed = self
            .0
            .iter()
            .filter(|(name, digest)| before.get(name.as_str()) != Some(&digest.as_slice()))
            .map(|(name, _)| name.clone());
        let removed = before
            .keys()
            .filter(|name| !self.0.contains_key(**name))
            .map(|name| (*name).to_owned());
        let mut changed: Vec<String> = added_or_changed.chain(removed).collect();
        changed.sort_unstable();
        let setting = |(name, digest): (&String, &[u8; 32])| v1::Setting {
            name: name.clone(),
            digest: digest.to_vec(),
        };
        Some(v1::Configuration {
            digest: digest.to_vec(),
            settings: self.0.iter().map(setting).collect(),
            changed,
        })
    }

    fn digest(&self) -> [u8; 32] {
        let mut all = Sha256::new();
        for (name, digest) in &self.0 {
            let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
            all.update(length.to_be_bytes());
            all.update(name);
            all.update(digest);
        }
        all.finalize().into()
    }
}

/// The settings of a section.
fn parts(section: &str, value: &Value) -> Vec<(String, Value)> {
    match value {
        Value::Table(table) => table
            .iter()
            .map(|(name, value)| (format!("{section}.{name}"), value.clone()))
            .collect(),
        Value::Array(items) if items.iter().all(Value::is_table) => {
            let mut parts: BTreeMap<String, Value> = BTreeMap::new();
            for (index, item) in items.iter().enumerate() {
                let name = item.get("name").and_then(Value::as_str);
                let name = name.map_or_else(|| index.to_string(), str::to_owned);
                // Two of one name are one setting.
                let same = parts
                    .entry(format!("{section}.{name}"))
                    .or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(same) = same {
                    same.push(item.clone());
                }
            }
            parts.into_iter().collect()
        }
        _ => vec![(section.to_owned(), value.clone())],
    }
}

/// The digest of a value in compact JSON, in which tables are sorted by key.
fn digest(value: &Value) -> [u8; 32] {
    // A value of TOML is always one of JSON.
    let json = serde_json::to_vec(value).unwrap_or_default();
    Sha256::digest(json).into()
}
