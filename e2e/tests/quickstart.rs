//! docs/quickstart.md does what it says, command by command.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::{binary, free_port};

/// The commands of the document's first part are at most so many, and take at most so long.
const COMMANDS_MAX: usize = 8;
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// The shell blocks of a part of the document.
fn blocks(part: &str) -> Vec<&str> {
    part.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// Everything in one shell, which stops at the first failure and says where.
fn script(text: &str) -> String {
    let steps = blocks(text).into_iter().map(|block| {
        let name = block.lines().next().unwrap_or_default().replace('\'', "");
        format!("echo '== {name}'\n{block}")
    });
    format!("set -eum\n{CLEAN_UP}\n{}", steps.collect::<Vec<_>>().join("\n"))
}

/// Whatever fails, nothing stays behind.
const CLEAN_UP: &str = r#"
clean_up() {
    kill $(jobs -p) 2>/dev/null || true
    [ ! -s host/ops-updater.pid ] || kill $(cat host/ops-updater.pid) 2>/dev/null || true
    for control in host/hello/*/control; do "$control" stop 2>/dev/null || true; done
}
trap clean_up EXIT"#;

#[test]
fn eight_commands_lead_from_nothing_to_an_upgraded_host() {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/quickstart.md")).unwrap();
    let (first, _) = text.split_once("\n## ").unwrap();
    // The path is no command of it.
    assert!(blocks(first).len() <= COMMANDS_MAX + 1);

    let port = free_port();
    let text = text.replace("127.0.0.1:2000", &format!("127.0.0.1:{port}"));
    // Where the programs are built to is this repository's business.
    let programs = binary("ops-meta").parent().unwrap().display().to_string();
    let text = text.replace("$REPOSITORY/dist", &programs);
    let folder = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let output = Command::new("bash")
        .args(["-c", &script(&text)])
        .current_dir(folder.path())
        .env("OPS_META_URL", format!("http://127.0.0.1:{port}"))
        .output()
        .unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    assert!(begun.elapsed() < LONGEST);
    for expected in [
        "hello 0.1.0 runs on 1 host",
        "hello 0.2.0 runs on 1 host",
        "told to run version 0.2.0",
        "policy.changed",
    ] {
        assert!(said.contains(expected), "{expected} is not in:\n{said}");
    }
}
