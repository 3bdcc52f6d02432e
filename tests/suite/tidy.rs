//! The rules of the house, read from the sources: layers, what each may touch, lengths, comments in the proto files,
//! links. Each rule is also shown to find what breaks it.

use std::fs;
use std::path::{Path, PathBuf};

/// In order of dependency: a module uses none that stands behind it.
const LAYERS: [&str; 12] = [
    "merkle", "note", "entry", "index", "verify", "inquiry", "store", "ledger", "service",
    "collect", "witness", "cli",
];
/// The first so many do no I/O, read no clock and start no thread.
const PURE: usize = 6;
const IMPURE_STD: [&str; 7] = ["env", "fs", "io", "net", "process", "thread", "time"];
const IMPURE_CRATES: [&str; 6] = [
    "getrandom",
    "indicatif",
    "rocksdb",
    "rustix",
    "tokio",
    "tonic",
];
const MAX_LINES: usize = 800;

/// A file with its path from the top of the repository.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.into(),
            text: text.into(),
        }
    }

    fn has_ending(&self, endings: &[&str]) -> bool {
        endings.iter().any(|ending| self.path.ends_with(ending))
    }

    /// The layer that a file below `src` belongs to.
    fn layer(&self) -> Option<&str> {
        let name = self.path.strip_prefix("src/")?.split('/').next()?;
        let name = name.strip_suffix(".rs").unwrap_or(name);
        (name != "lib" && name != "main").then_some(name)
    }

    /// How many `super` lead from this file's module to the top of the crate.
    fn depth(&self) -> usize {
        let below_src = self.path.matches('/').count();
        below_src - usize::from(self.path.ends_with("/mod.rs"))
    }

    /// The text without comments.
    fn code(&self) -> String {
        let lines = self.text.lines();
        lines
            .map(|line| match line.find("//") {
                Some(0) => "",
                Some(at) if line[..at].ends_with(' ') => &line[..at],
                _ => line,
            })
            .collect::<Vec<_>>()
            .join("\n")
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every text file of the project.
fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    for name in [
        ".ci",
        "Makefile",
        "README.md",
        "CONTRIBUTING.md",
        "Cargo.toml",
        "deny.toml",
        "benches",
        "build",
        "docs",
        "proto",
        "scripts",
        "src",
        "tests",
    ] {
        collect(&root().join(name), &mut found);
    }
    assert!(found.len() > 100, "the sources were not found");
    found
}

fn collect(path: &Path, found: &mut Vec<Source>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), found);
        }
    } else if let Ok(text) = fs::read_to_string(path) {
        let path = path
            .strip_prefix(root())
            .unwrap()
            .to_str()
            .unwrap()
            .to_string();
        found.push(Source { path, text });
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// What stands behind `start::` anywhere in `code`, groups in braces taken apart.
fn names_after(code: &str, start: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices(&format!("{start}::")) {
        if code[..at].ends_with(is_word) || code[..at].ends_with("::") {
            continue;
        }
        let rest = code[at + start.len() + 2..].trim_start();
        match rest.strip_prefix('{') {
            Some(group) => names.extend(names_in_group(group)),
            None => names.extend(first_name(rest)),
        }
    }
    names
}

fn names_in_group(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut names = Vec::new();
    let mut from = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.extend(first_name(&group[from..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.extend(first_name(&group[from..at]));
                from = at + 1;
            }
            _ => {}
        }
    }
    names
}

fn first_name(text: &str) -> Option<String> {
    let name: String = text
        .trim_start()
        .chars()
        .take_while(|c| is_word(*c))
        .collect();
    (!name.is_empty()).then_some(name)
}

fn names_crate(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        !code[..at].ends_with(is_word) && !code[at + name.len()..].starts_with(is_word)
    })
}

fn layer_problems(sources: &[Source]) -> Vec<String> {
    let mut problems = Vec::new();
    for source in sources {
        let Some(layer) = source.layer() else {
            continue;
        };
        let path = &source.path;
        let Some(place) = LAYERS.iter().position(|known| *known == layer) else {
            problems.push(format!("{path}: {layer} is not among the layers: give it a place in tests/suite/tidy.rs and src/lib.rs"));
            continue;
        };
        let code = source.code();
        for name in names_after(&code, "crate") {
            let used = LAYERS.iter().position(|known| *known == name);
            if used.is_some_and(|used| used > place) {
                problems.push(format!(
                    "{path}: {layer} uses crate::{name}, which is a later layer"
                ));
            }
        }
        if code.contains(&"super::".repeat(source.depth())) {
            problems.push(format!(
                "{path}: reaches the top of the crate by super: write crate::"
            ));
        }
    }
    problems
}

fn purity_problems(sources: &[Source]) -> Vec<String> {
    let mut problems = Vec::new();
    for source in sources {
        let Some(place) = source
            .layer()
            .and_then(|layer| LAYERS.iter().position(|known| *known == layer))
        else {
            continue;
        };
        let (path, code) = (&source.path, source.code());
        if place < PURE {
            for name in names_after(&code, "std") {
                if IMPURE_STD.contains(&name.as_str()) {
                    problems.push(format!("{path}: std::{name} in a module that does no I/O, reads no clock and starts no thread"));
                }
            }
            for name in IMPURE_CRATES {
                if names_crate(&code, name) {
                    problems.push(format!("{path}: {name} in a module that builds without it"));
                }
            }
        }
        if LAYERS[place] != "store" && names_crate(&code, "rocksdb") {
            problems.push(format!("{path}: rocksdb is named outside of src/store"));
        }
    }
    problems
}

fn length_problems(sources: &[Source]) -> Vec<String> {
    let written = sources
        .iter()
        .filter(|source| source.has_ending(&[".rs", ".proto", ".sh"]));
    written
        .filter(|source| source.text.lines().count() >= MAX_LINES)
        .map(|source| {
            format!(
                "{}: has {MAX_LINES} lines or more: split it by what it does",
                source.path
            )
        })
        .collect()
}

/// Words that say that something is not finished, and places that exist on one machine only. Put together here, so that
/// this file does not hold them.
fn word_problems(sources: &[Source]) -> Vec<String> {
    let banned = [
        (["TO", "DO"].concat(), "finish it, or leave it out"),
        (["FIX", "ME"].concat(), "finish it, or leave it out"),
        (["db", "g!"].concat(), "left over from debugging"),
        (["/ro", "ot/"].concat(), "a path of one machine"),
        (["/wo", "rk/"].concat(), "a path of one machine"),
    ];
    let mut problems = Vec::new();
    for source in sources {
        for (number, line) in source.text.lines().enumerate() {
            for (word, why) in &banned {
                let starts = |(at, _): (usize, &str)| !line[..at].ends_with(is_word);
                if line.match_indices(word.as_str()).any(starts) {
                    problems.push(format!("{}:{}: {word}: {why}", source.path, number + 1));
                }
            }
        }
    }
    problems
}

/// Every message, field, enumeration, value, choice, service and call is explained on the lines before it.
fn proto_problems(sources: &[Source]) -> Vec<String> {
    const UNEXPLAINED: [&str; 7] = [
        "//",
        "}",
        "syntax ",
        "package ",
        "import ",
        "reserved ",
        "option ",
    ];
    let mut problems = Vec::new();
    for source in sources
        .iter()
        .filter(|source| source.has_ending(&[".proto"]))
    {
        let mut explained = false;
        let mut inside = false;
        for (number, line) in source.text.lines().enumerate() {
            let line = line.trim();
            let declares = !inside
                && !line.is_empty()
                && !UNEXPLAINED.iter().any(|start| line.starts_with(start));
            if declares && !explained {
                problems.push(format!(
                    "{}:{}: has no comment: {line}",
                    source.path,
                    number + 1
                ));
            }
            inside = (inside || declares) && !line.ends_with(['{', '}', ';']);
            explained = line.starts_with("//");
        }
    }
    problems
}

/// Links from one file of the repository to another lead somewhere.
fn link_problems(sources: &[Source], exists: impl Fn(&Path) -> bool) -> Vec<String> {
    let mut problems = Vec::new();
    for source in sources.iter().filter(|source| source.has_ending(&[".md"])) {
        let dir = Path::new(&source.path).parent().unwrap();
        for (at, _) in source.text.match_indices("](") {
            let link = source.text[at + 2..].split(')').next().unwrap();
            let file = link.split('#').next().unwrap();
            if !link.contains("://") && !file.is_empty() && !exists(&dir.join(file)) {
                problems.push(format!("{}: the link {link} leads nowhere", source.path));
            }
        }
    }
    problems
}

/// Commands that no document shows.
#[cfg(feature = "server")]
fn command_problems(sources: &[Source], commands: &[String]) -> Vec<String> {
    let documents: Vec<_> = sources
        .iter()
        .filter(|source| source.has_ending(&[".md"]))
        .collect();
    let is_shown = |command: &String| {
        let call = format!("graven {command}");
        documents
            .iter()
            .any(|document| names_crate(&document.text, &call))
    };
    let missing = commands.iter().filter(|command| !is_shown(command));
    missing
        .map(|command| format!("no document shows `graven {command}`"))
        .collect()
}

#[track_caller]
fn none(problems: Vec<String>) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn no_module_uses_a_later_layer() {
    none(layer_problems(&sources()));
    let breaks = |path, text| layer_problems(&[Source::new(path, text)]).len();
    assert_eq!(breaks("src/note/key.rs", "use crate::entry::Tag;"), 1);
    assert_eq!(
        breaks("src/note/key.rs", "use crate::{merkle, store::Space};"),
        1
    );
    assert_eq!(
        breaks("src/store/mod.rs", "fn f() -> crate::ledger::Head {}"),
        1
    );
    assert_eq!(breaks("src/note/mod.rs", "use super::verify::Audit;"), 1);
    assert_eq!(
        breaks("src/entry/json/row.rs", "use super::super::super::ledger;"),
        1
    );
    assert_eq!(breaks("src/helpers/mod.rs", ""), 1);
    assert_eq!(
        breaks("src/entry/json/row.rs", "use super::super::body;"),
        0
    );
    assert_eq!(breaks("src/cli/mod.rs", "use crate::{entry, ledger};"), 0);
    assert_eq!(
        breaks("src/note/key.rs", "/// Used by crate::ledger::Ledger."),
        0
    );
}

#[test]
fn pure_modules_touch_nothing_outside_and_only_the_store_names_the_engine() {
    none(purity_problems(&sources()));
    let breaks = |path, text| purity_problems(&[Source::new(path, text)]).len();
    assert_eq!(breaks("src/verify/audit.rs", "use std::fs::File;"), 1);
    assert_eq!(
        breaks("src/merkle/mod.rs", "use std::{fmt, time::Instant};"),
        1
    );
    assert_eq!(breaks("src/entry/event.rs", "tokio::spawn(work);"), 1);
    assert_eq!(breaks("src/ledger/open.rs", "use rocksdb::DB;"), 1);
    assert_eq!(breaks("src/ledger/open.rs", "use std::time::Instant;"), 0);
    assert_eq!(breaks("src/store/rocks/mod.rs", "use rocksdb::DB;"), 0);
}

#[test]
fn files_stay_short() {
    none(length_problems(&sources()));
    let long = Source::new("src/long.rs", &"\n".repeat(MAX_LINES));
    assert_eq!(length_problems(&[long]).len(), 1);
}

#[test]
fn nothing_is_left_unfinished_or_tied_to_one_machine() {
    none(word_problems(&sources()));
    let left = Source::new("src/left.rs", &["// TO", "DO: think"].concat());
    assert_eq!(word_problems(&[left]).len(), 1);
    let tied = Source::new("docs/tied.md", &["see /wo", "rk/x"].concat());
    assert_eq!(word_problems(&[tied]).len(), 1);
    let name = Source::new("docs/name.md", &["git://host/wo", "rk/x"].concat());
    assert_eq!(word_problems(&[name]).len(), 0);
}

#[test]
fn everything_in_the_proto_files_is_explained() {
    none(proto_problems(&sources()));
    let breaks = |text| proto_problems(&[Source::new("proto/x.proto", text)]).len();
    assert_eq!(breaks("message A {\n  // B.\n  string b = 1;\n}"), 1);
    assert_eq!(breaks("// A.\nmessage A {\n  string b = 1;\n}"), 1);
    assert_eq!(
        breaks("// A.\nservice A {\n  rpc B(C)\n    returns (D);\n}"),
        1
    );
    assert_eq!(
        breaks("// A.\nmessage A {\n  // B.\n  string b = 1;\n\n  // C.\n  string c = 2;\n}"),
        0
    );
}

#[test]
fn links_between_documents_lead_somewhere() {
    none(link_problems(&sources(), |path| root().join(path).exists()));
    let broken = [Source::new(
        "docs/a.md",
        "[b](b.md#c) [d](https://d.example/)",
    )];
    assert_eq!(link_problems(&broken, |_| false).len(), 1);
}

#[test]
#[cfg(feature = "server")]
fn documents_show_every_command() {
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_graven"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let commands: Vec<String> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .map(str::to_string)
        .collect();
    assert!(commands.len() > 5, "the help lists no commands:\n{help}");
    none(command_problems(&sources(), &commands));
    assert_eq!(
        command_problems(&sources(), &["unheard-of".into()]).len(),
        1
    );
}
