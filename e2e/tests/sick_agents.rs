//! A sick agent hurts nobody but itself, and never do two of its versions run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here"
)]

use e2e::{
    Base, FakeMeta, FileServer, Package, SOON, Sick, agent_script, below, error_code, is_alive, script,
    wait_for,
};
use serde_json::{Value, json};

struct Host {
    meta: FakeMeta,
    files: FileServer,
    base: Base,
}

impl Host {
    /// A host on which this package of alpha was ordered.
    fn with(package: &Package) -> Self {
        let (meta, files) = (FakeMeta::new(), FileServer::new());
        let base = Base::impatient(&meta.address());
        let host = Self { meta, files, base };
        host.order(package);
        host
    }

    fn order(&self, package: &Package) {
        self.meta.order(&[self.files.offer(package)]);
        self.base.once();
    }

    fn alpha(&self) -> Value {
        self.meta.agent("alpha")
    }
}

/// The script that is right becomes this one, as if the agent got sick.
fn becomes(base: &Base, name: &str, version: &str, sick: Sick) {
    use std::os::unix::fs::PermissionsExt;
    let path = base.agent(name).join(version).join("control");
    let new = path.with_extension("new");
    std::fs::write(&new, script(&[sick])).unwrap();
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(&new, &path).unwrap();
}

#[test]
fn a_status_that_hangs_delays_neither_beats_nor_other_agents() {
    let mut host = Host::with(&Package::agent("alpha", "1.0.0"));
    let running = host.base.daemon("alpha", "1.0.0");
    becomes(&host.base, "alpha", "1.0.0", Sick::HungStatus);
    host.base.start();
    host.meta.wait_for_agent("the beat tells", "alpha", |it| error_code(it) == "status_timeout");
    host.meta.order(&[
        host.files.order(&Package::agent("alpha", "1.0.0"), "start"),
        host.files.offer(&Package::agent("beta", "1.0.0")),
    ]);
    host.meta.wait_for_agent("beta is installed", "beta", |it| it["status"] == "started");
    assert_eq!(host.base.daemon("alpha", "1.0.0"), running, "nothing is started beside what runs");
    assert!(host.base.is_running());
}

#[test]
fn a_status_that_floods_is_ended_and_told() {
    let host = Host::with(&Package::agent("alpha", "1.0.0"));
    let running = host.base.daemon("alpha", "1.0.0");
    becomes(&host.base, "alpha", "1.0.0", Sick::FloodingStatus);
    host.base.once().exits(1);
    assert_eq!(error_code(&host.alpha()), "status_failed");
    assert_eq!(host.base.daemon("alpha", "1.0.0"), running);
}

#[test]
fn a_daemon_that_keeps_the_output_of_start_open_makes_nobody_wait() {
    let host = Host::with(&Package::sick("alpha", "1.0.0", Sick::StartKeepsPipe));
    host.base.daemon("alpha", "1.0.0");
    assert_eq!((&host.alpha()["status"], error_code(&host.alpha())), (&json!("started"), ""));
}

#[test]
fn a_status_that_leaves_a_process_with_its_output_behind_makes_nobody_wait() {
    let host = Host::with(&Package::sick("alpha", "1.0.0", Sick::StatusKeepsPipe));
    host.base.daemon("alpha", "1.0.0");
    assert_eq!((&host.alpha()["status"], error_code(&host.alpha())), (&json!("started"), ""));
}

#[test]
fn not_started_is_not_started() {
    let host = Host::with(&Package::agent("alpha", "1.0.0"));
    host.order(&Package::sick("alpha", "1.0.1", Sick::SaysNotStarted));
    host.base.daemon("alpha", "1.0.0");
    assert_eq!(error_code(&host.alpha()), "start_timeout");
}

#[test]
fn stopped_in_its_correct_spelling_is_stopped() {
    let host = Host::with(&Package::sick("alpha", "1.0.0", Sick::SaysStopped));
    host.order(&Package::agent("alpha", "1.0.1"));
    host.base.daemon("alpha", "1.0.1");
    host.order(&Package::sick("alpha", "1.0.2", Sick::SaysStopped));
    host.meta.order(&[host.files.order(&Package::agent("alpha", "1.0.2"), "stop")]);
    host.base.once().exits(0);
    assert_eq!(host.alpha()["status"], "stoped");
}

#[test]
fn a_version_that_dies_at_once_is_not_accepted() {
    let mut host = Host::with(&Package::agent("alpha", "1.0.0"));
    // With no trial at all, the moment that it lives would do.
    host.base.set("trialSecs", 1);
    host.order(&Package::sick("alpha", "1.0.1", Sick::DiesAtOnce));
    host.base.daemon("alpha", "1.0.0");
    assert_eq!(host.base.version("alpha").as_deref(), Some("1.0.0"));
    let code = error_code(&host.alpha()).to_owned();
    assert!(["start_timeout", "start_failed", "trial_failed"].contains(&code.as_str()), "{code}");
}

#[test]
fn a_version_whose_start_keeps_failing_is_given_up_until_it_is_released() {
    let host = Host::with(&Package::agent("alpha", "1.0.0"));
    let bad = Package::sick("alpha", "1.0.1", Sick::StartFails);
    host.order(&bad);
    let running = host.base.daemon("alpha", "1.0.0");
    host.base.once().exits(1);
    assert_eq!(host.base.daemon("alpha", "1.0.0"), running, "it is not stopped again at once");
    assert_eq!(host.alpha()["attempt"], 1);
    host.base.run(&["release", "alpha"]).exits(0);
    host.base.once().exits(1);
    assert_ne!(host.base.daemon("alpha", "1.0.0"), running);
    assert_eq!(host.files.asked_tarball(&bad), 1, "what is here and verified is not fetched again");
}

#[test]
fn an_old_version_that_ignores_stop_is_killed_before_the_new_one_starts() {
    let host = Host::with(&Package::sick("alpha", "1.0.0", Sick::IgnoresStop));
    let old = host.base.daemon("alpha", "1.0.0");
    host.order(&Package::agent("alpha", "1.0.1"));
    assert!(!is_alive(old));
    host.base.daemon("alpha", "1.0.1");
}

#[test]
fn beside_an_old_version_that_cannot_be_stopped_nothing_is_started() {
    let host = Host::with(&Package::sick("alpha", "1.0.0", Sick::CannotBeStopped));
    assert_eq!(host.alpha()["status"], "started");
    host.order(&Package::agent("alpha", "1.0.1"));
    assert!(host.base.daemons("alpha").is_empty(), "the new version runs beside the old one");
    assert_eq!(host.base.version("alpha").as_deref(), Some("1.0.0"));
    let agent = host.alpha();
    assert_eq!((error_code(&agent), &agent["status"]), ("stop_failed", &json!("started")));
}

#[test]
fn a_stop_that_is_ignored_is_told() {
    let host = Host::with(&Package::sick("alpha", "1.0.0", Sick::CannotBeStopped));
    host.meta.order(&[host.files.order(&Package::agent("alpha", "1.0.0"), "stop")]);
    host.base.once().exits(1);
    assert_eq!(error_code(&host.alpha()), "stop_failed");
}

#[test]
fn a_version_whose_script_is_gone_is_told_and_staged_anew() {
    let host = Host::with(&Package::agent("alpha", "1.0.0"));
    host.meta.order(&[host.files.order(&Package::agent("alpha", "1.0.0"), "stop")]);
    host.base.once().exits(0);
    std::fs::remove_file(host.base.agent("alpha").join("1.0.0/control")).unwrap();
    host.order(&Package::agent("alpha", "1.0.0"));
    host.base.daemon("alpha", "1.0.0");
}

/// How often a script wrote a line into this file of alpha's folder.
fn count(base: &Base, file: &str) -> usize {
    std::fs::read_to_string(base.agent("alpha").join(file)).unwrap_or_default().lines().count()
}

#[test]
fn a_version_that_ends_after_each_start_is_started_less_and_less_often() {
    let (meta, files) = (FakeMeta::new(), FileServer::new());
    let mut base = Base::impatient(&meta.address());
    // Each start is seen to succeed, and at the next look it is over.
    let script = "#!/bin/sh
cd \"$(dirname \"$0\")\" || exit 1
case $1 in
start) echo >>../starts; >fresh ;;
status) if [ -e fresh ]; then rm fresh; echo started; else echo stoped; fi ;;
esac
";
    meta.order(&[files.offer(&Package::with_script("alpha", "1.0.0", script))]);
    base.set("interval", 1).start();

    meta.wait_for_beats(8);

    let starts = count(&base, "starts");
    assert!((2..=3).contains(&starts), "{starts} starts in {} beats", meta.beats().len());
    meta.wait_for_agent("it is told", "alpha", |it| {
        error_code(it) == "start_failed" && it["error"].as_str().unwrap().contains("not started again for")
    });
}

#[test]
fn a_failure_that_cannot_be_written_down_is_remembered_all_the_same() {
    let mut host = Host::with(&Package::agent("alpha", "1.0.0"));
    // In the way of the next `.failed`, as a full disk would be.
    std::fs::create_dir(host.base.agent("alpha").join(".failed.new")).unwrap();
    let fails = script(&[Sick::StartFails]).replace("echo no licence", "echo >>../starts; echo no licence");
    host.meta.order(&[host.files.offer(&Package::with_script("alpha", "1.0.1", &fails))]);
    host.base.set("interval", 1).start();
    host.meta.wait_for_agent("it is taken back", "alpha", |it| {
        error_code(it) == "start_failed" && it["status"] == "started"
    });
    let running = host.base.daemon("alpha", "1.0.0");

    host.meta.wait_for_beats(4);

    assert_eq!((host.base.daemon("alpha", "1.0.0"), count(&host.base, "starts")), (running, 1));
    assert!(host.base.agent("alpha").join(".failed.new").is_dir(), "it was in the way all the time");
}

#[test]
fn a_status_that_hangs_does_not_outlive_the_updater() {
    let hangs = agent_script().replace("status)\n", "status)\n    [ -e hang ] && exec sleep 1000\n");
    let mut host = Host::with(&Package::with_script("alpha", "1.0.0", &hangs));
    let running = host.base.daemon("alpha", "1.0.0");
    host.base.set("statusTimeoutSecs", 600).set("interval", 1).start();
    std::fs::write(host.base.agent("alpha").join("1.0.0/hang"), "").unwrap();
    wait_for("status hangs", SOON, || {
        below(&host.base.agent("alpha")).iter().any(|it| it.exe.ends_with("sleep"))
    });

    assert_eq!(host.base.stop(), Some(0));

    let others = || below(&host.base.agent("alpha")).iter().any(|it| !it.exe.ends_with("agent"));
    wait_for("it is gone", SOON, || !others());
    assert_eq!(host.base.daemon("alpha", "1.0.0"), running);
}
