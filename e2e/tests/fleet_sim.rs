//! fleet-sim against the real ops-meta: its hosts are hosts to it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here"
)]

use std::collections::BTreeSet;

use e2e::{Answer, Authority, FakeMeta, Meta, SOON, Sim, wait_for};
use serde_json::{Value, json};

const HOSTS: usize = 2000;
/// Half a minute of the hosts' time in a second.
const FAST: &[&str] =
    &["--hosts", "2000", "--interval", "60", "--time-scale", "30", "--trial-secs", "10", "--agents", "1"];
/// Enough for all to come, to hear another order, to follow it and to say so: each takes an interval, which is 2 s.
const WHOLE: &[&str] = &["--duration", "14"];

/// Hosts that say they run this version.
fn at(meta: &Meta, version: &str) -> BTreeSet<String> {
    let statuses = meta.statuses("agent-1");
    let hosts = statuses.as_object().unwrap().iter();
    let there = hosts.filter(|(_, it)| it["version"] == version && it["status"] == "started");
    there.map(|(host, _)| host.clone()).collect()
}

/// Starts 2,000 hosts, and orders them to another version once they are there.
fn upgrade(meta: &Meta, more: &[&str]) -> Sim {
    meta.order_all(&[("agent-1", "1.0.0")], "start");
    let sim = Sim::start(&meta.address(), &[FAST, WHOLE, more].concat());
    wait_for("all hosts are there", SOON, || at(meta, "1.0.0").len() == HOSTS);
    meta.order_all(&[("agent-1", "1.0.1")], "start");
    sim
}

/// Of the orders in force, the hosts that stand so.
fn standing(report: &Value, how: &str) -> u64 {
    report["orders"][0][how].as_u64().unwrap()
}

#[test]
fn hosts_appear_with_their_first_beat_and_an_upgrade_converges() {
    let meta = Meta::new();
    let report = upgrade(&meta, &[]).report();
    assert_eq!(at(&meta, "1.0.1").len(), HOSTS);
    assert_eq!(standing(&report, "asWanted"), HOSTS as u64, "{report:#}");
    let secs = report["convergeSecs"].as_f64().expect("it converged");
    assert!((20.0..=600.0).contains(&secs), "{report:#}");
    assert_eq!(report["errors"], json!({}), "{report:#}");
}

#[test]
fn a_share_fails_and_a_share_vanishes_and_the_seed_says_which() {
    let run = |seed| {
        let meta = Meta::new();
        let sim = upgrade(&meta, &["--fail", "0.1", "--vanish", "0.05", "--seed", seed]);
        let report = sim.report();
        let (failed, vanished) = (standing(&report, "failed"), standing(&report, "vanished"));
        assert!((130..=270).contains(&failed) && (50..=150).contains(&vanished), "{report:#}");
        assert_eq!(failed + vanished + standing(&report, "asWanted"), HOSTS as u64, "{report:#}");
        let upgraded = at(&meta, "1.0.1");
        assert_eq!(upgraded.len() as u64, standing(&report, "asWanted"));
        upgraded
    };
    let first = run("7");
    assert_eq!(first, run("7"));
    assert_ne!(first, run("8"));
}

#[test]
fn hosts_back_off_while_the_server_is_away() {
    let meta = Meta::new();
    let address = meta.address();
    drop(meta);
    let report = Sim::start(&address, &[FAST, &["--duration", "6"]].concat()).report_without_answers();
    assert_eq!(report["beats"], 0);
    let refused = report["errors"]["connection refused"].as_u64().unwrap();
    // Three intervals: each host after one of them, and then after twice that.
    assert!((2000..=6100).contains(&refused), "{report:#}");
}

#[test]
fn as_fast_as_it_goes_with_and_without_new_connections() {
    let meta = Meta::new();
    let saturate = |more: &[&str]| {
        let args = ["--hosts", "500", "--saturate", "--beats", "2000", "--connections", "8"];
        let report = Sim::start(&meta.address(), &[&args, more].concat()).report();
        assert_eq!((&report["beats"], &report["errors"]), (&2000.into(), &json!({})), "{report:#}");
        report["connections"].as_u64().unwrap()
    };
    assert_eq!(saturate(&[]), 8);
    assert_eq!(saturate(&["--new-connections"]), 2000);
    assert_eq!(saturate(&["--new-connections", "--sources", "4"]), 2000);
    let hosts = meta.statuses("agent-3");
    assert_eq!(hosts.as_object().unwrap().len(), 500);
}

#[test]
fn so_many_beats_a_second_whatever_the_server_does() {
    let meta = Meta::new();
    let args = ["--hosts", "500", "--rate", "500", "--duration", "2"];
    let report = Sim::start(&meta.address(), &args).report();
    let beats = report["beats"].as_u64().unwrap();
    assert!((900..=1001).contains(&beats), "{report:#}");
}

#[test]
fn tls_is_spoken_and_authorities_are_believed_where_given() {
    let (authority, other) = (Authority::new(), Authority::new());
    let meta = Meta::with_tls(&authority);
    let folder = tempfile::tempdir().unwrap();
    let (ours, others) = (folder.path().join("ours.pem"), folder.path().join("others.pem"));
    authority.put_ca(&ours);
    other.put_ca(&others);
    let start = |more: &[&str]| {
        let args = ["--hosts", "10", "--saturate", "--beats", "40", "--connections", "4", "--tls"];
        Sim::start(&meta.address(), &[&args, more].concat())
    };
    let counts = |mut report: Value| (report["beats"].take().as_u64().unwrap(), report["errors"].take());
    assert_eq!(counts(start(&[]).report()), (40, json!({})));
    let believed = start(&["--new-connections", "--ca", ours.to_str().unwrap()]);
    assert_eq!(counts(believed.report()), (40, json!({})));
    let doubted = start(&["--ca", others.to_str().unwrap()]);
    assert_eq!(counts(doubted.report_without_answers()), (0, json!({"TLS failed": 40})));
}

#[test]
fn ctrl_c_ends_with_the_report() {
    let meta = Meta::new();
    let sim = Sim::start(&meta.address(), &["--hosts", "20", "--interval", "1", "--agents", "1"]);
    wait_for("all hosts are there", SOON, || {
        meta.statuses("agent-1").as_object().is_some_and(|it| it.len() == 20)
    });
    let report = sim.interrupt();
    assert!(report["beats"].as_u64().unwrap() >= 20, "{report:#}");
}

#[test]
fn a_million_hosts_fit_in_300_megabytes() {
    let meta = Meta::new();
    let sim = Sim::start(&meta.address(), &["--hosts", "1000000", "--interval", "300"]);
    wait_for("some are there", SOON, || {
        meta.statuses("agent-1").as_object().is_some_and(|it| it.len() > 1000)
    });
    let bytes = sim.peak_bytes();
    assert!(bytes < 300_000_000, "{bytes}");
    assert_eq!(sim.interrupt()["errors"], json!({}));
}

/// One host, a minute of its time in a second.
const ONE: &[&str] = &["--hosts", "1", "--agents", "1", "--interval", "20", "--time-scale", "60"];

#[test]
fn a_host_tells_of_its_upgrade_as_the_updater_does() {
    let meta = FakeMeta::new();
    meta.order(&[json!({"name": "agent-1", "version": "2.0.0", "tarball": "http://x", "cmd": "start",
                        "trialSecs": 120, "rollout": 17})]);
    let sim = Sim::start(&meta.address(), &[ONE, &["--fail", "1", "--duration", "30"]].concat());
    let on_trial = meta.wait_for_agent("it is on trial", "agent-1", |it| it["phase"] == "trial");
    assert_eq!((&on_trial["version"], &on_trial["rollout"]), (&json!("2.0.0"), &json!(17)));
    let back = meta.wait_for_agent("it is taken back", "agent-1", |it| it["phase"] == "rolled_back");
    assert_eq!((&back["version"], &back["errorCode"]), (&json!("1.0.0"), &json!("trial_failed")));
    let steps: Vec<&str> =
        back["steps"].as_array().unwrap().iter().map(|it| it["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["fetch", "verify", "unpack", "stop", "start", "flip", "trial", "take_back"]);
    let beat = meta.last();
    for field in ["ip", "updaterVersion", "runUser", "machineId", "os", "arch", "labels", "intervalSecs"] {
        assert!(!beat[field].is_null(), "{field}: {beat:#}");
    }
    let report = sim.interrupt();
    assert_eq!(standing(&report, "failed"), 1, "{report:#}");
}

#[test]
fn actions_are_told_whenever_they_are_asked_for() {
    let meta = FakeMeta::new();
    meta.ask(
        &[],
        &[json!({"id": 7, "kind": "restart", "agent": "agent-1"}), json!({"id": 8, "kind": "dance"})],
    );
    let sim = Sim::start(&meta.address(), &[ONE, &["--duration", "30"]].concat());
    meta.wait_for_beats(4);
    sim.interrupt();
    let told: Vec<Value> = meta.beats().iter().map(|it| it["actionsDone"].clone()).collect();
    assert_eq!(told[1], json!([{"id": 7, "code": ""}, {"id": 8, "code": "unknown_cmd"}]));
    assert!(told[0].is_null() && told[2..].iter().all(|it| *it == told[1]), "{told:?}");
}

#[test]
fn a_host_comes_when_the_server_asks_it_to() {
    let meta = FakeMeta::new();
    meta.say(Answer::Json(json!({"desiredAgents": [], "nextIntervalSecs": 5})));
    let sim = Sim::start(&meta.address(), &["--hosts", "200", "--interval", "7200", "--time-scale", "60"]);
    meta.wait_for_beats(40);
    let report = sim.interrupt();
    assert!(report["rate"].as_f64().unwrap() > 4.0, "200 hosts would send 1.7 a second by themselves");

    let busy = FakeMeta::new();
    busy.say(Answer::RetryAfter("3600".to_owned()));
    let args = ["--hosts", "50", "--interval", "30", "--time-scale", "60", "--duration", "3"];
    let report = Sim::start(&busy.address(), &args).report_without_answers();
    assert_eq!(report["errors"], json!({"status 503": 50}), "each once within half a second, and not again");
}

#[test]
fn what_a_sick_server_does_is_told_by_kind() {
    let run = |answer: Answer| {
        let meta = FakeMeta::new();
        meta.say(answer);
        let args = [
            "--hosts",
            "1",
            "--interval",
            "3600",
            "--time-scale",
            "7200",
            "--timeout",
            "1",
            "--duration",
            "2",
        ];
        let errors = Sim::start(&meta.address(), &args).report_without_answers()["errors"].take();
        errors.as_object().unwrap().keys().next().cloned().unwrap_or_default()
    };
    assert_eq!(run(Answer::Text("{".to_owned())), "answer is not readable");
    assert_eq!(run(Answer::Json(json!({"errorMessage": "no"}))), "answer says errorMessage");
    assert_eq!(run(Answer::Status(500)), "status 500");
    assert_eq!(run(Answer::Silent), "time-out");
    assert_eq!(run(Answer::Truncated), "connection closed");
    assert_eq!(run(Answer::Closes), "connection closed");
}
