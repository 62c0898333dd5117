//! Hosts with tokens, an ops-meta that is restarted under them, and what operators see of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on ends here"
)]

use e2e::{DurableMeta, Package, SOON, Sick, kill, wait_for};
use serde_json::{Value, json};

fn steps(agent: &Value) -> Vec<&str> {
    agent["steps"].as_array().into_iter().flatten().filter_map(|it| it["step"].as_str()).collect()
}

/// Whether something of alpha became this, in a line that is written.
fn has_history(host: &Value, what: &str, after: &str) -> bool {
    let mut lines = host["history"].as_array().into_iter().flatten();
    lines.any(|line| line["agent"] == "alpha" && line["what"] == what && line["after"] == after)
}

#[test]
fn a_host_is_heard_by_its_own_token_and_by_no_other() {
    let meta = DurableMeta::without_orders();
    let base = meta.host_with("ops_wrong");
    for (token, status) in [("ops_wrong", "401"), (&*meta.host_token("host-2"), "403")] {
        base.show_token(token);
        let once = base.once().exits(1);
        let said =
            once.stderr.lines().find(|line| line.contains("code=http_status") && line.contains(status));
        assert!(said.is_some_and(|line| line.contains("token")), "{}", once.stderr);
        let plan = base.run(&["plan"]).exits(1);
        assert!(plan.stderr.contains(status) && plan.stderr.contains("token"), "{plan:?}");
        assert!(!once.stderr.contains(token.trim()), "a token is nobody's to read: {}", once.stderr);
    }
    assert_eq!(meta.host(), Value::Null);

    base.show_token(&meta.host_token("host-1"));
    base.once().exits(0);
    assert_eq!(meta.host()["state"], "new");
}

#[test]
fn an_ops_meta_that_was_killed_knows_its_hosts_and_tokens() {
    let package = Package::agent("alpha", "1.0.0");
    let mut meta = DurableMeta::with(&[&package]);
    let token = meta.host_token("host-1");
    let mut base = meta.host_with(&token);
    base.start();
    let before = meta.wait_for_agent("1.0.0 runs", |it| it["status"] == "started");
    wait_for("that is written", SOON, || has_history(&meta.host(), "status", "started"));

    meta.end();
    // By its last answer it goes on as it was told.
    kill(base.daemon("alpha", "1.0.0"));
    let base_log = |what: &str, from: usize| base.log()[from..].contains(what);
    wait_for("it hears nothing", SOON, || base_log("code=unreachable", 0));
    let mark = base.log().len();
    wait_for("the agent runs again", SOON, || !base.daemons("alpha").is_empty());
    base.daemon("alpha", "1.0.0");

    meta.start();
    let after = meta.host();
    assert_eq!((&after["firstSeen"], &after["machineId"]), (&before["firstSeen"], &before["machineId"]));
    assert_eq!(after["agents"][0]["version"], "1.0.0");
    let last = after["lastSeen"].as_i64().unwrap();
    wait_for("it is heard again", SOON, || meta.host()["lastSeen"].as_i64().unwrap() > last);
    assert!(!base_log("code=http_status", mark), "its token counts on: {}", base.log());
    let (_, tokens) = meta.command(&["token", "list", "-o", "json"]);
    assert_eq!(tokens.lines().count(), 2, "{tokens}");
}

#[test]
fn operators_see_what_an_upgrade_did_and_why_one_failed() {
    let (first, second) = (Package::agent("alpha", "1.0.0"), Package::agent("alpha", "1.0.1"));
    let bad = Package::sick("alpha", "1.0.2", Sick::DiesAtOnce);
    let meta = DurableMeta::with(&[&first, &second, &bad]);
    let mut base = meta.host_with(&meta.host_token("host-1"));
    base.set("startTimeoutSecs", 3).start();
    meta.wait_for_agent("1.0.0 runs", |it| it["status"] == "started");

    meta.order(&second);
    let host = meta.wait_for_agent("1.0.1 runs, and its steps are told", |it| {
        it["version"] == "1.0.1" && it["phase"] == "idle" && steps(it).contains(&"stop")
    });
    assert_eq!(host["current"], "yes", "{host}");
    for step in ["fetch", "verify", "unpack", "stop", "start"] {
        assert!(steps(&host["agents"][0]).contains(&step), "{step} is not told: {host}");
    }
    wait_for("the change is history", SOON, || has_history(&meta.host(), "version", "1.0.1"));

    meta.order(&bad);
    let host = meta.wait_for_agent("1.0.2 is taken back", |it| {
        it["version"] == "1.0.1" && it["status"] == "started" && it["error"].is_string()
    });
    let agent = &host["agents"][0];
    assert_eq!((&host["current"], &agent["desiredVersion"]), (&json!("failed"), &json!("1.0.2")), "{host}");
    assert!(agent["errorCode"].is_string() && agent["attempt"].is_u64(), "{host}");
    assert_eq!(host["desired"][0]["current"], "failed", "{host}");
    let (_, text) = meta.command(&["host", "show", "host-1"]);
    assert!(text.contains(agent["errorCode"].as_str().unwrap()), "{text}");
    let (_, list) = meta.command(&["host", "list", "--current", "failed", "-o", "json"]);
    assert!(list.contains("host-1"), "{list}");
}
