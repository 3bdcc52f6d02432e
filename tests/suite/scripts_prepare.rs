//! What `scripts/prepare.sh` says on a machine that cannot compile Graven.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const TOOLS: [&str; 5] = ["cargo", "rustc", "gcc", "g++", "git"];

/// Runs the script where there are only these tools, and gives what it says on standard error.
fn prepare(tools: &[&str], rustc: &str) -> String {
    let path = tempfile::tempdir().unwrap();
    for tool in tools {
        let file = path.path().join(tool);
        std::fs::write(&file, format!("#!/bin/sh\necho '{tool} {rustc}'\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/prepare.sh");
    let output = Command::new("/bin/bash")
        .arg(script)
        .env("PATH", path.path())
        .output()
        .unwrap();
    assert!(!output.status.success(), "{output:?}");
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn everything_that_is_missing_is_named_at_once() {
    let said = prepare(&["gcc", "git"], "1.99.0");
    assert!(said.contains("missing: cargo rustc g++\n"), "{said}");
    assert!(said.contains("build-essential"), "{said}");
    assert!(said.contains("rustup.rs"), "{said}");
    let said = prepare(&["cargo", "rustc", "gcc", "g++"], "1.99.0");
    assert!(said.contains("missing: git\n"), "{said}");
    assert!(!said.contains("rustup.rs"), "{said}");
}

#[test]
fn a_compiler_that_is_too_old_is_named() {
    let manifest = include_str!("../../Cargo.toml");
    let needed = manifest.split("rust-version = \"").nth(1).unwrap();
    let needed = needed.split('"').next().unwrap();
    for found in ["1.63.0 (4b91a6ea7 2022-08-08)", "1.85.0"] {
        let said = prepare(&TOOLS, found);
        let short: String = found.split('.').take(2).collect::<Vec<_>>().join(".");
        assert!(
            said.contains(&format!("rustc {short} is too old")),
            "{said}"
        );
        assert!(said.contains(&format!("{needed} or newer")), "{said}");
    }
}
