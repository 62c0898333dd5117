//! The real binary against nobody.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::net::TcpListener;
use std::process::{Command, Output};

/// Where nobody listens.
fn dead() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn run(server: &str, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleet-sim"));
    command.args(["--server", server, "--hosts", "5", "--duration", "1", "--every", "0", "--json"]);
    command.args(more).output().unwrap()
}

#[test]
fn no_answer_at_all_is_a_failure_and_reported() {
    let server = dead();
    for way in [&["--interval", "1"][..], &["--saturate", "--beats", "20"]] {
        let output = run(&server, way);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&server) && said.contains("no beat was answered"), "{said}");
        assert!(
            String::from_utf8(output.stdout).unwrap().contains("\"connection refused\""),
            "the report is there"
        );
    }
}
