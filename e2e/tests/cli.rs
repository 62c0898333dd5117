//! The command line: what it prints, what it changes, how it ends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here"
)]

use e2e::{
    Answer, Base, FakeMeta, FileServer, Package, SOON, Sick, changes, children, error_code, is_alive, kill,
    snapshot, wait_for,
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// A host on which alpha 1.0.0 runs.
fn with_alpha() -> (FakeMeta, FileServer, Base) {
    let (meta, files) = (FakeMeta::new(), FileServer::new());
    let base = Base::new(&meta.address());
    meta.order(&[files.offer(&Package::agent("alpha", "1.0.0"))]);
    base.once().exits(0);
    (meta, files, base)
}

fn agent<'a>(all: &'a Value, key: &str, name: &str) -> &'a Value {
    all["agents"].as_array().unwrap().iter().find(|it| it[key] == name).unwrap()
}

#[test]
fn wrong_use_ends_with_2_and_a_sentence() {
    let (_meta, _files, base) = with_alpha();
    for words in [vec!["fly"], vec!["hold"], vec!["status", "now"], vec!["--fast"], vec!["hold", "../x"]] {
        let ran = base.run(&words).exits(2);
        assert!(ran.stdout.is_empty() && ran.stderr.contains("--help"), "{ran:?}");
    }
    base.run_bare(&["--help"]).exits(0);
    base.run_bare(&["--version"]).exits(0);
}

#[test]
fn a_configuration_that_cannot_be_used_ends_with_2_and_lists_every_fault() {
    let (_meta, _files, mut base) = with_alpha();
    base.set("interval", 0).set("trialSecs", "soon").set("desiredAgent", "../x");
    for words in [vec!["once"], vec!["status"], vec![], vec!["check"]] {
        let ran = base.run(&words).exits(2);
        ["interval", "trialSecs", "desiredAgent"]
            .iter()
            .for_each(|key| assert!(ran.stderr.contains(key), "{ran:?}"));
    }
    let json = base.run(&["check", "--json"]).exits(2).json();
    assert_eq!((&json["ok"], json["faults"].as_array().unwrap().len()), (&json!(false), 3));
    std::fs::write(base.cfg_file(), "{").unwrap();
    base.run(&["status"]).exits(2);
    std::fs::remove_file(base.cfg_file()).unwrap();
    base.run(&["status"]).exits(2);
}

#[test]
fn check_tells_what_is_odd() {
    let (_meta, _files, mut base) = with_alpha();
    let ran = base.run(&["check", "--json"]).exits(0);
    assert_eq!((&ran.json()["ok"], &ran.json()["faults"]), (&json!(true), &json!([])));
    base.set("fromTheFuture", 1);
    assert!(base.run(&["check"]).exits(1).stdout.contains("fromTheFuture"));
    base.unset("fromTheFuture").set("caFile", "missing.pem");
    assert!(base.run(&["check"]).exits(1).stdout.contains("missing.pem"));
}

#[test]
fn status_shows_how_the_agents_are() {
    let (meta, files, base) = with_alpha();
    let ran = base.run(&["status"]).exits(0);
    assert!(
        ran.stdout.contains("alpha") && ran.stdout.contains("1.0.0") && ran.stdout.contains("started"),
        "{ran:?}"
    );
    kill(base.daemon("alpha", "1.0.0"));
    let all = base.run(&["status", "--json"]).json();
    assert_eq!(all["hostname"], "host-1");
    assert_eq!(
        (&agent(&all, "name", "alpha")["version"], &agent(&all, "name", "alpha")["status"]),
        (&json!("1.0.0"), &json!("stoped"))
    );
    meta.order(&[files.order(&Package::agent("alpha", "2.0.0"), "start")]);
    base.once().exits(1);
    let all = base.run(&["status", "--json"]).exits(1).json();
    assert_eq!(error_code(agent(&all, "name", "alpha")), "md5_missing");
    assert!(base.run(&["status"]).exits(1).stdout.contains("md5_missing"));
}

#[test]
fn status_of_a_host_without_agents_says_so() {
    let meta = FakeMeta::new();
    let base = Base::new(&meta.address());
    assert!(base.run(&["status"]).exits(0).stdout.contains("no agents"));
    assert!(meta.beats().is_empty());
}

#[test]
fn status_tells_since_when_and_why_ops_meta_was_not_heard() {
    let (meta, _files, base) = with_alpha();
    assert_eq!(base.run(&["status", "--json"]).exits(0).json()["unheard"], Value::Null);
    meta.say(Answer::Status(401));
    base.once().exits(1);
    let told = base.run(&["status"]).exits(1).stdout;
    let line = told.lines().find(|it| it.starts_with("server: not heard since 20")).unwrap();
    assert!(line.contains("Z: http_status: ") && line.contains("answered 401"), "{told}");
    let first = base.run(&["status", "--json"]).exits(1).json()["unheard"].clone();
    assert_eq!(error_code(&first), "http_status");
    assert!(first["since"].as_i64().unwrap() > 1_700_000_000, "{first}");
    let metrics = || std::fs::read_to_string(base.path().join(".ops-updater/metrics.prom")).unwrap();
    assert!(metrics().contains("\nops_updater_meta_error{code=\"http_status\"} 1\n"), "{}", metrics());

    meta.say(Answer::Text("rubbish".to_owned()));
    base.once().exits(1);
    let second = base.run(&["status", "--json"]).exits(1).json()["unheard"].clone();
    assert_eq!((error_code(&second), &second["since"]), ("bad_answer", &first["since"]));

    meta.order(&[]);
    base.once().exits(0);
    assert_eq!(base.run(&["status", "--json"]).exits(0).json()["unheard"], Value::Null);
    assert!(!base.run(&["status"]).exits(0).stdout.contains("server:"));
    assert!(!metrics().contains("\nops_updater_meta_error{"), "{}", metrics());
}

#[test]
fn neither_good_beats_nor_those_that_fail_alike_write_anything() {
    let (meta, _files, mut base) = with_alpha();
    let own = base.path().join(".ops-updater");
    // When a file was written, and as which: a new one takes the place of the old.
    let written = || {
        let mut all: Vec<_> = std::fs::read_dir(&own).unwrap().flatten().map(|it| it.path()).collect();
        all.retain(|it| it.is_file());
        all.sort();
        let stamp = |it: std::path::PathBuf| {
            let file = it.metadata().unwrap();
            (it, std::os::unix::fs::MetadataExt::ino(&file), file.modified().unwrap())
        };
        let folder = own.metadata().unwrap().modified().unwrap();
        (folder, all.into_iter().map(stamp).collect::<Vec<_>>())
    };
    base.set("interval", 1).start();
    meta.wait_for_beats(2);
    let idle = written();
    meta.wait_for_beats(2);
    assert_eq!(written(), idle);

    meta.say(Answer::Status(500));
    let metrics = || std::fs::read_to_string(own.join("metrics.prom")).unwrap();
    // The last that is written of it.
    wait_for("it is noted", SOON, || metrics().contains("ops_updater_meta_error{"));
    assert!(own.join("unheard.json").is_file());
    let away = written();
    meta.wait_for_beats(2);
    assert_eq!(written(), away);
    assert_eq!(base.stop(), Some(0));
}

#[test]
fn status_lists_holds_of_agents_that_are_not_installed() {
    let (meta, _files, base) = with_alpha();
    base.run(&["hold", "beta", "not", "on", "this", "host"]).exits(0);
    let all = base.run(&["status", "--json"]).exits(0).json();
    let beta = agent(&all, "name", "beta");
    assert_eq!((error_code(beta), &beta["phase"], &beta["version"]), ("held", &json!("held"), &json!("")));
    assert!(base.run(&["status"]).exits(0).stdout.contains("held on this host: not on this host"));
    base.once().exits(0);
    assert_eq!(error_code(&meta.agent("beta")), "held");

    base.run(&["release", "beta"]).exits(0);
    let all = base.run(&["status", "--json"]).exits(0).json();
    assert_eq!(all["agents"].as_array().unwrap().len(), 1, "{all}");
}

#[test]
fn a_hold_does_not_hide_what_failed_before_it() {
    let (meta, files, base) = with_alpha();
    meta.order(&[files.offer(&Package::sick("alpha", "1.0.1", Sick::StartFails))]);
    base.once().exits(1);
    let failed = meta.agent("alpha");
    assert_eq!(error_code(&failed), "start_failed");
    let sentence = failed["error"].as_str().unwrap();

    base.run(&["hold", "alpha", "under", "examination"]).exits(0);
    let beside =
        |it: &str| it.contains("under examination") && it.contains(&format!("start_failed: {sentence}"));

    let all = base.run(&["status", "--json"]).exits(0).json();
    let held = agent(&all, "name", "alpha");
    assert_eq!((error_code(held), &held["phase"]), ("held", &json!("held")));
    assert!(beside(held["error"].as_str().unwrap()), "{held}");
    assert!(beside(&base.run(&["status"]).exits(0).stdout));
    base.once().exits(0);
    let told = meta.agent("alpha");
    assert_eq!((error_code(&told), &told["phase"]), ("held", &json!("held")));
    assert!(beside(told["error"].as_str().unwrap()), "{told}");
}

#[test]
fn what_does_not_start_or_stay_is_told_with_where_its_output_is() {
    for (sick, code) in [
        (Sick::StartFails, "start_failed"),
        (Sick::SaysNotStarted, "start_timeout"),
        (Sick::DiesSoon, "trial_failed"),
    ] {
        let (meta, files, mut base) = with_alpha();
        base.set("startTimeoutSecs", 3).set("trialSecs", 8);
        meta.order(&[files.offer(&Package::sick("alpha", "1.0.1", sick))]);
        base.once().exits(1);
        let alpha = meta.agent("alpha");
        let error = alpha["error"].as_str().unwrap();
        assert_eq!(
            (error_code(&alpha), error.matches(".ops-updater/out/alpha.log").count()),
            (code, 1),
            "{alpha}"
        );
        assert!(base.path().join(".ops-updater/out/alpha.log").is_file());
    }
}

#[test]
fn plan_shows_what_would_happen_and_changes_nothing() {
    let (meta, files, base) = with_alpha();
    base.run(&["plan"]).exits(0);
    meta.order(&[
        files.offer(&Package::agent("alpha", "1.0.1")),
        files.offer(&Package::agent("beta", "1.0.0")),
    ]);
    let (before, asked) = (snapshot(&base.path()), files.requests());
    let plan = base.run(&["plan", "--json"]).exits(10).json();
    assert_eq!(plan["asked"], true);
    for name in ["alpha", "beta"] {
        let it = agent(&plan, "agent", name);
        assert!(it["action"].is_string() && !it["why"].as_str().unwrap().is_empty(), "{plan}");
    }
    assert!(base.run(&["plan"]).exits(10).stdout.contains("beta"));
    assert_eq!(changes(&before, &snapshot(&base.path())), Vec::<std::path::PathBuf>::new());
    assert_eq!(files.requests(), asked);
}

#[test]
fn plan_on_a_fresh_host_leaves_it_fresh() {
    let (meta, files) = (FakeMeta::new(), FileServer::new());
    let base = Base::new(&meta.address());
    meta.order(&[files.offer(&Package::agent("alpha", "1.0.0"))]);
    base.run(&["plan"]).exits(10);
    assert!(snapshot(&base.path()).is_empty());
}

#[test]
fn plan_takes_the_last_answer_when_ops_meta_is_away_and_says_so() {
    let (meta, _files, base) = with_alpha();
    meta.say(Answer::Status(500));
    let ran = base.run(&["plan", "--json"]).exits(1);
    assert_eq!(ran.json()["asked"], false);
    assert!(ran.stderr.contains("last"), "{ran:?}");
}

#[test]
fn plan_says_why_not() {
    let (meta, _files, base) = with_alpha();
    meta.order(&[json!({"name": "alpha", "version": "1.0.0", "cmd": "explode"})]);
    let plan = base.run(&["plan", "--json"]).exits(0).json();
    let alpha = agent(&plan, "agent", "alpha");
    assert_eq!((&alpha["action"], &alpha["errorCode"]), (&Value::Null, &json!("unknown_cmd")), "{plan}");
}

#[test]
fn a_held_agent_is_left_alone_until_it_is_released() {
    let (meta, files, base) = with_alpha();
    let running = base.daemon("alpha", "1.0.0");
    base.run(&["hold", "alpha", "under", "examination"]).exits(0);
    meta.order(&[files.offer(&Package::agent("alpha", "1.0.1"))]);
    base.once().exits(0);
    assert_eq!(base.daemon("alpha", "1.0.0"), running);
    let alpha = meta.agent("alpha");
    assert_eq!((error_code(&alpha), &alpha["phase"]), ("held", &json!("held")));
    assert!(alpha["error"].as_str().unwrap().contains("under examination"));
    base.run(&["plan"]).exits(0);
    base.run(&["status"]).exits(0);
    kill(running);
    base.once().exits(0);
    assert!(base.daemons("alpha").is_empty(), "a held agent is not started either");
    base.run(&["release", "alpha"]).exits(0);
    base.once().exits(0);
    base.daemon("alpha", "1.0.1");
    assert_eq!(error_code(&meta.agent("alpha")), "");
}

#[test]
fn what_is_not_here_cannot_be_released_and_no_file_of_the_updater_can_be_held() {
    let (_meta, _files, base) = with_alpha();
    for words in [["release", "beta"], ["hold", "cfg.json"], ["hold", "ops-updater.pid"]] {
        base.run(&words).exits(1);
    }
    assert!(!base.agent("beta").exists());
}

#[test]
fn sigterm_ends_the_updater_and_leaves_agents_running() {
    let (meta, _files, mut base) = with_alpha();
    let running = base.daemon("alpha", "1.0.0");
    base.start();
    meta.wait_for_beats(1);
    assert_eq!(base.stop(), Some(0));
    assert!(is_alive(running));
    assert!(!base.path().join("ops-updater.pid").exists());
    base.once().exits(0);
}

#[test]
fn sigterm_ends_an_updater_that_downloads_and_its_children() {
    let (meta, files, mut base) = with_alpha();
    let running = base.daemon("alpha", "1.0.0");
    let next = Package::agent("alpha", "1.0.1");
    let order = files.offer(&next);
    files.spoil_tarball(&next, e2e::Fault::Stall);
    meta.order(&[order]);
    // By itself the download, or a wait as between stop and start, would take longer than anybody waits here.
    base.set("answerTimeoutSecs", 600).set("stopTimeoutSecs", 600).set("startTimeoutSecs", 600).start();
    wait_for("it downloads", SOON, || files.asked_tarball(&next) > 0);
    let children = children(base.updater_pid());
    assert!(children.iter().any(|it| is_alive(*it)), "{children:?}");

    assert_eq!(base.stop(), Some(0));

    wait_for("its children are gone", SOON, || children.iter().all(|it| !is_alive(*it)));
    assert_eq!(base.daemon("alpha", "1.0.0"), running);
}

#[test]
fn sighup_reads_the_configuration_again_and_refuses_a_bad_one() {
    let (meta, _files, mut base) = with_alpha();
    base.start();
    meta.wait_for_beats(1);
    base.set("hostname", "host-2");
    base.signal(Signal::SIGHUP);
    wait_for("the new name", SOON, || meta.last()["hostname"] == "host-2");
    base.set("hostname", "host-3").set("interval", 0);
    base.signal(Signal::SIGHUP);
    wait_for("the refusal is logged", SOON, || base.log().contains("not_reloaded"));
    meta.wait_for_beats(2);
    assert_eq!(meta.last()["hostname"], "host-2");
    assert!(base.is_running());
}

#[test]
fn a_configuration_that_nobody_writes_keeps_no_beat_waiting() {
    let (meta, _files, mut base) = with_alpha();
    base.set("interval", 1).start();
    meta.wait_for_beats(1);
    std::fs::remove_file(base.cfg_file()).unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(base.cfg_file()).status().unwrap();
    assert!(fifo.success());

    base.signal(Signal::SIGHUP);

    wait_for("it is refused", SOON, || base.log().contains("event=not_reloaded"));
    meta.wait_for_beats(2);
    assert_eq!(base.stop(), Some(0));
}

#[test]
fn a_log_that_nobody_reads_keeps_no_beat_waiting() {
    let (meta, _files, mut base) = with_alpha();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let stderr = writer.try_clone().unwrap();
    // Fills the pipe and waits in vain for room, until the reader is gone.
    std::thread::spawn(move || std::io::Write::write_all(&mut writer, &[b'x'; 1 << 20]));
    base.set("debug", true).set("interval", 1).start_writing_to(stderr);

    meta.wait_for_beats(3);

    assert_eq!(base.stop(), Some(0));
    drop(reader);
}

#[test]
fn the_log_has_a_line_per_event() {
    let (_meta, _files, base) = with_alpha();
    let log = base.log();
    assert!(
        log.lines()
            .all(|line| line.starts_with("time=") && line.contains(" level=") && line.contains(" event=")),
        "{log}"
    );
    assert!(log.lines().any(|line| line.contains("event=switched") && line.contains("agent=alpha")), "{log}");
}

#[test]
fn labels_and_what_else_a_host_is_are_in_every_beat() {
    let (meta, _files, mut base) = with_alpha();
    base.set("labels", json!({"idc": "lg"}));
    base.once().exits(0);
    let beat = meta.last();
    assert_eq!(
        (&beat["labels"]["idc"], &beat["os"], &beat["intervalSecs"]),
        (&json!("lg"), &json!("linux"), &json!(10))
    );
    assert!(beat["arch"].is_string() && beat["updaterVersion"].is_string());
}
