//! Questions that are kept under a name, as they were typed; and `graven queries`, which lists them.
//!
//! `@NAME` among the words of a question stands for the words that were saved under the name.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::arguments::{Global, Output};
use super::failure::Failure;
use super::render::{Machine, Record, escape, write_records};

/// The longest name.
const MAX_NAME_BYTES: usize = 64;
/// The variable that names the file.
const VARIABLE: &str = "GRAVEN_QUERIES_FILE";
/// The commands that ask questions about entries.
const ASKING: [&str; 3] = ["log", "watch", "export"];
/// Flags that say whom to ask and how to show the answer. They and their values are not part of a question.
const NOT_KEPT: [&str; 11] = [
    "--save",
    "--queries",
    "--server",
    "--token",
    "--key",
    "--tls-ca",
    "--tls-cert",
    "--tls-key",
    "--color",
    "--output",
    "-o",
];
/// The same, without a value.
const NOT_KEPT_SWITCHES: [&str; 2] = ["-q", "--quiet"];

/// Where questions are kept.
#[derive(Debug, Clone, Args)]
pub(super) struct QueriesFile {
    /// The file of saved questions [default: `graven/queries.toml` in `$XDG_CONFIG_HOME`, or in `~/.config`]
    #[arg(long, env = VARIABLE, value_name = "FILE")]
    queries: Option<PathBuf>,
}

/// The file. What it does not know is refused.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Contents {
    /// The words of each question, by its name.
    query: BTreeMap<String, Vec<String>>,
}

impl QueriesFile {
    fn path(&self) -> Result<PathBuf, Failure> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let config = || {
            let home = || variable("HOME").map(|home| Path::new(&home).join(".config"));
            variable("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home)
        };
        let default = || config().map(|config| config.join("graven").join("queries.toml"));
        self.queries.clone().or_else(default).ok_or_else(|| {
            Failure::usage("where are saved questions kept? say it with --queries FILE")
        })
    }

    fn read(&self) -> Result<(PathBuf, Contents), Failure> {
        let path = self.path()?;
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let contents = toml::from_str(&text)
                    .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
                Ok((path, contents))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok((path, Contents::default()))
            }
            Err(error) => Err(Failure::file("reading", &path, &error)),
        }
    }

    /// The words that are kept under a name.
    fn get(&self, name: &str) -> Result<Vec<String>, Failure> {
        let (path, mut contents) = self.read()?;
        contents.query.remove(name).ok_or_else(|| {
            let names: Vec<String> = contents.query.into_keys().collect();
            let there = match names.len() {
                0 => "there is none".to_owned(),
                _ => format!("there are {}", names.join(", ")),
            };
            let path = path.display();
            Failure::usage(format!("no question @{name} in {path}: {there}"))
        })
    }

    /// Keeps the question that this process was started with under a name, in place of the one that was there.
    pub(super) fn save(&self, name: &str, global: &Global) -> Result<(), Failure> {
        let wrong = |what: String| Failure::usage(format!("--save {name}: {what}"));
        if !is_name(name) {
            let most = MAX_NAME_BYTES;
            return Err(wrong(format!(
                "a name has letters, digits, -, _ and ., at most {most}"
            )));
        }
        let words: Vec<String> = std::env::args_os()
            .map(OsString::into_string)
            .collect::<Result<_, _>>()
            .map_err(|_| wrong("a question is text".into()))?;
        let words = kept(&words);
        if let Some(word) = words.iter().find(|word| reference(word).is_some()) {
            return Err(wrong(format!("write out what {word} stands for")));
        }
        let (path, mut contents) = self.read()?;
        let replaced = contents.query.insert(name.to_owned(), words).is_some();
        let text = toml::to_string(&contents).map_err(|error| wrong(error.to_string()))?;
        write(&path, &text).map_err(|error| Failure::file("writing", &path, &error))?;
        let what = if replaced { "replaced" } else { "saved" };
        global.say(&format!("{what} @{name} in {}", path.display()));
        Ok(())
    }
}

/// Writes a file as a whole, or leaves the one that is there.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let beside = path.with_extension("toml.new");
    let mut file = std::fs::File::create(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

fn is_name(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty() && text.len() <= MAX_NAME_BYTES && text.chars().all(good)
}

/// The name that a word refers to, if it is `@NAME`.
fn reference(word: &str) -> Option<&str> {
    word.strip_prefix('@').filter(|name| is_name(name))
}

/// The words of a question behind its command.
fn kept(words: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let command = words
        .iter()
        .position(|word| ASKING.contains(&word.as_str()));
    let mut rest = words.iter().skip(command.map_or(words.len(), |at| at + 1));
    while let Some(word) = rest.next() {
        let flag = word.split_once('=').map_or(word.as_str(), |(flag, _)| flag);
        if NOT_KEPT.contains(&word.as_str()) {
            rest.next();
        } else if !(NOT_KEPT_SWITCHES.contains(&word.as_str())
            || NOT_KEPT.contains(&flag)
            || word.starts_with("-o"))
        {
            kept.push(word.clone());
        }
    }
    kept
}

/// The arguments of a command with the words of saved questions in place of their names, and what these were.
pub(super) fn expand_arguments(
    arguments: Vec<OsString>,
) -> Result<(Vec<OsString>, Vec<String>), Failure> {
    let is_asking = |word: &OsString| ASKING.iter().any(|command| word == command);
    let Some(command) = arguments.iter().position(is_asking) else {
        return Ok((arguments, Vec::new()));
    };
    let file = queries_file(&arguments);
    let mut expanded = Vec::with_capacity(arguments.len());
    let mut said = Vec::new();
    for (index, word) in arguments.into_iter().enumerate() {
        match word
            .to_str()
            .and_then(reference)
            .filter(|_| index > command)
        {
            Some(name) => {
                let words = file.get(name)?;
                said.push(format!("@{name} is {}", escape(&typed(&words))));
                expanded.extend(words.into_iter().map(OsString::from));
            }
            None => expanded.push(word),
        }
    }
    Ok((expanded, said))
}

/// The file of saved questions, before the arguments can be parsed.
fn queries_file(arguments: &[OsString]) -> QueriesFile {
    let mut words = arguments.iter().map(|word| word.to_string_lossy());
    let mut queries = None;
    while let Some(word) = words.next() {
        if word == "--queries" {
            queries = words.next().map(|file| PathBuf::from(file.as_ref()));
        } else if let Some(file) = word.strip_prefix("--queries=") {
            queries = Some(PathBuf::from(file));
        }
    }
    let variable = || std::env::var_os(VARIABLE).filter(|file| !file.is_empty());
    QueriesFile {
        queries: queries.or_else(|| variable().map(PathBuf::from)),
    }
}

/// Words as they could be typed.
fn typed(words: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.,:/@%+=".contains(c);
    let word = |word: &String| {
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    };
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    file: QueriesFile,
    #[command(flatten)]
    output: Output,
}

/// A question as it is listed.
#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    words: Vec<String>,
}

impl Record for Listed {
    fn cells(&self) -> Vec<String> {
        vec![self.name.clone(), typed(&self.words)]
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let (_, contents) = arguments.file.read()?;
    let rows: Vec<Listed> = contents
        .query
        .into_iter()
        .map(|(name, words)| Listed { name, words })
        .collect();
    if let Some(format) = Machine::of(arguments.output.output) {
        write_records(format, &["name", "words"], &rows)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = std::io::stdout().lock();
    for row in &rows {
        writeln!(
            out,
            "{:16} {}",
            escape(&row.name),
            escape(&typed(&row.words))
        )?;
    }
    Ok(ExitCode::SUCCESS)
}
