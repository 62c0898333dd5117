//! A sick agent hurts nobody but itself, and never do two of its versions run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here"
)]

use std::time::{Duration, Instant};

use e2e::{
    Base, FakeMeta, FileServer, Package, SOON, Sick, agent_script, below, children, error_code, is_alive,
    is_zombie, script, wait_for,
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

#[test]
fn a_status_that_floods_is_ended_and_told() {
    let host = Host::with(&Package::agent("alpha", "1.0.0"));
    let running = host.base.daemon("alpha", "1.0.0");
    host.base.becomes("alpha", "1.0.0", Sick::FloodingStatus);
    host.base.once().exits(1);
    assert_eq!(error_code(&host.alpha()), "status_failed");
    assert_eq!(host.base.daemon("alpha", "1.0.0"), running);
}

#[test]
fn a_status_that_leaves_a_process_with_its_output_behind_makes_nobody_wait() {
    let host = Host::with(&Package::sick("alpha", "1.0.0", Sick::StatusKeepsPipe));
    host.base.daemon("alpha", "1.0.0");
    assert_eq!((&host.alpha()["status"], error_code(&host.alpha())), (&json!("started"), ""));
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

/// The fewest of several countings: what is under way at the moment comes and goes, what leaks stays.
fn fewest(what: impl Fn() -> usize) -> usize {
    let countings = (0..75).map(|_| {
        std::thread::sleep(Duration::from_millis(20));
        what()
    });
    countings.min().unwrap()
}

#[test]
fn a_hundred_sick_calls_leave_neither_zombies_nor_descriptors_nor_processes() {
    const OF_EACH: usize = 8;
    let meta = FakeMeta::new();
    let mut base = Base::new(&meta.address());
    let kinds = [("hung", Sick::HungStatus), ("flood", Sick::FloodingStatus), ("fork", Sick::StatusForks)];
    for (name, sick) in kinds {
        for it in 0..OF_EACH {
            base.install_as_in_2015(&Package::sick(&format!("{name}{it}"), "1.0.0", sick));
        }
    }
    base.set("interval", 1).start();
    meta.wait_for_beats(2);
    let updater = base.updater_pid();
    let descriptors = || std::fs::read_dir(format!("/proc/{updater}/fd")).unwrap().count();
    let before = fewest(descriptors);

    wait_for("the calls are made", Duration::from_secs(60), || meta.beats().len() * OF_EACH >= 100);

    let all = meta.last();
    assert_eq!(all["realAgents"].as_array().unwrap().len(), kinds.len() * OF_EACH);
    for (name, code) in [("hung0", "status_timeout"), ("flood0", "status_failed"), ("fork0", "")] {
        meta.wait_for_agent("every kind is told as it is", name, |it| error_code(it) == code);
    }
    let after = fewest(descriptors);
    assert!(after <= before + 2, "{before} descriptors became {after}");
    let zombies = || children(updater).into_iter().filter(|it| is_zombie(*it)).count();
    assert_eq!(fewest(zombies), 0);
    let left = || below(&base.path()).iter().filter(|it| it.exe.ends_with("sleep")).count();
    assert!(fewest(left) <= OF_EACH, "what a call leaves behind stays");
    assert!(base.is_running());
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
    host.base.no_room_for(&host.base.agent("alpha").join(".failed.new"));
    let fails = script(&[Sick::StartFails]).replace("echo no licence", "echo >>../starts; echo no licence");
    host.meta.order(&[host.files.offer(&Package::with_script("alpha", "1.0.1", &fails))]);
    host.base.set("interval", 1).start();
    host.meta.wait_for_agent("it is taken back", "alpha", |it| {
        error_code(it) == "start_failed" && it["status"] == "started"
    });
    let running = host.base.daemon("alpha", "1.0.0");

    host.meta.wait_for_beats(4);

    assert_eq!((host.base.daemon("alpha", "1.0.0"), count(&host.base, "starts")), (running, 1));
    let failed = std::fs::read(host.base.agent("alpha").join(".failed")).unwrap();
    assert!(failed.is_empty(), "there was no room all the time");
}

#[test]
fn a_failure_that_cannot_be_written_down_is_forgotten_on_release() {
    let mut host = Host::with(&Package::agent("alpha", "1.0.0"));
    host.base.no_room_for(&host.base.agent("alpha").join(".failed.new"));
    let package = Package::agent("alpha", "1.0.1");
    let mut order = host.files.offer(&package);
    order["md5"] = "0".repeat(32).into();
    host.meta.order(&[order]);
    host.base.set("interval", 1).start();
    host.meta.wait_for_agent("it is refused", "alpha", |it| error_code(it) == "md5_mismatch");
    host.meta.wait_for_beats(3);
    assert_eq!(host.files.asked_tarball(&package), 1, "it is not fetched again");

    host.base.run(&["release", "alpha"]).exits(0);

    wait_for("it is tried again", SOON, || host.files.asked_tarball(&package) == 2);
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

#[test]
fn beats_keep_their_period_beside_agents_of_every_sickness() {
    let full = std::env::var_os("OPS_FULL").is_some_and(|it| it == "1");
    let (beats, interval) = (if full { 100 } else { 8 }, Duration::from_secs(2));
    let (meta, files) = (FakeMeta::new(), FileServer::new());
    let mut base = Base::new(&meta.address());
    let kinds = [
        ("hung", Sick::HungStatus),
        ("flood", Sick::FloodingStatus),
        ("pipe", Sick::StatusKeepsPipe),
        ("deaf", Sick::IgnoresStop),
    ];
    kinds.iter().for_each(|(name, sick)| base.install_as_in_2015(&Package::sick(name, "1.0.0", *sick)));
    // An order that the deaf one does not follow, beside the questions that the others do not answer.
    meta.order(&[files.order(&Package::sick("deaf", "1.0.0", Sick::IgnoresStop), "stop")]);
    base.set("interval", interval.as_secs()).set("stopTimeoutSecs", 3600).start();
    meta.wait_for_beats(2);

    let begun = Instant::now();
    let before = meta.beats().len();
    wait_for("the beats come", interval * 4 * beats, || meta.beats().len() >= before + beats as usize);

    let period = begun.elapsed() / beats;
    let error = period.abs_diff(interval).as_secs_f64() / interval.as_secs_f64();
    // What is looked at first comes at any moment between two beats: a part of one in a short run.
    let allowed = if full { 0.10 } else { 0.25 };
    assert!(error <= allowed, "a period of {period:?} instead of {interval:?}");
    for (name, said) in [("hung", "status_timeout"), ("flood", "status_failed"), ("pipe", "")] {
        assert_eq!(error_code(&meta.agent(name)), said);
    }
}
