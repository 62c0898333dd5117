//! A broken answer is an error of that beat: never a crash, never "stop".

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here"
)]

use e2e::{Answer, Base, FakeMeta, FileServer, Package, changes, error_code, snapshot};
use serde_json::{Value, json};

/// A host on which alpha 1.0.0 runs.
struct Host {
    meta: FakeMeta,
    files: FileServer,
    base: Base,
    running: i32,
}

impl Host {
    fn new() -> Self {
        let (meta, files) = (FakeMeta::new(), FileServer::new());
        let mut base = Base::new(&meta.address());
        base.set("answerTimeoutSecs", 1);
        meta.order(&[files.offer(&Package::agent("alpha", "1.0.0"))]);
        base.once().exits(0);
        let running = base.daemon("alpha", "1.0.0");
        Self { meta, files, base, running }
    }

    /// This answer changes nothing, and `once` ends with `exit` if it matters; the errors of the next beat come back.
    #[track_caller]
    fn hears(&self, answer: Answer, exit: Option<i32>) -> Vec<Value> {
        let before = snapshot(&self.base.agent("alpha"));
        let words = format!("{answer:?}").chars().take(200).collect::<String>();
        self.meta.say(answer);
        let ran = self.base.once();
        assert!(exit.is_none() || ran.code == exit, "{words}: {ran:?}");
        assert_eq!(self.base.daemon("alpha", "1.0.0"), self.running, "{words}");
        assert!(changes(&before, &snapshot(&self.base.agent("alpha"))).is_empty(), "{words}");
        assert_eq!(self.meta.agent("alpha")["status"], "started", "{words}");
        self.meta.last()["errors"].as_array().cloned().unwrap_or_default()
    }

    /// This answer is an error of the beat, with this code.
    #[track_caller]
    fn fails(&self, answer: Answer, code: &str) {
        self.tells(answer, code, Some(1));
    }

    /// This answer is told of in the next beat, with this code.
    #[track_caller]
    fn tells(&self, answer: Answer, code: &str, exit: Option<i32>) {
        let words = format!("{answer:?}").chars().take(200).collect::<String>();
        let errors = self.hears(answer, exit);
        assert!(errors.iter().any(|it| it["code"] == code), "{words}: {errors:?}");
    }
}

fn text(text: &str) -> Answer {
    Answer::Text(text.to_owned())
}

#[test]
fn rubbish_is_an_error_of_the_beat() {
    let host = Host::new();
    let deep = "[".repeat(100_000);
    let texts = [
        "",
        "rubbish",
        "<html></html>",
        "null",
        "true",
        "7",
        "\"started\"",
        "{",
        "{\"desiredAgents\":",
        deep.as_str(),
    ];
    for rubbish in texts {
        host.fails(text(rubbish), "bad_answer");
    }
    host.fails(Answer::Bytes(vec![0xff, 0xfe, 0x00]), "bad_answer");
    host.fails(Answer::Bytes(vec![b' '; 3 << 20]), "bad_answer");
}

#[test]
fn wrong_types_are_an_error_of_the_beat() {
    let host = Host::new();
    for agents in [json!(5), json!("alpha"), json!({"name": "alpha"}), json!(true)] {
        host.tells(Answer::Json(json!({"desiredAgents": agents})), "bad_answer", None);
    }
}

#[test]
fn an_error_message_is_an_error_of_the_beat_and_nothing_else_counts() {
    let host = Host::new();
    let stop = host.files.order(&Package::agent("alpha", "1.0.0"), "stop");
    host.fails(
        Answer::Json(json!({"errorMessage": "hostname is blank", "desiredAgents": [stop]})),
        "bad_answer",
    );
    assert!(host.base.log().contains("hostname is blank"));
}

#[test]
fn an_error_message_that_cannot_be_read_is_one_too() {
    let host = Host::new();
    let stop = host.files.order(&Package::agent("alpha", "1.0.0"), "stop");
    let beta = host.files.offer(&Package::agent("beta", "1.0.0"));
    for message in [json!(5), json!(["no"]), json!({"x": 1}), json!(true)] {
        let answer = json!({"errorMessage": message, "desiredAgents": [stop, beta]});
        host.fails(Answer::Json(answer), "bad_answer");
    }
    assert!(!host.base.agent("beta").exists());
}

#[test]
fn more_agents_than_a_host_can_have_are_an_error_of_the_beat() {
    let host = Host::new();
    let mut agents = vec![host.files.order(&Package::agent("alpha", "1.0.0"), "stop")];
    agents.extend((1..600).map(|it| json!({"name": format!("x{it}"), "cmd": "stop"})));
    host.fails(Answer::Json(json!({"errorMessage": "", "desiredAgents": agents})), "too_large");
}

#[test]
fn a_name_like_that_of_the_updaters_own_files_is_reserved() {
    let mut host = Host::new();
    for name in ["ops-updater.pid.new", "ops-updater.new", "ops-updater.log.1", "cfg.json.new"] {
        let agent = Package::agent(name, "1.0.0");
        let errors = host.hears(Answer::Json(json!({"desiredAgents": [host.files.offer(&agent)]})), None);
        assert!(errors.iter().any(|it| it["code"] == "bad_name"), "{name}: {errors:?}");
        assert!(!host.base.agent(name).exists(), "{name}");
    }
    // What it writes beside its own files is still its to write.
    host.base.start();
    host.meta.wait_for_beats(1);
    assert_eq!(host.base.stop(), Some(0));
}

#[test]
fn an_order_that_cannot_be_carried_out_is_told_and_not_done_in_another_way() {
    let host = Host::new();
    let beta = host.files.offer(&Package::agent("beta", "1.0.0"));
    for (key, value, code) in
        [("runUser", "somebody-else", "account_missing"), ("configFileName", "beta.json", "bad_answer")]
    {
        let mut order = beta.clone();
        order[key] = json!(value);
        host.meta.order(&[order]);
        host.base.once().exits(1);
        let agent = host.meta.agent("beta");
        assert_eq!(error_code(&agent), code, "{agent}");
        assert!(!host.base.has("beta", "1.0.0"), "{key}");
        host.base.run(&["release", "beta"]).exits(0);
    }
}

#[test]
fn a_folder_that_never_was_an_agent_is_not_uninstalled() {
    let host = Host::new();
    let precious = host.base.agent("backups").join("2026/precious");
    std::fs::create_dir_all(precious.parent().unwrap()).unwrap();
    std::fs::write(&precious, "x").unwrap();
    host.meta.order(&[host.files.order(&Package::agent("backups", ""), "uninstall")]);
    host.base.once().exits(0);
    assert!(precious.exists());
}

#[test]
fn an_agent_whose_name_a_file_has_is_told_and_not_downloaded() {
    let host = Host::new();
    std::fs::write(host.base.agent("notes"), "x").unwrap();
    let notes = Package::agent("notes", "1.0.0");
    host.meta.order(&[host.files.offer(&notes)]);
    for _ in 0..2 {
        host.base.once().exits(1);
        assert_ne!(error_code(&host.meta.agent("notes")), "");
    }
    assert_eq!(host.files.asked_tarball(&notes), 0);
    assert_eq!(std::fs::read(host.base.agent("notes")).unwrap(), b"x");
}

#[test]
fn a_server_that_fails_is_an_error_of_the_beat() {
    let host = Host::new();
    for status in [301, 400, 404, 500, 503] {
        host.fails(Answer::Status(status), "http_status");
    }
    host.fails(Answer::Silent, "timeout");
    host.fails(Answer::Closes, "unreachable");
    let broken = host.hears(Answer::Truncated, Some(1));
    assert_eq!(broken.len(), 1, "{broken:?}");
}

#[test]
fn an_answer_of_one_byte_a_second_is_a_timeout() {
    Host::new().fails(Answer::Trickle, "timeout");
}

#[test]
fn nothing_ordered_is_no_change() {
    let host = Host::new();
    for answer in [
        json!({}),
        json!([]),
        json!({"desiredAgents": null}),
        json!({"desiredAgents": []}),
        json!({"errorMessage": null, "desiredAgents": null}),
        json!({"errorMessage": "", "desiredAgents": [], "future": {"x": 1}}),
    ] {
        let errors = host.hears(Answer::Json(answer.clone()), Some(0));
        assert!(errors.is_empty(), "{answer}: {errors:?}");
    }
}

#[test]
fn an_agent_that_is_no_longer_mentioned_is_left_alone() {
    let host = Host::new();
    host.meta.order(&[host.files.offer(&Package::agent("beta", "1.0.0"))]);
    host.base.once().exits(0);
    assert_eq!(host.base.daemon("alpha", "1.0.0"), host.running);
    host.base.daemon("beta", "1.0.0");
}

#[test]
fn a_bare_array_is_read_as_the_desired_agents() {
    let host = Host::new();
    host.meta.say(Answer::Json(json!([host.files.offer(&Package::agent("alpha", "1.0.1"))])));
    host.base.once().exits(0);
    host.base.daemon("alpha", "1.0.1");
}

#[test]
fn a_bad_entry_spoils_only_itself() {
    let host = Host::new();
    let beta = host.files.offer(&Package::agent("beta", "1.0.0"));
    for (at, bad) in [
        json!(null),
        json!(5),
        json!("x"),
        json!({}),
        json!({"name": 5}),
        json!({"name": "alpha", "version": {}, "cmd": "stop"}),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = json!({"errorMessage": "", "desiredAgents": [bad, beta]});
        host.meta.say(Answer::Json(answer.clone()));
        host.base.once();
        host.base.daemon("beta", "1.0.0");
        if at < 5 {
            assert_eq!(host.base.daemon("alpha", "1.0.0"), host.running, "{answer}");
        }
    }
}

#[test]
fn an_agent_that_is_ordered_twice_and_differently_is_left_alone() {
    let host = Host::new();
    let order = |version: &str, cmd: &str| host.files.order(&Package::agent("alpha", version), cmd);
    for orders in [
        [order("1.0.0", "start"), order("1.0.0", "stop")],
        [order("1.0.0", "start"), order("1.0.1", "start")],
        [order("1.0.0", "uninstall"), order("1.0.0", "start")],
    ] {
        let errors = host.hears(Answer::Json(json!({"desiredAgents": orders})), None);
        assert!(errors.iter().any(|it| it["agent"] == "alpha" && it["code"] == "bad_answer"), "{errors:?}");
    }
}

#[test]
fn the_loop_outlives_every_answer_and_beats_on() {
    let mut host = Host::new();
    // Failed beats come further and further apart, the first of them soon.
    host.base.set("interval", 1).start();
    for answer in [text("rubbish"), Answer::Closes, Answer::Status(500)] {
        host.meta.say(answer);
        host.meta.wait_for_beats(1);
    }
    host.meta.order(&[host.files.offer(&Package::agent("alpha", "1.0.1"))]);
    e2e::wait_for("it is upgraded", std::time::Duration::from_secs(60), || {
        host.base.version("alpha").as_deref() == Some("1.0.1")
    });
    assert!(host.base.is_running());
}

#[test]
fn a_beat_that_is_asked_to_wait_waits() {
    let mut host = Host::new();
    host.meta.say(Answer::RetryAfter("3600".to_owned()));
    host.base.start();
    host.meta.wait_for_beats(1);
    e2e::wait_for("the answer is logged", e2e::SOON, || host.base.log().contains("beat_failed"));
    let beats = host.meta.beats().len();
    // Two intervals: the longest that a beat could be away by itself, with time to spare.
    std::thread::sleep(std::time::Duration::from_secs(5));
    assert_eq!(host.meta.beats().len(), beats);
}
