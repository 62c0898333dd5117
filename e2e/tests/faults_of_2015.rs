//! What the updater of 2015 got wrong, one test for each fault, named after what holds instead. Each was seen to fail on
//! an updater that was broken on purpose.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here"
)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use e2e::{
    Base, Entry, FakeMeta, Fault, FileServer, Package, Ran, SOON, Sick, agent_script, changes, error_code,
    is_alive, snapshot, wait_for,
};
use md5::{Digest, Md5};
use serde_json::{Value, json};

/// A host that was ordered some version of alpha.
struct Host {
    meta: FakeMeta,
    files: FileServer,
    base: Base,
}

impl Host {
    fn with(package: &Package) -> Self {
        let host = Self::bare();
        host.order(package);
        host
    }

    fn with_alpha() -> Self {
        let host = Self::with(&Package::agent("alpha", "1.0.0"));
        host.base.daemon("alpha", "1.0.0");
        host
    }

    fn bare() -> Self {
        let (meta, files) = (FakeMeta::new(), FileServer::new());
        let mut base = Base::new(&meta.address());
        // Some faults show only when this time is up.
        base.set("startTimeoutSecs", 4).set("stopTimeoutSecs", 2);
        Self { meta, files, base }
    }

    fn order(&self, package: &Package) -> Ran {
        self.meta.order(&[self.files.offer(package)]);
        self.base.once()
    }

    fn alpha(&self) -> Value {
        self.meta.agent("alpha")
    }

    /// 1.0.1 was refused with this code, and 1.0.0 runs on as if nothing were.
    #[track_caller]
    fn keeps_1_0_0(&self, running: i32, code: &str) {
        assert_eq!(error_code(&self.alpha()), code, "{}", self.alpha());
        assert_eq!(self.base.daemon("alpha", "1.0.0"), running);
        assert_eq!(self.base.version("alpha").as_deref(), Some("1.0.0"));
        assert!(!self.base.agent("alpha").join("1.0.1").exists());
    }

    /// An order for this name and version, whose package can be had, is told to be bad and makes nothing anywhere.
    #[track_caller]
    fn refuses(&self, name: &str, version: &str) {
        let order = self.files.offer(&Package::agent(name, version));
        let (before, running) = (snapshot(self.base.outside()), self.base.daemon("alpha", "1.0.0"));
        self.meta.order(&[order]);
        self.base.once();
        let beat = self.meta.last();
        let told = beat["errors"].to_string().contains("bad_name") || error_code(&self.alpha()) == "bad_name";
        assert!(told, "{name:?} {version:?}: {beat}");
        assert_eq!(self.base.daemon("alpha", "1.0.0"), running, "{name:?} {version:?}");
        let mut changed = changes(&before, &snapshot(self.base.outside()));
        changed.retain(|it| !it.starts_with(self.base.path().join(".ops-updater")) && !it.ends_with("log"));
        assert_eq!(changed, Vec::<PathBuf>::new(), "{name:?} {version:?}");
    }
}

#[test]
fn f01_an_agent_is_never_left_down_by_a_kill_between_stop_and_start() {
    let mut host = Host::with(&Package::sick("alpha", "1.0.0", Sick::StopKillsCaller));
    let killed = host.order(&Package::agent("alpha", "1.0.1"));
    assert_eq!((killed.code, host.base.daemons("alpha").len()), (None, 0), "killed after the stop");

    // Nobody tells it anything: the first beat is far away.
    host.base.set("initialJitterSecs", 86_400).start();

    wait_for("some version runs", SOON, || !host.base.daemons("alpha").is_empty());
    host.base.daemon("alpha", "1.0.1");
}

#[test]
fn f02_the_version_file_is_replaced_whole_and_only_by_another_version() {
    let host = Host::with_alpha();
    let file = host.base.agent("alpha").join(".version");
    // A second name of the same file: it shows a write in place.
    let witness = host.base.outside().join("witness");
    fs::hard_link(&file, &witness).unwrap();
    let (before, modified) =
        (fs::metadata(&file).unwrap().ino(), fs::metadata(&file).unwrap().modified().unwrap());

    host.base.once().exits(0);
    let after = fs::metadata(&file).unwrap();
    assert_eq!((after.ino(), after.modified().unwrap()), (before, modified), "a beat writes it");

    host.order(&Package::agent("alpha", "1.0.1")).exits(0);
    assert_eq!(host.base.version("alpha").as_deref(), Some("1.0.1"));
    assert_eq!(fs::read_to_string(&witness).unwrap(), "1.0.0", "it is written in place");
}

#[test]
fn f03_without_an_md5_file_it_is_told_and_the_tarball_never_fetched() {
    let (host, next) = (Host::with_alpha(), Package::agent("alpha", "1.0.1"));
    let running = host.base.daemon("alpha", "1.0.0");
    let order = host.files.offer(&next);
    host.files.remove(&format!("/{}.md5", next.file_name()));
    host.meta.order(&[order]);
    for _ in 0..2 {
        host.base.once().exits(1);
        host.keeps_1_0_0(running, "md5_missing");
    }
    assert_eq!(host.files.asked_tarball(&next), 0);
}

#[test]
fn f04_a_package_whose_md5_differs_is_told_and_not_fetched_again() {
    let (host, next) = (Host::with_alpha(), Package::agent("alpha", "1.0.1"));
    let running = host.base.daemon("alpha", "1.0.0");
    let order = host.files.offer(&next);
    let wrong = format!("{:x}  {}\n", Md5::digest("other"), next.file_name());
    host.files.put(&format!("/{}.md5", next.file_name()), wrong);
    host.meta.order(&[order]);
    for _ in 0..3 {
        host.base.once().exits(1);
        host.keeps_1_0_0(running, "md5_mismatch");
    }
    assert_eq!(host.files.asked_tarball(&next), 1);
}

#[test]
fn f05_an_md5_file_that_names_another_file_verifies_nothing() {
    let (host, next) = (Host::with_alpha(), Package::agent("alpha", "1.0.1"));
    let running = host.base.daemon("alpha", "1.0.0");
    let order = host.files.offer(&next);
    host.files.put(&format!("/{}.md5", next.file_name()), format!("{}  alpha-1.0.2.tar.gz\n", next.md5()));
    host.meta.order(&[order]);
    host.base.once().exits(1);
    host.keeps_1_0_0(running, "md5_missing");
}

#[test]
fn f06_a_bad_version_is_refused_and_makes_nothing() {
    let (host, long) = (Host::with_alpha(), "1".repeat(65));
    for version in ["../../x", "..", "1..2", "", "1/2", "/1", ".1", "1 2", "-1", long.as_str()] {
        host.refuses("alpha", version);
    }
}

#[test]
fn f07_a_status_that_hangs_delays_neither_beats_nor_other_agents() {
    let mut host = Host::with_alpha();
    let running = host.base.daemon("alpha", "1.0.0");
    host.base.becomes("alpha", "1.0.0", Sick::HungStatus);
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
fn f08_a_daemon_that_keeps_the_output_of_start_open_makes_nobody_wait() {
    let mut host = Host::bare();
    host.meta.order(&[host.files.offer(&Package::sick("alpha", "1.0.0", Sick::StartKeepsPipe))]);
    host.base.start();
    let agent = host.meta.wait_for_agent("it runs", "alpha", |it| it["status"] == "started");
    assert_eq!(error_code(&agent), "");
    host.base.daemon("alpha", "1.0.0");
}

#[test]
fn f09_not_started_is_not_started() {
    let host = Host::with_alpha();
    host.order(&Package::sick("alpha", "1.0.1", Sick::SaysNotStarted)).exits(1);
    host.base.daemon("alpha", "1.0.0");
    assert_eq!(error_code(&host.alpha()), "start_timeout");
}

#[test]
fn f10_a_version_that_dies_at_once_is_not_accepted() {
    let mut host = Host::with_alpha();
    // With no trial at all, the moment that it lives would do.
    host.base.set("trialSecs", 1);
    host.order(&Package::sick("alpha", "1.0.1", Sick::DiesAtOnce)).exits(1);
    host.base.daemon("alpha", "1.0.0");
    assert_eq!(host.base.version("alpha").as_deref(), Some("1.0.0"));
    let code = error_code(&host.alpha()).to_owned();
    assert!(["start_timeout", "start_failed", "trial_failed"].contains(&code.as_str()), "{code}");
}

#[test]
fn f11_beside_an_old_version_that_cannot_be_stopped_nothing_is_started() {
    let host = Host::with(&Package::sick("alpha", "1.0.0", Sick::CannotBeStopped));
    assert_eq!(host.alpha()["status"], "started");
    host.order(&Package::agent("alpha", "1.0.1")).exits(1);
    assert!(host.base.daemons("alpha").is_empty(), "the new version runs beside the old one");
    assert_eq!(host.base.version("alpha").as_deref(), Some("1.0.0"));
    let agent = host.alpha();
    assert_eq!((error_code(&agent), &agent["status"]), ("stop_failed", &json!("started")));
}

#[test]
fn f12_stop_stops_whatever_version_it_names_and_start_starts_again() {
    let host = Host::with_alpha();
    let running = host.base.daemon("alpha", "1.0.0");
    host.meta.order(&[host.files.order(&Package::agent("alpha", "9.9.9"), "stop")]);
    host.base.once().exits(0);
    assert!(!is_alive(running) && host.base.daemons("alpha").is_empty());
    let agent = host.alpha();
    assert_eq!((&agent["version"], &agent["status"]), (&json!("1.0.0"), &json!("stoped")));

    let asked = host.files.requests();
    host.meta.order(&[host.files.order(&Package::agent("alpha", "1.0.0"), "start")]);
    host.base.once().exits(0);
    host.base.daemon("alpha", "1.0.0");
    assert_eq!(host.files.requests(), asked, "what is here is not fetched again");
}

#[test]
fn f13_an_interval_of_0_is_refused_with_a_sentence_and_a_missing_key_has_a_default() {
    let mut host = Host::with_alpha();
    host.base.unset("hostname").unset("interval");
    host.base.once().exits(0);
    assert!(!host.meta.last()["hostname"].as_str().unwrap().is_empty());

    host.base.set("interval", 0);
    for words in [&["once"][..], &[]] {
        let ran = host.base.run(words).exits(2);
        assert!(ran.stderr.contains("`interval`: found 0"), "{ran:?}");
    }
    host.base.set("interval", 10).unset("server");
    let ran = host.base.once().exits(2);
    assert!(ran.stderr.contains("`server`"), "{ran:?}");
}

#[test]
fn f14_an_agent_as_wanted_costs_nothing() {
    let host = Host::with_alpha();
    host.base.once().exits(0);
    let (before, requests) = (snapshot(&host.base.path()), host.files.requests());
    host.base.once().exits(0);
    assert_eq!(host.files.requests(), requests, "nothing is asked of the download server");
    let changed = changes(&before, &snapshot(&host.base.path()));
    assert_eq!(changed, Vec::<PathBuf>::new(), "no file changes");
}

#[test]
fn f15_a_stalled_download_delays_neither_beats_nor_other_agents() {
    let mut host = Host::with_alpha();
    let (running, next) = (host.base.daemon("alpha", "1.0.0"), Package::agent("alpha", "1.0.1"));
    let order = host.files.offer(&next);
    host.files.spoil_tarball(&next, Fault::Stall);
    host.meta.order(std::slice::from_ref(&order));
    host.base.set("answerTimeoutSecs", 600).start();
    host.meta.wait_for_agent("it is told how far it is", "alpha", |it| {
        it["phase"] == "downloading" && it["percent"].as_i64().is_some_and(|it| it > 0)
    });
    host.meta.order(&[order, host.files.offer(&Package::agent("beta", "1.0.0"))]);
    host.meta.wait_for_agent("beta is installed", "beta", |it| it["status"] == "started");
    host.meta.wait_for_beats(1);
    assert_eq!(host.alpha()["phase"], "downloading");
    assert_eq!(host.base.daemon("alpha", "1.0.0"), running);
}

#[test]
fn f16_a_full_disk_cuts_no_file_of_any_version() {
    let mut host = Host::bare();
    let full = host.base.on_a_disk_of(2 << 20);
    host.order(&Package::agent("alpha", "1.0.0")).exits(0);
    let running = host.base.daemon("alpha", "1.0.0");
    let before = snapshot(&host.base.agent("alpha").join("1.0.0"));
    if let Err(why) = full {
        eprintln!("no small disk can be made here ({why}): the whole disk counts as reserved instead");
        host.base.set("diskReserveBytes", 1_u64 << 40);
    }
    // Each of them small, packed to next to nothing, and together more than the disk holds.
    let mut entries = Package::entries("1.0.1", &agent_script());
    entries.extend((0..5).map(|it| Entry::file(&format!("zeros{it}"), 0o644, vec![0; 1_000_000])));
    let next = Package::of("alpha", "1.0.1", &entries);

    host.order(&next).exits(1);

    host.keeps_1_0_0(running, "no_space");
    let after = snapshot(&host.base.agent("alpha").join("1.0.0"));
    assert_eq!(changes(&before, &after), Vec::<PathBuf>::new());
    assert_eq!(host.files.asked_tarball(&next), 1, "what cannot be written down is remembered all the same");
}

#[test]
fn f17_one_base_has_one_updater() {
    let mut host = Host::with_alpha();
    host.base.start();
    let pid_file = host.base.path().join("ops-updater.pid");
    wait_for("the pid file", SOON, || pid_file.exists());
    let ran = host.base.once().exits(1);
    assert!(ran.stderr.contains("another ops-updater"), "{ran:?}");
    host.base.run(&[]).exits(1);
    host.base.run(&["status"]).exits(0);
    host.base.run(&["plan"]).exits(0);
    assert!(host.base.is_running());
    assert_eq!(fs::read_to_string(&pid_file).unwrap().trim(), host.base.updater_pid().to_string());
}

#[test]
fn f18_a_prefix_is_a_url_and_never_an_option() {
    let (host, next) = (Host::with_alpha(), Package::agent("alpha", "1.0.1"));
    let running = host.base.daemon("alpha", "1.0.0");
    let elsewhere = FileServer::new();
    elsewhere.offer(&next);
    for prefix in ["-O/etc/passwd", "--output-document=x", "file:///etc", "ftp://x", "http://a b"] {
        for (key, other) in [("tarball", "md5"), ("md5", "tarball")] {
            let mut order = host.files.order(&next, "start");
            order[key] = json!(prefix);
            order[other] = json!(elsewhere.url());
            host.meta.order(&[order]);
            host.base.once().exits(1);
            host.keeps_1_0_0(running, "bad_answer");
            assert!(!host.alpha()["error"].as_str().unwrap().is_empty());
            host.base.run(&["release", "alpha"]).exits(0);
        }
    }
}

#[test]
fn f19_foreign_owners_and_setuid_are_dropped_and_absolute_links_refused() {
    let host = Host::with_alpha();
    let running = host.base.daemon("alpha", "1.0.0");
    let with = |more: Entry| [Package::entries("1.0.1", &agent_script()), vec![more]].concat();
    let link = Entry::symlink("link", "/etc");
    host.order(&Package::of("alpha", "1.0.1", &with(link))).exits(1);
    host.keeps_1_0_0(running, "archive_unsafe");

    let foreign = Entry { owner: 12_345, ..Entry::file("su", 0o6755, "x") };
    host.order(&Package::of("alpha", "1.0.2", &with(foreign))).exits(0);
    host.base.daemon("alpha", "1.0.2");
    let su = fs::metadata(host.base.agent("alpha").join("1.0.2/su")).unwrap();
    let ours = fs::metadata(host.base.path()).unwrap();
    assert_eq!((su.uid(), su.gid(), su.permissions().mode() & 0o7000), (ours.uid(), ours.gid(), 0));
}

#[test]
fn f20_stopped_in_its_correct_spelling_is_stopped() {
    let host = Host::with(&Package::sick("alpha", "1.0.0", Sick::SaysStopped));
    host.order(&Package::agent("alpha", "1.0.1")).exits(0);
    host.base.daemon("alpha", "1.0.1");
    host.order(&Package::sick("alpha", "1.0.2", Sick::SaysStopped)).exits(0);
    host.meta.order(&[host.files.order(&Package::agent("alpha", "1.0.2"), "stop")]);
    host.base.once().exits(0);
    assert_eq!(host.alpha()["status"], "stoped");
}

#[test]
fn f21_a_bad_name_is_refused_and_makes_nothing() {
    let (host, long) = (Host::with_alpha(), "x".repeat(65));
    for name in [
        "../x",
        "..",
        ".",
        "a/b",
        "/abs",
        ".hidden",
        "a b",
        "a\nb",
        "a\u{0}b",
        "-O",
        "ä",
        long.as_str(),
        "cfg.json",
        ".ops-updater",
    ] {
        host.refuses(name, "1.0.0");
    }
}
