#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use ops_package::Platform;
use ops_wire::HexDigest;
use serde_json::{Value, json};

use super::requires::meets;
use super::*;
use crate::domain::desired::{Desired, Document};
use crate::domain::selector::HostFacts;

const HERE: &str = "http://meta:2000/packages";

fn stocked(digit: &str, requires: &[(&str, &str)]) -> Stocked {
    let requires = requires.iter().map(|(agent, it)| (agent.parse().unwrap(), it.parse().unwrap()));
    Stocked {
        folder: String::new(),
        sha256: HexDigest::sha256(&digit.repeat(64)).unwrap(),
        size: 10,
        unpacked_size: 20,
        signature: String::new(),
        trial_secs: Some(30),
        requires: requires.collect(),
        deprecated: None,
    }
}

fn compiled(policies: Value) -> Compiled {
    let document: Document = serde_json::from_value(json!({ "policies": policies })).unwrap();
    let mut shelf = Shelf::default();
    let mut put = |name: &str, version: &str, os: &str, arch: &str, stocked: Stocked| {
        let platform = Platform::new(os, arch).unwrap();
        shelf.put(name.parse().unwrap(), version.parse().unwrap(), platform, stocked);
    };
    put("any", "1", "", "", stocked("0", &[]));
    put("any", "1", "linux", "aarch64", stocked("1", &[]));
    put("special", "1", "linux", "x86_64", stocked("2", &[]));
    put("needs", "1", "", "", stocked("3", &[("any", ">=1")]));
    put("needs", "2", "", "", stocked("4", &[("any", ">=2")]));
    put("chain", "1", "", "", stocked("5", &[("needs", "*")]));
    let rules = Desired::check(document, &Desired::default()).unwrap().0.rules().clone();
    Compiled { rules, shelf, packages_url: Some(HERE.to_owned()) }
}

/// By agent: what the host is told, or why it is not.
fn told(policies: Value, arch: &str) -> BTreeMap<String, Result<DesiredAgent, String>> {
    let compiled = compiled(policies);
    let labels = BTreeMap::new();
    let host = HostFacts { hostname: "h", os: "linux", arch, ip: None, labels: &labels };
    let all = compiled.ordered_of(compiled.rules.decide(&host), host.os, host.arch).into_iter();
    all.map(|it| (it.decision.agent.to_string(), it.told.map_err(|why| why.to_string()))).collect()
}

#[test]
fn a_package_says_what_it_is_and_where() {
    for (arch, tarball, digit) in
        [("x86_64", HERE.to_owned(), "0"), ("aarch64", format!("{HERE}/linux-aarch64"), "1")]
    {
        let all = told(json!([{"agent": "any", "version": "1", "cmd": "start"}]), arch);
        let agent = all["any"].as_ref().unwrap();
        assert_eq!((&agent.tarball, agent.sha256.as_ref().unwrap().as_str()), (&tarball, &*digit.repeat(64)));
        assert_eq!((agent.size, agent.unpacked_size, agent.trial_secs), (Some(10), Some(20), Some(30)));
    }
}

#[test]
fn what_a_policy_says_wins_and_what_lies_elsewhere_is_not_looked_for() {
    let all = told(
        json!([
            {"agent": "any", "version": "1", "cmd": "start", "trialSecs": 5, "tarball": "http://meta:2000/packages/"},
            {"agent": "other", "version": "7", "cmd": "start", "tarball": "http://cdn"},
            {"agent": "special", "version": "7", "cmd": "stop"},
        ]),
        "x86_64",
    );
    assert_eq!(all["any"].as_ref().unwrap().trial_secs, Some(5));
    let other = all["other"].as_ref().unwrap();
    assert_eq!((other.tarball.as_str(), &other.sha256), ("http://cdn", &None));
    assert_eq!(all["special"].as_ref().unwrap().cmd, Cmd::Stop);
}

#[test]
fn what_cannot_be_is_withheld_and_says_why() {
    for (policy, expected) in [
        (json!({"agent": "any", "cmd": "start"}), "no policy says which version is to be started"),
        (json!({"agent": "any", "version": "9", "cmd": "start"}), "there is no package any 9 here"),
        (
            json!({"agent": "special", "version": "1", "cmd": "start"}),
            "there is no package special 1 for linux-aarch64, only for linux-x86_64",
        ),
        (
            json!({"agent": "needs", "version": "1", "cmd": "start"}),
            "needs 1 requires any >=1, and any is not ordered",
        ),
    ] {
        let all = told(json!([policy]), "aarch64");
        let why = all.values().next().unwrap().as_ref().unwrap_err();
        assert!(why.starts_with(expected), "{why}");
    }
}

#[test]
fn what_requires_something_comes_with_it_or_not_at_all() {
    let any = json!({"agent": "any", "version": "1", "cmd": "start"});
    let chain = json!({"agent": "chain", "version": "1", "cmd": "start"});
    let needs = |version: &str| json!({"agent": "needs", "version": version, "cmd": "start"});
    let is_told =
        |policies: Value| -> Vec<bool> { told(policies, "x86_64").values().map(Result::is_ok).collect() };
    // any, chain, needs
    assert_eq!(is_told(json!([any, chain, needs("1")])), [true, true, true]);
    assert_eq!(is_told(json!([any, chain, needs("2")])), [true, false, false]);
    let stopped = json!({"agent": "any", "version": "1", "cmd": "stop"});
    assert_eq!(is_told(json!([stopped, chain, needs("1")])), [true, false, false]);
}

#[test]
fn versions_meet_requirements() {
    for (version, requirement, expected) in [
        ("1.10", ">=1.9", true),
        ("1.10", "<1.9", false),
        ("1.0", "1.0", true),
        ("1.0", "=1.1", false),
        ("2", ">2", false),
        ("2", "<=2", true),
        ("1~rc1", "<1", true),
        ("0", "*", true),
    ] {
        assert_eq!(meets(version, &requirement.parse().unwrap()), expected, "{version} {requirement}");
    }
}
