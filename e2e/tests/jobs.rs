//! Jobs of ops-meta, as the real updater does them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on ends here"
)]

use e2e::{Base, DurableMeta, Package, SOON, is_alive, wait_for};
use serde_json::Value;

const SOON_OVER: &[&str] = &["--interval", "1s", "--timeout", "1m"];

/// host-1, on which alpha 1.0.0 runs.
fn host() -> (DurableMeta, Base) {
    let meta = DurableMeta::with(&[&Package::agent("alpha", "1.0.0")]);
    let mut base = meta.host_with(&meta.host_token("host-1"));
    base.start();
    meta.wait_for_agent("1.0.0 runs", |it| it["status"] == "started" && it["phase"] == "idle");
    (meta, base)
}

fn make(meta: &DurableMeta, words: &[&str]) -> String {
    meta.done(&[&["job"], words].concat()).trim().to_owned()
}

/// What is known of host-1 in a job.
fn of_host(meta: &DurableMeta, id: &str) -> Value {
    serde_json::from_str(&meta.done(&["job", "hosts", id, "-o", "json"])).unwrap()
}

/// The daemon that runs instead of this one.
fn restarted(base: &Base, before: i32) -> i32 {
    wait_for("another daemon runs", SOON, || {
        base.daemons("alpha").get("1.0.0").is_some_and(|all| all.len() == 1 && !all.contains(&before))
    });
    assert!(!is_alive(before));
    base.daemon("alpha", "1.0.0")
}

/// When host-1 was last heard.
fn heard(meta: &DurableMeta) -> i64 {
    meta.host()["lastSeen"].as_i64().unwrap()
}

#[test]
fn a_restart_is_done_once_and_told() {
    let (meta, base) = host();
    let before = base.daemon("alpha", "1.0.0");
    let id = make(&meta, &[&["restart", "alpha", "host-1", "--wait"][..], SOON_OVER].concat());
    let of_host = of_host(&meta, &id);
    assert_eq!((&of_host["state"], &of_host["code"]), (&Value::from("done"), &Value::Null));
    assert!(of_host["told"].as_i64() <= of_host["answered"].as_i64(), "{of_host}");

    let after = restarted(&base, before);
    // It is heard again, twice, and is not restarted again.
    for _ in 0..2 {
        let last = heard(&meta);
        wait_for("it is heard again", SOON, || heard(&meta) > last);
    }
    assert_eq!(base.daemon("alpha", "1.0.0"), after);
}

#[test]
fn what_ops_meta_forgot_is_answered_again_and_not_done_again() {
    let (mut meta, mut base) = host();
    let before = base.daemon("alpha", "1.0.0");
    base.stop();
    let id = make(&meta, &["restart", "alpha", "host-1"]);
    let (data, backup) = (meta.data(), meta.data().with_file_name("backup"));
    let (data, backup) = (data.to_str().unwrap(), backup.to_str().unwrap());
    meta.done(&["backup", "--data", data, backup]);
    base.start();
    meta.done(&[&["job", "wait", &id][..], SOON_OVER].concat());
    let after = restarted(&base, before);

    // As if it had been killed before anything of that was written.
    meta.end();
    meta.done(&["restore", "--data", data, backup]);
    meta.start();
    assert_eq!(of_host(&meta, &id)["answered"], Value::Null);
    meta.done(&[&["job", "wait", &id][..], SOON_OVER].concat());
    assert_eq!(of_host(&meta, &id)["state"], "done");
    assert_eq!(base.daemon("alpha", "1.0.0"), after);
}

#[test]
fn what_a_host_cannot_do_it_says() {
    let (meta, base) = host();
    let running = base.daemon("alpha", "1.0.0");
    base.run(&["hold", "alpha", "under examination"]).exits(0);
    for (agent, code) in [("alpha", "held"), ("beta", "bad_name")] {
        let said = meta.run(&[&["job", "restart", agent, "host-1", "--wait"][..], SOON_OVER].concat());
        let err = String::from_utf8(said.stderr).unwrap();
        assert_eq!(said.status.code(), Some(1), "{err}");
        assert!(err.contains(&format!("of 1 host 1 failed ({code} 1)")), "{err}");
    }
    make(&meta, &[&["report", "host-1", "--wait"][..], SOON_OVER].concat());
    assert_eq!(base.daemon("alpha", "1.0.0"), running);
}
