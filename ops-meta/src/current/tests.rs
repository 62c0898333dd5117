//! Whether hosts are answered as they should be, whatever was kept from before.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use ops_wire::Answer;
use proptest::prelude::*;

use super::*;
use crate::domain::compile::Shelf;
use crate::domain::desired::{Desired, Document};
use crate::domain::rollout::{Plan, State};

fn current(json: serde_json::Value, generation: u64, numbers: &Arc<Numbers>, before: &Current) -> Current {
    let document: Document = serde_json::from_value(json).unwrap();
    let rules = Desired::check(document, &Desired::default()).unwrap().0.rules().clone();
    let compiled = Compiled { rules, shelf: Shelf::default(), packages_url: None };
    Current::of_rules(compiled, [], Gates::default(), generation, numbers, before)
}

fn rules(version: &str) -> serde_json::Value {
    serde_json::json!({"policies": [
        {"agent": "a", "version": version, "tarball": "http://t", "cmd": "start"},
        {"agent": "a", "host": "web-1", "cmd": "stop"},
    ]})
}

fn version(wanted: &Wanted) -> (String, u64) {
    let answer: Answer = serde_json::from_slice(&wanted.answer).unwrap();
    let agent = answer.desired_agents.first().unwrap();
    (format!("{} {}", agent.version.as_ref().unwrap(), agent.cmd.as_str()), answer.generation.unwrap())
}

/// Documents of few groups and policies, and hosts in all of them.
fn any_document() -> impl Strategy<Value = serde_json::Value> {
    let select =
        prop::sample::select(&["all", "env=a", "env=b", "hostname=h1*", "hostname in @few", "os=linux"][..]);
    let groups = prop::collection::btree_map("[gh]", (select, -1..2_i32), 0..3);
    let policy = (prop::sample::select(&["a", "b"][..]), prop::sample::select(&["", "g", "h"][..]), "[12]");
    let few = prop::collection::vec("h[12]", 0..2);
    (groups, prop::collection::vec(policy, 0..4), few, any::<bool>()).prop_map(
        |(groups, policies, few, own)| {
            let exists = |group: &str| group.is_empty() || groups.contains_key(group);
            let mut all = BTreeMap::new();
            for (agent, group, version) in policies.iter().filter(|(_, group, _)| exists(group)) {
                let policy =
                    serde_json::json!({"agent": agent, "group": group, "version": version, "cmd": "start"});
                all.insert((agent, group), policy);
            }
            let mut policies: Vec<_> = all.into_values().collect();
            if own {
                policies.push(serde_json::json!({"agent": "a", "host": "h1", "cmd": "stop"}));
            }
            let groups: BTreeMap<_, _> = groups
                .iter()
                .map(|(name, (select, priority))| {
                    (name, serde_json::json!({"select": select, "priority": priority}))
                })
                .collect();
            serde_json::json!({"groups": groups, "lists": {"few": few}, "policies": policies})
        },
    )
}

proptest! {
    /// Whatever was remembered, and however many generations ago, and whatever somebody tried out meanwhile.
    #[test]
    fn what_is_remembered_is_what_is_looked_for_anew(
        documents in prop::collection::vec(any_document(), 1..6),
        asked in prop::collection::vec((0..6_usize, 0..4_usize), 0..30),
    ) {
        let numbers = Arc::new(Numbers::default());
        let mut current = Current::of_file(&[], 0, &numbers);
        let hosts: Vec<_> = ["h1", "h2"].into_iter().flat_map(|name| ["a", "b"].map(|env| (name, env))).collect();
        let labels: Vec<_> =
            hosts.iter().map(|(_, env)| BTreeMap::from([("env".to_owned(), (*env).to_owned())])).collect();
        let remembered: Vec<_> = hosts.iter().map(|_| Remembered::default()).collect();
        for (n, document) in documents.iter().enumerate() {
            current = self::current(document.clone(), n as u64 + 1, &numbers, &current);
            let another = documents[(n + 1) % documents.len()].clone();
            let tried = self::current(another, n as u64 + 1, &Arc::default(), &current).tried_out();
            for (_, host) in asked.iter().filter(|(generation, _)| *generation == n) {
                let (hostname, labels) = (hosts[*host].0, &labels[*host]);
                let facts = HostFacts { hostname, os: "linux", arch: "", ip: None, labels };
                for of in [&tried, &current] {
                    let known = of.wanted_of(&facts, &remembered[*host], &|_| None);
                    prop_assert_eq!(&known.answer, &of.wanted(&facts, &|_| None).answer);
                }
            }
        }
    }
}

/// Two agents, and a rollout of one of them for hosts of `env=a` that are not its own.
fn with_rollout(progress: Progress, numbers: &Arc<Numbers>, before: &Current) -> Current {
    let document: Document = serde_json::from_value(serde_json::json!({
        "groups": {"g": {"select": "env=a"}},
        "policies": [
            {"agent": "a", "version": "1", "cmd": "start", "tarball": "http://t"},
            {"agent": "a", "group": "g", "version": "1"},
            {"agent": "a", "host": "own", "version": "9"},
        ]
    }))
    .unwrap();
    let plan = serde_json::json!({"agent": "a", "group": "g", "version": "2", "waves": [{"percent": 100}]});
    let plan = Plan::check(&serde_json::from_value(plan).unwrap(), &Default::default()).unwrap();
    let rules = Desired::check(document, &Desired::default()).unwrap().0.rules().clone();
    let compiled = Compiled { rules, shelf: Shelf::default(), packages_url: None };
    let rollouts = [Rollout { id: 3, plan, progress }];
    Current::of_rules(compiled, rollouts, Gates::default(), 5, numbers, before)
}

/// One wave that admits nobody, or everybody.
fn running(threshold: u64) -> Progress {
    let progress = serde_json::json!({"state": "running", "since": 1, "waves": [threshold]});
    serde_json::from_value(progress).unwrap()
}

#[test]
fn a_step_of_a_rollout_changes_what_its_hosts_are_told_and_what_nobody_else_remembers() {
    let numbers = Arc::new(Numbers::default());
    let label = |env: &str| BTreeMap::from([("env".to_owned(), env.to_owned())]);
    let (a, b) = (label("a"), label("b"));
    let host = |hostname, labels| HostFacts { hostname, os: "", arch: "", ip: None, labels };
    let before = with_rollout(running(0), &numbers, &Current::of_file(&[], 0, &numbers));
    let hosts = [("of it", &a), ("another", &b), ("own", &a)].map(|(name, labels)| host(name, labels));
    let remembered: [Remembered; 3] = Default::default();
    let told = |current: &Current, reports: Reports<'_>| {
        let all = hosts.iter().zip(&remembered);
        all.map(|(host, it)| version(&current.wanted_of(host, it, reports)).0).collect::<Vec<_>>()
    };
    assert_eq!(told(&before, &|_| None), ["1 start", "1 start", "9 start"]);
    let numbers_before: Vec<u32> = remembered.iter().map(Remembered::get).collect();
    let answer = before.wanted_of(&hosts[1], &remembered[1], &|_| None);
    let of: Vec<usize> =
        hosts.iter().zip(&remembered).map(|(host, it)| before.base_of(host, it).of().len()).collect();
    assert_eq!(of, [1, 0, 0], "a stronger policy shields its host");

    let after = before.after_step(3, &running(u64::MAX), 6);
    assert_eq!(told(&after, &|_| None), ["2 start", "1 start", "9 start"]);
    assert_eq!(remembered.iter().map(Remembered::get).collect::<Vec<_>>(), numbers_before);
    // Not even its bytes are made again.
    assert!(Arc::ptr_eq(&answer, &after.wanted_of(&hosts[1], &remembered[1], &|_| None)));
    let agent = after.wanted_of(&hosts[0], &remembered[0], &|_| None).agents[0].clone();
    assert_eq!(agent.rollout, Some(3));

    // While it is paused, who has it keeps it.
    let paused = Progress { state: State::Paused, ..running(u64::MAX) };
    let after = after.after_step(3, &paused, 7);
    assert_eq!(told(&after, &|_| None)[0], "1 start");
    let there = ops_wire::Status::Started;
    let real = crate::domain::conformity::Real { version: "2", status: &there, phase: None, error_code: "" };
    assert_eq!(told(&after, &|_| Some(Says { real, rollout: Some(3) }))[0], "2 start");
}

#[test]
fn what_is_remembered_counts_for_one_generation() {
    let numbers = Arc::new(Numbers::default());
    let labels = BTreeMap::new();
    let host = |hostname| HostFacts { hostname, os: "", arch: "", ip: None, labels: &labels };
    let (one, other) = (Remembered::default(), Remembered::default());
    let nothing = Current::of_file(&[], 0, &numbers);
    let first = current(rules("1"), 7, &numbers, &nothing);
    for _ in 0..2 {
        assert_eq!(version(&first.wanted_of(&host("web-2"), &one, &|_| None)), ("1 start".to_owned(), 7));
        assert_eq!(version(&first.wanted_of(&host("web-1"), &other, &|_| None)), ("1 stop".to_owned(), 7));
    }
    let kept = one.clone();
    let second = current(rules("2"), 8, &numbers, &first);
    for remembered in [&one, &kept] {
        assert_eq!(
            version(&second.wanted_of(&host("web-2"), remembered, &|_| None)),
            ("2 start".to_owned(), 8)
        );
    }
    // The older one, still in somebody's hands, answers as before and is not remembered.
    let late = Remembered::default();
    assert_eq!(version(&first.wanted_of(&host("web-3"), &late, &|_| None)), ("1 start".to_owned(), 7));
    assert_eq!(version(&second.wanted_of(&host("web-3"), &late, &|_| None)), ("2 start".to_owned(), 8));
}
