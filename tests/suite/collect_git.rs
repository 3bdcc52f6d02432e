//! A git history as events, compared with git's own answers.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use graven::collect::git::{GitError, GitHistory, Options, Revisions};
use graven::entry::v1;
use sha2::{Digest, Sha256};

use crate::git_support::{
    FIRST_SECOND, Repo, actor, after, before, context, events, label, os, path_of, reason, summary,
    target, what,
};

const PLAIN: &str = "100644";

fn sha256(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn long_text(name: &str) -> String {
    (0..40).map(|line| format!("{name} {line}\n")).collect()
}

/// Creates, updates, renames, deletions, modes, types and names of every kind, one after the other.
fn linear_history() -> Repo {
    let repo = Repo::new();
    repo.write("README", "one\n");
    repo.write("empty", "");
    repo.write("moved", long_text("moved"));
    repo.write("both", long_text("both"));
    repo.write("binary", b"\0\x01\xff\0\n\n");
    repo.write("run", "#!/bin/sh\n");
    repo.write("link", "a file first\n");
    repo.commit("first");
    repo.write("README", "two\n");
    repo.commit("update");
    repo.git(&["mv", "moved", "renamed"]);
    repo.commit("rename");
    repo.remove("both");
    repo.write("deep/er/both", long_text("both") + "more\n");
    repo.commit("rename and edit");
    let run = repo.path().join("run");
    fs::set_permissions(run, fs::Permissions::from_mode(0o755)).unwrap();
    repo.remove("empty");
    repo.remove("link");
    symlink("README", repo.path().join("link")).unwrap();
    repo.commit("mode, delete, type");
    for path in [
        &b"with space"[..],
        b"new\nline",
        b"tab\tand \"quotes\" and \\",
        b"100%",
        b"%41",
        b":colon",
        b"\x01mark",
        b"latin-\xe9-\xff",
        "ünïcode/日本".as_bytes(),
    ] {
        repo.write(path, path);
    }
    repo.commit("names");
    let commit = repo.head();
    let entry = format!("160000,{commit},module");
    repo.git(&["update-index", "--add", "--cacheinfo", &entry]);
    repo.git(&["commit", "-q", "-m", "submodule"]);
    repo
}

type Tree = BTreeMap<Vec<u8>, (String, String)>;

/// The tree that the events lead to, whose every step must fit the one before.
fn replay(events: &[v1::Event]) -> Tree {
    let mut tree = Tree::new();
    for event in events {
        let target = target(event);
        let (before, after) = (before(event), after(event));
        let path = path_of(&target.uri);
        let old_path = match target.previous_uri.as_str() {
            "" => path.clone(),
            previous => path_of(previous),
        };
        let old = tree.remove(&old_path);
        if before.state() == v1::VersionState::Absent {
            assert_eq!(old, None, "{target:?}");
        } else {
            let (mode, id) = old.as_ref().expect("what is changed is there");
            assert_eq!(&before.ids[0], id);
            assert_eq!(label(event, "mode_before").unwrap_or(mode), mode);
        }
        if after.state() != v1::VersionState::Absent {
            let mode = label(event, "mode_after").map(str::to_string);
            let mode = mode.or(old.map(|(mode, _)| mode)).unwrap();
            tree.insert(path, (mode, after.ids[0].clone()));
        }
    }
    tree
}

/// The same tree, from git.
fn tree_at(repo: &Repo, revision: &str) -> Tree {
    let listing = repo.git_bytes(&["ls-tree", "-r", "-z", revision]);
    let lines = listing.split(|&byte| byte == 0);
    let entry = |line: &[u8]| {
        let tab = line.iter().position(|&byte| byte == b'\t').unwrap();
        let words = String::from_utf8(line[..tab].to_vec()).unwrap();
        let words: Vec<&str> = words.split(' ').collect();
        let id = format!("git-sha1:{}", words[2]);
        (line[tab + 1..].to_vec(), (words[0].to_string(), id))
    };
    lines.filter(|line| !line.is_empty()).map(entry).collect()
}

/// `<action> <path>` of every change, from `git log`.
fn summary_by_git(repo: &Repo, arguments: &[&str]) -> Vec<String> {
    let log = [
        "log",
        "--reverse",
        "--topo-order",
        "--name-status",
        "-z",
        "-M",
        "--format=",
    ];
    let printed = repo.git_bytes(&[&log[..], arguments].concat());
    let mut fields = printed
        .split(|&byte| byte == 0)
        .map(|field| {
            String::from_utf8_lossy(field)
                .trim_start_matches('\n')
                .to_string()
        })
        .filter(|field| !field.is_empty());
    let mut lines = Vec::new();
    while let Some(status) = fields.next() {
        let first = fields.next().unwrap();
        lines.push(match &status[..1] {
            "A" => format!("file.create {first}"),
            "D" => format!("file.delete {first}"),
            "R" => format!("file.rename {first} -> {}", fields.next().unwrap()),
            _ => format!("file.update {first}"),
        });
    }
    lines
}

#[test]
fn replaying_the_events_gives_the_tree_of_the_last_commit() {
    let repo = linear_history();
    let events = repo.events();
    assert_eq!(summary(&events), summary_by_git(&repo, &[]));
    assert_eq!(replay(&events), tree_at(&repo, "HEAD"));
}

#[test]
fn every_blob_has_the_digest_of_its_content() {
    let repo = linear_history();
    let mut blobs = 0;
    for event in repo.events() {
        for version in [before(&event), after(&event)] {
            let Some(id) = version
                .ids
                .first()
                .and_then(|id| id.strip_prefix("git-sha1:"))
            else {
                assert_eq!(version.state(), v1::VersionState::Absent);
                continue;
            };
            if repo.git(&["cat-file", "-t", id]) != "blob\n" {
                assert_eq!(version.ids.len(), 1, "a submodule");
                continue;
            }
            let content = repo.git_bytes(&["cat-file", "blob", id]);
            assert_eq!(version.ids[1..], [sha256(&content)]);
            blobs += 1;
        }
    }
    assert!(blobs > 25, "{blobs}");
}

#[test]
fn an_event_says_who_what_where_when_and_why() {
    let repo = Repo::new();
    repo.git(&[
        "remote",
        "add",
        "origin",
        "https://me:secret@Example.com:8443/team/repo.git",
    ]);
    repo.write("a", "one\n");
    let root = repo.commit("Add a");
    repo.write("a", "two\n");
    repo.write("b", "three\n");
    let commit = repo.commit("Change a\n\nBecause.\n");
    let events = repo.events();
    assert_eq!(events.len(), 3);
    let event = &events[1];
    let who = event.who.as_ref().unwrap();
    assert_eq!(who.actor, "git:author@example.com");
    assert_eq!(who.assurance(), v1::Assurance::Asserted);
    assert_eq!(who.display_name, "An Author");
    assert_eq!(what(event).action, "file.update");
    assert_eq!(what(event).outcome(), v1::Outcome::Success);
    assert_eq!(target(event).uri, "git://example.com/team/repo//a");
    assert_eq!(target(event).instance, root);
    assert_eq!(before(event).ids[1], sha256(b"one\n"));
    assert_eq!(after(event).ids[1], sha256(b"two\n"));
    assert_eq!(context(event).source, "git://example.com/team/repo");
    assert_eq!(context(event).source_id, commit);
    assert_eq!(context(event).correlation_id, commit);
    let times = repo.git(&["log", "-1", "--format=%at %ct"]);
    let seconds: Vec<i64> = times
        .split_whitespace()
        .map(|t| t.parse().unwrap())
        .collect();
    assert_eq!(context(event).occurred_at, Some(seconds[0] * 1_000_000_000));
    assert_eq!(context(event).observed_at, Some(seconds[1] * 1_000_000_000));
    assert_eq!(context(event).idempotency_id[..8], seconds[1].to_be_bytes());
    let why = event.why.as_ref().unwrap();
    assert_eq!((why.reason.as_str(), &why.ticket), ("Change a", &commit));
    let labels: Vec<(&str, &str)> = why.labels.iter().map(|l| (&*l.key, &*l.value)).collect();
    assert_eq!(
        labels,
        [
            ("committer", "committer@example.com"),
            ("committer_name", "A Committer")
        ]
    );
    let detail = event.detail.as_ref().unwrap();
    assert_eq!(detail.content, b"Change a\n\nBecause.\n");
    assert_eq!(
        (detail.media_type.as_str(), detail.truncated),
        ("text/plain", false)
    );
    assert_eq!(events[0].detail, None, "the reason says it all");
    assert_eq!(events[2].detail, None, "the commit's first change says it");
}

#[test]
fn the_idempotency_id_is_pinned() {
    let repo = Repo::new();
    repo.write("a", "one\n");
    repo.commit("Add a");
    let options = Options {
        name: Some("example.com/pinned".into()),
        ..Options::default()
    };
    let history = GitHistory::open(repo.path(), &options).unwrap();
    let event = &events(&history)[0];
    let mut hasher = blake3::Hasher::new();
    for field in ["git://example.com/pinned", &repo.head(), "", "a"] {
        hasher.update(&(field.len() as u64).to_be_bytes());
        hasher.update(field.as_bytes());
    }
    let seconds: u64 = repo
        .git(&["log", "-1", "--format=%ct"])
        .trim()
        .parse()
        .unwrap();
    assert!(seconds > FIRST_SECOND);
    let mut expected = seconds.to_be_bytes().to_vec();
    expected.extend(&hasher.finalize().as_bytes()[..24]);
    assert_eq!(context(event).idempotency_id, expected);
}

#[test]
fn modes_are_labels_where_they_differ() {
    let repo = linear_history();
    let modes: Vec<(String, Option<String>, Option<String>)> = repo
        .events()
        .iter()
        .filter(|event| reason(event) == "mode, delete, type" || reason(event) == "submodule")
        .map(|event| {
            let mode = |key| label(event, key).map(str::to_string);
            (
                summary(std::slice::from_ref(event)).remove(0),
                mode("mode_before"),
                mode("mode_after"),
            )
        })
        .collect();
    let row = |line: &str, before: &str, after: &str| {
        let mode = |text: &str| (!text.is_empty()).then(|| text.to_string());
        (line.to_string(), mode(before), mode(after))
    };
    let expected = [
        row("file.delete empty", PLAIN, ""),
        row("file.update link", PLAIN, "120000"),
        row("file.update run", PLAIN, "100755"),
        row("file.create module", "", "160000"),
    ];
    assert_eq!(modes, expected);
}

/// Two branches that changed one file each, and a third file in the merge alone.
fn merged_history(evil: bool) -> Repo {
    let repo = Repo::new();
    repo.write("ours", "one\n");
    repo.write("theirs", "one\n");
    repo.commit("root");
    repo.git(&["checkout", "-q", "-b", "side"]);
    repo.write("theirs", "two\n");
    repo.commit("side");
    repo.git(&["checkout", "-q", "main"]);
    repo.write("ours", "two\n");
    repo.commit("main");
    repo.git(&["merge", "-q", "--no-ff", "--no-commit", "side"]);
    if evil {
        repo.write("ours", "neither\n");
        repo.write("new\nfile", "from nowhere\n");
        repo.remove("theirs");
    }
    repo.commit("merge");
    repo.write("after", "after\n");
    repo.commit("after");
    repo
}

#[test]
fn a_merge_alone_changes_nothing() {
    let repo = merged_history(false);
    let events = repo.events();
    assert_eq!(summary(&events), summary_by_git(&repo, &[]));
    assert!(events.iter().all(|event| reason(event) != "merge"));
    assert_eq!(replay(&events), tree_at(&repo, "HEAD"));
}

#[test]
fn a_merge_shows_what_no_parent_has() {
    let repo = merged_history(true);
    let events = repo.events();
    let merge: Vec<v1::Event> = events
        .iter()
        .filter(|event| reason(event) == "merge")
        .cloned()
        .collect();
    assert_eq!(
        summary(&merge),
        [
            "file.create new\nfile",
            "file.update ours",
            "file.delete theirs"
        ]
    );
    assert_eq!(
        before(&merge[1]).ids[1],
        sha256(b"two\n"),
        "the first parent's"
    );
    assert_eq!(after(&merge[1]).ids[1], sha256(b"neither\n"));
    let last = events.last().unwrap();
    assert_eq!(reason(last), "after", "the commit after it is not lost");
}

#[test]
fn authors_are_named_as_they_name_themselves() {
    let cases: [(&[u8], &str); 7] = [
        (b"a@b", "git:a@b"),
        (b"", "other:git/unknown"),
        (b"root", "other:git/root"),
        (b"tab\there@x", "git:tab\there@x"),
        (b"100%@x", "git:100%@x"),
        (b"\xe9@x", "git:%E9@x"),
        ("ü@x".as_bytes(), "git:ü@x"),
    ];
    let repo = Repo::new();
    for (index, (email, _)) in cases.iter().enumerate() {
        repo.write("a", index.to_string());
        repo.git(&["add", "a"]);
        let people = [
            b"author N <",
            *email,
            b"> 1 +0000\ncommitter C <c@d> 2 +0000\n",
        ]
        .concat();
        repo.commit_object(&people, b"m");
    }
    let long = format!("{}@x", "l".repeat(600));
    repo.write("a", "long");
    repo.git(&["add", "a"]);
    let people = format!(
        "author \u{fc}{} <{long}> 1 +0000\ncommitter C <> 2 +0000\n",
        long
    );
    repo.commit_object(people.as_bytes(), b"m");
    let events = repo.events();
    let actors: Vec<&str> = events.iter().map(actor).collect();
    let mut expected: Vec<String> = cases
        .iter()
        .map(|(_, actor)| (*actor).to_string())
        .collect();
    expected.push(format!("other:git/{}", sha256(long.as_bytes())));
    assert_eq!(actors, expected);
    assert_eq!(events[7].who.as_ref().unwrap().display_name.len(), 512);
    assert_eq!(label(&events[7], "committer"), None);
}

#[test]
fn text_in_another_encoding_becomes_utf_8() {
    let repo = Repo::new();
    repo.write("a", "1");
    repo.git(&["add", "a"]);
    let people = b"author J\xe9 <j@x> 1 +0000\ncommitter C <c@d> 2 +0000\n".to_vec();
    let declared = [&people[..], b"encoding ISO-8859-1\n"].concat();
    repo.commit_object(&declared, b"D\xe9clar\xe9\n");
    repo.write("a", "2");
    repo.git(&["add", "a"]);
    repo.commit_object(&people, b"Non d\xe9clar\xe9\n");
    let events = repo.events();
    assert_eq!(reason(&events[0]), "Déclaré");
    assert_eq!(events[0].who.as_ref().unwrap().display_name, "Jé");
    assert_eq!(events[0].detail, None);
    assert_eq!(reason(&events[1]), "Non d\u{fffd}clar\u{fffd}");
    assert_eq!(
        events[1].detail.as_ref().unwrap().content,
        b"Non d\xe9clar\xe9\n"
    );
}

#[test]
fn times_that_an_event_cannot_hold_are_labels() {
    let cases = [
        ("-86400 +0000", Some(-86_400_000_000_000)),
        ("-9000000000 +0130", None),
        ("7258118399 +0000", Some(7_258_118_399_000_000_000)),
        ("7258118400 +0000", None),
        ("99999999999999999999999 +0000", None),
        ("yesterday", None),
    ];
    let repo = Repo::new();
    for (index, (time, _)) in cases.iter().enumerate() {
        repo.write("a", index.to_string());
        repo.git(&["add", "a"]);
        let people = format!("author A <a@b> {time}\ncommitter C <c@d> {time}\n");
        repo.commit_object(people.as_bytes(), b"m");
    }
    let events = repo.events();
    for (event, (time, expected)) in events.iter().zip(cases) {
        let labelled = expected.is_none().then_some(time);
        assert_eq!(context(event).occurred_at, expected, "{time}");
        assert_eq!(context(event).observed_at, expected, "{time}");
        assert_eq!(label(event, "author_time"), labelled);
        assert_eq!(label(event, "committer_time"), labelled);
    }
    assert_eq!(
        context(&events[0]).idempotency_id[..8],
        (-86_400_i64).to_be_bytes()
    );
    assert_eq!(context(&events[5]).idempotency_id[..8], [0; 8]);
}

#[test]
fn long_messages_and_subjects_are_cut() {
    let repo = Repo::new();
    let message = format!("{}\n\n{}", "s".repeat(5000), "é".repeat(150_000));
    repo.write("a", "1");
    repo.commit(&message);
    let events = repo.events();
    assert_eq!(reason(&events[0]), "s".repeat(4096));
    let detail = events[0].detail.as_ref().unwrap();
    assert!(detail.truncated);
    assert!(message.as_bytes().starts_with(&detail.content));
    assert!(detail.content.len() > 200_000);
}

#[test]
fn a_path_too_long_for_a_name_is_named_by_its_digest() {
    let repo = Repo::new();
    let path = vec!["d".repeat(200); 25].join("/");
    let blob = repo.git_with(&[], b"deep\n", &["hash-object", "-w", "--stdin"]);
    let blob = String::from_utf8(blob).unwrap();
    let entry = format!("{PLAIN},{},{path}", blob.trim());
    repo.git(&["update-index", "--add", "--cacheinfo", &entry]);
    repo.git(&["commit", "-q", "-m", "deep"]);
    let events = repo.events();
    let expected = format!(
        "other:{}//{}",
        repo.history().source(),
        sha256(path.as_bytes())
    );
    assert_eq!(target(&events[0]).uri, expected);
    assert_eq!(after(&events[0]).ids[1], sha256(b"deep\n"));
}

#[test]
fn a_large_or_missing_blob_keeps_its_git_id() {
    let repo = Repo::new();
    repo.write("a", "12345");
    repo.write("b", "123456");
    repo.write("c", "123");
    repo.write("d", "1234567");
    repo.commit("m");
    let missing = repo.id("HEAD:c");
    fs::remove_file(
        repo.path()
            .join(".git/objects")
            .join(&missing[..2])
            .join(&missing[2..]),
    )
    .unwrap();
    let options = Options {
        max_blob_bytes: 5,
        ..Options::default()
    };
    let events = events(&GitHistory::open(repo.path(), &options).unwrap());
    let versions: Vec<_> = events.iter().map(after).collect();
    let states: Vec<_> = versions.iter().map(|version| version.state()).collect();
    let sizes: Vec<_> = versions.iter().map(|version| version.size).collect();
    assert_eq!(states[0], v1::VersionState::Unspecified);
    assert_eq!(states[1], v1::VersionState::TooLarge);
    assert_eq!(states[2], v1::VersionState::Unavailable);
    assert_eq!(states[3], v1::VersionState::TooLarge);
    assert_eq!(sizes, [None, Some(6), None, Some(7)]);
    assert_eq!(versions[1].ids, [format!("git-sha1:{}", repo.id("HEAD:b"))]);
    assert_eq!(versions[2].ids, [format!("git-sha1:{missing}")]);
}

#[test]
fn the_name_comes_from_the_remote() {
    let cases: [(&str, &str); 14] = [
        ("https://github.com/o/r.git", "github.com/o/r"),
        ("https://user:pw@GitHub.com:443/o/r/", "github.com/o/r"),
        ("http://h/r?token=secret", "h/r"),
        ("ssh://git@h:2222/o/r.git", "h/o/r"),
        ("git@h:o/r.git", "h/o/r"),
        ("h:/srv//git/r", "h/srv/git/r"),
        ("git@[::1]:o/r", "[::1]/o/r"),
        ("ssh://[::1]:22/o/r", "[::1]/o/r"),
        ("git://h/~u/r", "h/~u/r"),
        ("/srv/git/r.git", "localhost/work"),
        ("../r.git", "localhost/work"),
        ("file:///srv/r.git", "localhost/work"),
        ("ext::sh -c true", "localhost/work"),
        ("https://h/", "localhost/work"),
    ];
    let repo = Repo::new();
    assert_eq!(repo.history().source(), "git://localhost/work");
    for (url, name) in cases {
        repo.git(&["config", "remote.origin.url", url]);
        assert_eq!(repo.history().source(), format!("git://{name}"), "{url}");
    }
    for name in [
        "",
        "h",
        "h/",
        "/r",
        "h/a//b",
        &format!("h/{}", "r".repeat(600)),
    ] {
        let options = Options {
            name: Some(name.to_string()),
            ..Options::default()
        };
        let error = GitHistory::open(repo.path(), &options).unwrap_err();
        assert!(matches!(error, GitError::BadName { .. }), "{name}: {error}");
    }
}

#[test]
fn all_references_or_one_can_be_read() {
    let repo = merged_history(false);
    repo.git(&["checkout", "-q", "--orphan", "unrelated"]);
    repo.write("alone", "alone\n");
    repo.commit("unrelated");
    repo.git(&["tag", "-a", "-m", "t", "v1", "side"]);
    repo.git(&["tag", "blob", "HEAD:alone"]);
    let read = |revisions| {
        let options = Options {
            revisions,
            ..Options::default()
        };
        GitHistory::open(repo.path(), &options)
    };
    let tag = events(&read(Revisions::Named("v1".into())).unwrap());
    assert_eq!(summary(&tag), summary_by_git(&repo, &["side"]));
    let all = events(&read(Revisions::All).unwrap());
    assert_eq!(summary(&all), summary_by_git(&repo, &["--all"]));
    let root = repo.head();
    assert!(all.iter().all(|event| target(event).instance == root));
    for unknown in ["nowhere", "--all", "blob", ""] {
        let error = read(Revisions::Named(unknown.into())).unwrap_err();
        assert!(
            matches!(error, GitError::UnknownRevision { .. }),
            "{unknown}: {error}"
        );
    }
}

#[test]
fn merging_an_unrelated_history_keeps_the_events() {
    let repo = merged_history(false);
    let old = repo.events();
    repo.git(&["checkout", "-q", "--orphan", "unrelated"]);
    repo.write("alone", "alone\n");
    repo.commit("unrelated");
    repo.git(&["checkout", "-q", "main"]);
    repo.git(&[
        "merge",
        "-q",
        "--allow-unrelated-histories",
        "-m",
        "join",
        "unrelated",
    ]);
    let new = repo.events();
    assert!(new.len() > old.len());
    assert!(old.iter().all(|event| new.contains(event)));
}

#[test]
fn configuration_replacements_and_grafts_change_nothing() {
    let repo = linear_history();
    let plain = repo.events();
    for (key, value) in [
        ("diff.renames", "false"),
        ("diff.renameLimit", "1"),
        ("diff.orderFile", "order"),
        ("diff.relative", "true"),
        ("diff.ignoreSubmodules", "all"),
        ("log.showRoot", "false"),
        ("log.showSignature", "true"),
        ("log.diffMerges", "first-parent"),
        ("log.date", "relative"),
        ("log.mailmap", "true"),
        ("i18n.logOutputEncoding", "ISO-8859-1"),
        ("color.ui", "always"),
        ("core.quotePath", "true"),
    ] {
        repo.git(&["config", key, value]);
    }
    fs::write(repo.path().join("order"), "run\n").unwrap();
    fs::write(
        repo.path().join(".mailmap"),
        "X <x@y> <author@example.com>\n",
    )
    .unwrap();
    let replacement = repo.id("HEAD~3");
    repo.git(&["replace", "HEAD~2", &replacement]);
    fs::write(
        repo.path().join(".git/info/grafts"),
        format!("{}\n", repo.id("HEAD")),
    )
    .unwrap();
    assert_eq!(repo.events(), plain);
    let subdirectory = repo.path().join("deep/er");
    assert_eq!(
        events(&GitHistory::open(&subdirectory, &Options::default()).unwrap()),
        plain
    );
}

#[test]
fn bare_clones_and_worktrees_give_the_same_events() {
    let repo = linear_history();
    repo.git(&["config", "remote.origin.url", "h:r"]);
    let plain = repo.events();
    repo.git(&["worktree", "add", "-q", "../linked", "HEAD"]);
    repo.git(&["clone", "-q", "--bare", ".", "../bare.git"]);
    let open =
        |name: &str| GitHistory::open(&repo.dir.path().join(name), &Options::default()).unwrap();
    assert_eq!(events(&open("linked")), plain);
    assert_eq!(open("bare.git").source(), "git://localhost/bare");
    assert_eq!(summary(&events(&open("bare.git"))), summary(&plain));
    repo.git(&["config", "--unset", "remote.origin.url"]);
    assert_eq!(open("linked").source(), "git://localhost/work");
}

#[test]
fn the_boundary_of_a_shallow_clone_is_not_a_root() {
    let repo = linear_history();
    let url = format!("file://{}", repo.path().display());
    repo.git(&["clone", "-q", "--depth=3", &url, "../shallow"]);
    let path = repo.dir.path().join("shallow");
    let events = events(&GitHistory::open(&path, &Options::default()).unwrap());
    assert_eq!(summary(&events), summary_by_git(&repo, &["-2"]));
    assert!(events.iter().all(|event| target(event).instance.is_empty()));
}

#[test]
fn a_sha256_repository_has_its_own_scheme() {
    let repo = Repo::with_arguments(&["--object-format=sha256"]);
    repo.write("a", "one\n");
    repo.commit("m");
    let events = repo.events();
    let id = format!("git-sha256:{}", repo.id("HEAD:a"));
    assert_eq!(after(&events[0]).ids, [id, sha256(b"one\n")]);
}

#[test]
fn a_repository_without_commits_has_no_changes() {
    let repo = Repo::new();
    assert_eq!(repo.events(), []);
    repo.git_with(
        &[],
        b"",
        &["commit", "-q", "--allow-empty", "-m", "nothing"],
    );
    assert_eq!(repo.events(), []);
    repo.git(&["symbolic-ref", "HEAD", "refs/heads/elsewhere"]);
    let error = GitHistory::open(repo.path(), &Options::default()).unwrap_err();
    assert!(matches!(error, GitError::UnknownRevision { .. }), "{error}");
}

#[test]
fn what_is_no_repository_is_said_so() {
    let repo = Repo::new();
    for path in [
        repo.dir.path().to_path_buf(),
        repo.dir.path().join(os(b"none\xff")),
    ] {
        let error = GitHistory::open(&path, &Options::default()).unwrap_err();
        assert!(matches!(error, GitError::NotARepository { .. }), "{error}");
    }
    let options = Options {
        git: Path::new("/nonexistent/git").to_path_buf(),
        ..Options::default()
    };
    let error = GitHistory::open(repo.path(), &options).unwrap_err();
    assert!(matches!(error, GitError::NotFound { .. }), "{error}");
}

#[test]
fn a_damaged_repository_is_an_error_with_gits_words() {
    let repo = linear_history();
    let tree = repo.id("HEAD~3^{tree}");
    fs::remove_file(
        repo.path()
            .join(".git/objects")
            .join(&tree[..2])
            .join(&tree[2..]),
    )
    .unwrap();
    let history = repo.history();
    let mut events = history.events().unwrap();
    let error = events.find_map(Result::err).expect("the tree is missing");
    let GitError::Failed { stderr, .. } = &error else {
        panic!("{error}");
    };
    assert!(stderr.contains(&tree), "{stderr}");
    assert!(events.next().is_none());
    assert!(history.changes().is_err());
}

#[cfg(target_os = "linux")]
#[test]
fn no_process_outlives_its_use() {
    let children = || fs::read_to_string("/proc/thread-self/children").unwrap();
    let repo = linear_history();
    let history = repo.history();
    let mut events = history.events().unwrap();
    assert!(events.next().unwrap().is_ok());
    assert_ne!(children(), "");
    drop(events);
    assert_eq!(children(), "");
}
