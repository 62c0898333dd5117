//! What ops-meta asks for once, beside what it wants for ever.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here"
)]

use e2e::{Answer, Base, FakeMeta, FileServer, Package, is_alive};
use serde_json::{Value, json};

/// A host on which alpha 1.0.0 runs.
struct Host {
    meta: FakeMeta,
    base: Base,
    order: Value,
}

impl Host {
    fn new() -> Self {
        let (meta, files) = (FakeMeta::new(), FileServer::new());
        let base = Base::new(&meta.address());
        let order = files.offer(&Package::agent("alpha", "1.0.0"));
        meta.order(std::slice::from_ref(&order));
        base.once().exits(0);
        Self { meta, base, order }
    }

    fn daemon(&self) -> i32 {
        self.base.daemon("alpha", "1.0.0")
    }

    /// Asks for this action from now on, and gives the code that it is answered with, whenever it is asked for.
    #[track_caller]
    fn code_of(&self, action: Value) -> String {
        let before = self.meta.beats().len();
        self.meta.ask(std::slice::from_ref(&self.order), std::slice::from_ref(&action));
        self.base.once();
        self.base.once();
        let beats = self.meta.beats();
        let done =
            beats[before..].iter().flat_map(|beat| beat["actionsDone"].as_array().into_iter().flatten());
        let done: Vec<&Value> = done.collect();
        assert!(!done.is_empty() && done.iter().all(|it| *it == done[0]), "always the same: {done:?}");
        assert_eq!(done[0]["id"], action["id"]);
        done[0]["code"].as_str().unwrap().to_owned()
    }
}

#[test]
fn a_restart_is_done_once_for_each_id() {
    let host = Host::new();
    let mut before = host.daemon();
    for id in [7, 8] {
        assert_eq!(host.code_of(json!({"id": id, "kind": "restart", "agent": "alpha"})), "");
        let after = host.daemon();
        assert!(after != before && !is_alive(before), "it is restarted");
        host.base.once().exits(0);
        assert_eq!(host.daemon(), after, "and not again for the same id");
        before = after;
    }
}

#[test]
fn a_restart_by_the_loop_is_done_once_and_told() {
    let mut host = Host::new();
    let before = host.daemon();
    host.meta
        .ask(std::slice::from_ref(&host.order), &[json!({"id": 7, "kind": "restart", "agent": "alpha"})]);
    host.base.start();
    e2e::wait_for("it is told", e2e::SOON, || {
        host.meta.last()["actionsDone"] == json!([{"id": 7, "code": ""}])
    });
    let daemons = || host.base.daemons("alpha").remove("1.0.0").unwrap_or_default();
    e2e::wait_for("another daemon runs", e2e::SOON, || daemons().iter().any(|it| *it != before));
    let after = host.daemon();
    host.meta.wait_for_beats(3);
    assert_eq!(host.daemon(), after);
}

#[test]
fn what_only_the_last_beat_of_once_hears_is_done_the_next_time() {
    let host = Host::new();
    let before = host.daemon();
    host.meta.say_first(Answer::Json(json!({"desiredAgents": [host.order]})));
    host.meta
        .ask(std::slice::from_ref(&host.order), &[json!({"id": 7, "kind": "restart", "agent": "alpha"})]);
    host.base.once().exits(0);
    assert_eq!(host.daemon(), before, "nobody is there any more to start it again");
    host.base.once().exits(0);
    assert_ne!(host.daemon(), before);
}

#[test]
fn an_agent_that_is_held_is_not_restarted() {
    let host = Host::new();
    let running = host.daemon();
    host.base.run(&["hold", "alpha", "under examination"]).exits(0);
    assert_eq!(host.code_of(json!({"id": 7, "kind": "restart", "agent": "alpha"})), "held");
    assert_eq!(host.daemon(), running);
}

#[test]
fn an_agent_that_is_not_wanted_to_run_is_not_restarted() {
    let mut host = Host::new();
    host.order["cmd"] = json!("stop");
    assert_eq!(host.code_of(json!({"id": 7, "kind": "restart", "agent": "alpha"})), "unknown_cmd");
    assert!(host.base.daemons("alpha").is_empty());
}

#[test]
fn what_cannot_be_done_is_answered_with_a_code() {
    let host = Host::new();
    let running = host.daemon();
    for (id, kind, agent, code) in [
        (1, "restart", "beta", "bad_name"),
        (2, "restart", "../x", "bad_name"),
        (3, "explode", "alpha", "unknown_cmd"),
        (4, "report", "", ""),
    ] {
        assert_eq!(host.code_of(json!({"id": id, "kind": kind, "agent": agent})), code, "{kind} {agent}");
    }
    assert_eq!(host.daemon(), running);
}
