//! `ops-meta event`, and lists with nothing in them.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::command_line::{asking, fake, run};
use crate::support::{Server, config_with};

#[test]
fn a_table_of_events_says_in_words_what_changed() {
    let mut config = config_with(json!({}));
    let server = Server::start(&config);
    server.wait_for_log(&["event=first_token"]);
    config["agents"][0]["default"]["version"] = json!("1.0.7");
    server.configure(&config);
    assert_eq!(server.get("/config/reload").json()["msg"], "success");
    server.admin(&["token", "create", "alice", "--role", "viewer", "--expires", "30d"]).ok();
    let table = server.admin(&["event", "list"]).ok().out;
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].ends_with("  CHANGE") && !table.contains('{'), "{table}");
    // As `token list` shows it, and not as a number.
    assert!(lines[1].contains("  expires=20") && lines[1].ends_with(" name=alice role=viewer"), "{table}");
    assert!(lines[2].contains("  falcon-agent.version=1.0.0 -> 1.0.7"), "{table}");
    let raw = server.admin(&["event", "list", "-o", "json", "--limit", "1"]).ok().objects();
    assert!(raw[0]["after"]["expires"].is_i64(), "{raw:?}");
}

#[test]
fn an_empty_table_is_told_to_be_one() {
    let empty = || json!({"hosts": [], "tokens": [], "events": [], "next": null}).to_string();
    let url = fake(move |_| ("200 OK", "", empty()));
    for (noun, told) in [("host", "no hosts\n"), ("token", "no tokens\n"), ("event", "no events\n")] {
        let said = run(&mut asking(&url, &[noun, "list"])).ok();
        assert_eq!((said.out.as_str(), said.err.as_str()), ("", told));
        let said = run(&mut asking(&url, &[noun, "list", "-o", "json"])).ok();
        assert_eq!((said.out.as_str(), said.err.as_str()), ("", ""));
    }
}

#[test]
fn who_follows_ends_soon_after_nobody_reads_any_more() {
    let server = Server::serve(tempfile::tempdir().unwrap());
    let mut following = server.command(&["event", "list", "--follow"]);
    let mut child = following.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("ID"));
    drop(lines);
    let end = Instant::now() + Duration::from_secs(10);
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() > end => child.kill().unwrap(),
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    assert_eq!(status.code(), Some(0), "no event came, and it ended all the same");
}
