//! Rollouts over a simulated fleet: a good version reaches everybody, a bad one stops by itself and is taken back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here"
)]

use std::time::{Duration, Instant};

use e2e::{DurableMeta, SOON, Sim, wait_for};
use serde_json::Value;

const HOSTS: usize = 1000;
const INTERVAL_SECS: u64 = 2;
/// Of a rollout from its start to its end.
const LONGEST: Duration = Duration::from_secs(120);

struct Fleet {
    meta: DurableMeta,
    sim: Sim,
}

impl Fleet {
    /// All at 1.0.0, by a policy for all hosts.
    fn new(more: &[&str]) -> Self {
        let meta = DurableMeta::without_orders();
        let token = meta.done(&["token", "create", "fleet", "--role", "host"]).trim().to_owned();
        meta.done(
            &[&["policy", "set", "agent-1", "--version", "1.0.0", "--cmd", "start"][..], ELSEWHERE].concat(),
        );
        let (hosts, interval) = (HOSTS.to_string(), INTERVAL_SECS.to_string());
        let args = [
            "--hosts",
            &hosts,
            "--interval",
            &interval,
            "--agents",
            "1",
            "--trial-secs",
            "2",
            "--token",
            &token,
        ];
        let sim = Sim::start(&meta.url(), &[&args[..], more].concat());
        let fleet = Self { meta, sim };
        wait_for("all hosts are there", SOON, || fleet.count("state=alive,new&version=1.0.0") == HOSTS);
        fleet
    }

    fn start(&self, more: &[&str]) -> u64 {
        let waves = ["--waves", "1%,10%,100%", "--max-failed", "2%", "--timeout", "30s"];
        let words = [
            &["rollout", "start", "agent-1", "--version", "1.0.1", "--confirm", "-o", "json"][..],
            &waves,
            more,
        ];
        let said = self.meta.done(&words.concat());
        serde_json::from_str::<Value>(&said).unwrap()["id"].as_u64().unwrap()
    }

    fn rollout(&self, id: u64) -> Value {
        serde_json::from_str(&self.meta.done(&["rollout", "show", &id.to_string(), "-o", "json"])).unwrap()
    }

    fn wait_until(&self, id: u64, state: &str) -> Value {
        let mut rollout = Value::Null;
        wait_for(&format!("the rollout is {state}"), LONGEST, || {
            rollout = self.rollout(id);
            rollout["state"] == state
        });
        rollout
    }

    fn count(&self, query: &str) -> usize {
        let filters = query.split('&').map(|pair| pair.split_once('=').unwrap());
        let mut words = vec!["host".to_owned(), "list".to_owned(), "-o".to_owned(), "json".to_owned()];
        for (key, value) in filters {
            words.extend([format!("--{key}"), value.to_owned()]);
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.meta.done(&words).lines().count()
    }
}

const ELSEWHERE: &[&str] = &["--tarball", "http://packages.example", "--confirm"];

#[test]
fn a_good_version_reaches_every_host_wave_by_wave_and_becomes_the_policy() {
    let fleet = Fleet::new(&[]);
    let id = fleet.start(&[]);
    fleet.wait_until(id, "completed");
    wait_for("every host has it", SOON, || fleet.count("version=1.0.1") == HOSTS);
    let policy: Value =
        serde_json::from_str(&fleet.meta.done(&["policy", "show", "agent-1", "-o", "json"])).unwrap();
    assert_eq!(policy["version"], "1.0.1");
    fleet.sim.interrupt();
}

/// Stops with few hosts touched, and leaves none of those that can be reached with it.
fn is_taken_back(fate: &[&str], vanished: bool) {
    let fleet = Fleet::new(fate);
    let began = Instant::now();
    let id = fleet.start(&["--on-breach", "rollback"]);
    let rollout = fleet.wait_until(id, "rolled_back");
    assert!(rollout["breach"].is_object(), "{rollout:#}");
    let touched = fleet.count("version=1.0.1");
    let gone = if vanished { HOSTS / 10 } else { 0 };
    assert!(touched <= gone, "{touched} hosts have it still");
    assert!(fleet.count("version=1.0.0") >= HOSTS - HOSTS / 10, "more than the second wave was touched");
    eprintln!("taken back after {:?}", began.elapsed());
    fleet.sim.interrupt();
}

#[test]
fn a_version_that_fails_on_some_hosts_stops_and_is_taken_back() {
    is_taken_back(&["--fail", "0.05"], false);
}

#[test]
fn a_version_with_which_hosts_fall_silent_stops_and_is_taken_back() {
    is_taken_back(&["--vanish", "0.05"], true);
}
