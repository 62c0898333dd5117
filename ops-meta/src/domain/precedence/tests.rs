#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use ops_wire::{Cmd, HexDigest, Md5};
use proptest::prelude::*;

use super::super::selector::tests::{Host, lists, naive};
use super::super::selector::{HostFacts, Lists};
use super::*;

static NO_LABELS: BTreeMap<String, String> = BTreeMap::new();

fn host(hostname: &str) -> HostFacts<'_> {
    HostFacts { hostname, os: "", arch: "", ip: None, labels: &NO_LABELS }
}

fn group(name: &str, selector: &str, priority: i32) -> Group {
    let selector = Selector::parse(selector, &Lists::new()).unwrap();
    Group { name: name.into(), selector, priority, windows: Vec::new() }
}

/// The scope is `*`, `group NAME` or `host NAME`.
fn policy(scope: &str, version: &str, cmd: &str) -> Policy {
    let scope = match scope.split_once(' ') {
        Some(("group", name)) => Scope::Group(name.into()),
        Some((_, name)) => Scope::Host(name.into()),
        None => Scope::Default,
    };
    let order = Order { version: version.parse().ok(), cmd: Cmd::read(cmd), ..Order::default() };
    Policy { agent: "a".parse().unwrap(), scope, order }
}

fn digest(digit: &str) -> Option<HexDigest> {
    HexDigest::sha256(&digit.repeat(64))
}

/// Version, cmd, and who gave them.
fn decided(rules: &Rules, hostname: &str) -> String {
    let of = |decision: &Decision<'_>| {
        let given =
            |field: &Field| decision.givers.get(field).map_or("nobody".to_owned(), |it| it.scope.to_string());
        let version = decision.order.version.as_ref().map_or("", |version| version.as_str());
        let (by, cmd) = (given(&Field::Version), given(&Field::Cmd));
        format!("{version} by {by}, {} by {cmd}", decision.order.cmd.as_str())
    };
    rules.decide(&host(hostname)).iter().map(of).collect()
}

#[test]
fn the_stronger_wins_and_what_it_leaves_empty_is_inherited() {
    let groups = vec![
        group("bj", "hostname=bj-*", 10),
        group("web", "hostname=*-web*", 20),
        group("alpha", "hostname=*-x", 20),
        group("beta", "hostname=bj-x", 20),
        group("nobody", "not all", 99),
        group("idle", "all", 100),
    ];
    let policies = vec![
        policy("*", "1", "start"),
        policy("group bj", "2", ""),
        policy("group web", "3", "stop"),
        policy("group alpha", "4", "stop"),
        policy("group beta", "5", ""),
        policy("group nobody", "6", "uninstall"),
        policy("host bj-web7", "7", ""),
        policy("host BJ-WEB7", "8", ""),
    ];
    let rules = Rules::new(groups, policies).unwrap();
    for (hostname, expected) in [
        ("sh-db1", "1 by all hosts, start by all hosts"),
        ("bj-db1", "2 by group bj, start by all hosts"),
        ("sh-web1", "3 by group web, stop by group web"),
        ("bj-web1", "3 by group web, stop by group web"),
        ("bj-x", "5 by group beta, stop by group alpha"),
        ("bj-web7", "7 by host bj-web7, stop by group web"),
    ] {
        assert_eq!(decided(&rules, hostname), expected, "{hostname}");
    }
    let groups =
        |hostname| rules.groups_of(&host(hostname)).map(|it| it.name.to_string()).collect::<Vec<_>>();
    assert_eq!(groups("bj-x"), ["bj", "alpha", "beta", "idle"]);
    assert_eq!(groups("db"), ["idle"]);
}

#[test]
fn hosts_in_the_same_groups_run_the_same_unless_one_has_its_own() {
    let groups = vec![group("all", "all", 0), group("bj", "hostname=bj-*", 1), group("idle", "all", 2)];
    let policies =
        vec![policy("group all", "1", ""), policy("group bj", "2", ""), policy("host bj-x", "3", "")];
    let rules = Rules::new(groups, policies).unwrap();
    let mut groups = vec![7];
    for (hostname, expected, own) in
        [("bj-web1", &[1, 2][..], false), ("bj-x", &[1, 2], true), ("sh", &[2], false)]
    {
        rules.deciding_groups(&host(hostname), &mut groups);
        assert_eq!((&*groups, rules.has_own(hostname)), (expected, own), "{hostname}");
        assert_eq!(rules.decide_with(&groups, hostname, &[]), rules.decide(&host(hostname)));
    }
    assert_eq!(rules.decide_with(&[1, 2], "bj-web1", &[]), rules.decide_with(&[1, 2], "bj-web2", &[]));
}

#[test]
fn a_digest_goes_with_the_version_it_describes() {
    let with = |scope, version, sha256| {
        let Policy { agent, scope, order } = policy(scope, version, "start");
        Policy { agent, scope, order: Order { sha256: digest(sha256), size: Some(7), ..order } }
    };
    let policies = vec![
        with("*", "1", "a"),
        policy("host other", "2", ""),
        policy("host silent", "", "stop"),
        policy("host same", "1", ""),
    ];
    let rules = Rules::new(vec![], policies).unwrap();
    let whole = (digest("a"), Some(7));
    for (hostname, expected) in
        [("web", &whole), ("silent", &whole), ("same", &whole), ("other", &(None, None))]
    {
        let decisions = rules.decide(&host(hostname));
        let desired = decisions[0].desired();
        assert_eq!(&(desired.sha256, desired.size), expected, "{hostname}");
    }
}

#[test]
fn a_policy_may_say_a_digest_for_the_version_of_a_weaker_one() {
    let strong =
        Policy { order: Order { sha256: digest("b"), ..Order::default() }, ..policy("host web", "", "") };
    let rules = Rules::new(vec![], vec![policy("*", "1", "start"), strong]).unwrap();
    let decision = &rules.decide(&host("web"))[0];
    assert_eq!(decision.order.sha256, digest("b"));
    assert_eq!(decision.givers[&Field::Sha256].scope, Scope::Host("web".into()));
    assert_eq!(decision.givers[&Field::Version].scope, Scope::Default);
}

#[test]
fn every_field_reaches_the_wire_and_is_inherited() {
    let full = Order {
        version: "1".parse().ok(),
        cmd: Cmd::Start,
        tarball: "http://t".to_owned(),
        md5: Md5::read("http://m"),
        sha256: digest("c"),
        signature: "s".to_owned(),
        size: Some(1),
        unpacked_size: Some(2),
        mirrors: vec!["http://n".to_owned()],
        trial_secs: Some(3),
        run_user: "u".to_owned(),
        config_file_name: "f".to_owned(),
        config_remote_url: "http://c".to_owned(),
        config_sha256: digest("d"),
    };
    let default = Policy { order: full.clone(), ..policy("*", "", "") };
    let rules = Rules::new(vec![], vec![default.clone(), policy("host web", "", "")]).unwrap();
    let decision = &rules.decide(&host("web"))[0];
    assert_eq!(decision.order, full);
    assert_eq!(decision.policies.len(), 2);
    let wire = serde_json::to_value(decision.desired()).unwrap();
    for &field in Field::ALL {
        assert_eq!(decision.givers[&field], &default, "{field}");
        assert!(
            wire.get(field.as_str()).is_some_and(|value| !value.is_null() && value != ""),
            "{field}: {wire}"
        );
    }
}

#[test]
fn rules_that_contradict_each_other_are_none() {
    let groups = vec![group("g", "all", 1), group("g", "not all", 1)];
    let policies = vec![
        policy("*", "1", ""),
        policy("group x", "1", ""),
        policy("*", "2", ""),
        policy("group g", "1", ""),
    ];
    let faults = Rules::new(groups, policies).unwrap_err();
    let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        faults,
        [
            "there are two groups g; call one otherwise",
            "there are two policies of a for all hosts; make them one",
            "a policy of a is for group x, which is not there; make it, or name another",
        ]
    );
}

fn order() -> impl Strategy<Value = Order> {
    let version = prop::sample::select(&["", "1", "2"]);
    let cmd = prop::sample::select(&["", "start", "stop"]);
    let text = prop::sample::select(&["", "x", "y"]);
    let sha256 = prop::sample::select(&["", "a", "b"]);
    (version, cmd, text, sha256).prop_map(|(version, cmd, tarball, sha256)| Order {
        version: version.parse().ok(),
        cmd: Cmd::read(cmd),
        tarball: tarball.to_owned(),
        sha256: digest(sha256),
        ..Order::default()
    })
}

fn agent() -> impl Strategy<Value = AgentName> {
    prop::sample::select(&["one", "two"]).prop_map(|name: &str| name.parse().unwrap())
}

fn groups() -> impl Strategy<Value = Vec<Group>> {
    let selector = prop::sample::select(&[
        "all",
        "hostname=a*",
        "hostname=*b",
        "not hostname=a*",
        "hostname in (ab, ba)",
    ]);
    let groups = prop::collection::btree_map("[g-i]", (selector, 0..3), 0..4);
    groups.prop_map(|groups| {
        groups.iter().map(|(name, (text, priority))| group(name, text, *priority)).collect()
    })
}

fn rules() -> impl Strategy<Value = (Vec<Group>, Vec<Policy>)> {
    groups().prop_flat_map(|groups| {
        let names = groups.iter().map(|group| Scope::Group(group.name.clone()));
        let hosts = ["ab", "ba"].map(|host| Scope::Host(host.into()));
        let scopes: Vec<_> = names.chain(hosts).chain([Scope::Default]).collect();
        let policies = prop::collection::btree_map((agent(), prop::sample::select(scopes)), order(), 0..10);
        let policies = policies.prop_map(|policies| {
            policies.into_iter().map(|((agent, scope), order)| Policy { agent, scope, order }).collect()
        });
        (Just(groups), policies)
    })
}

/// Groups by any selector, and policies of some of them.
fn any_rules() -> impl Strategy<Value = (Vec<Group>, Vec<Policy>)> {
    prop::collection::vec((naive::selector(), -1..2, any::<bool>()), 0..12).prop_map(|groups| {
        let (mut made, mut policies) = (Vec::new(), Vec::new());
        for (n, (naive, priority, has_policy)) in groups.into_iter().enumerate() {
            let selector = Selector::parse(&naive.written(), &lists()).unwrap();
            let name = format!("g{n}");
            policies.extend(has_policy.then(|| policy(&format!("group {name}"), &n.to_string(), "")));
            made.push(Group { name: name.into(), selector, priority, windows: Vec::new() });
        }
        (made, policies)
    })
}

/// The names of the groups that a look at every selector finds, the strongest first.
fn looked_at<'a>(groups: &'a [Group], host: &Host) -> Vec<&'a str> {
    let mut found: Vec<_> = groups.iter().filter(|group| group.selector.matches(&host.facts())).collect();
    found.sort_by_key(|group| Reverse((group.priority, &group.name)));
    found.into_iter().map(|group| &*group.name).collect()
}

/// The rules as the sentence says them: from the weakest on, whatever is not empty overrides, and a digest is one of the
/// version so far.
fn by_hand(groups: &[Group], policies: &[Policy], agent: &AgentName, hostname: &str) -> Order {
    let rank = |scope: &Scope| match scope {
        Scope::Default => Some((0, 0, String::new())),
        Scope::Group(name) => {
            let group = groups.iter().find(|group| group.name == *name)?;
            group.selector.matches(&host(hostname)).then(|| (1, group.priority, name.to_string()))
        }
        Scope::Host(name) => (**name == *hostname).then(|| (2, 0, String::new())),
    };
    let mut ranked: Vec<_> = policies.iter().filter(|policy| policy.agent == *agent).collect();
    ranked.retain(|policy| rank(&policy.scope).is_some());
    ranked.sort_by_key(|policy| rank(&policy.scope));
    let mut order = Order::default();
    let mut digests = BTreeMap::new();
    for Policy { order: new, .. } in ranked {
        if new.version.is_some() {
            order.version.clone_from(&new.version);
        }
        if new.cmd != Cmd::Blank {
            order.cmd.clone_from(&new.cmd);
        }
        if !new.tarball.is_empty() {
            order.tarball.clone_from(&new.tarball);
        }
        if new.sha256.is_some() {
            digests.insert(order.version.clone(), new.sha256.clone());
        }
    }
    order.sha256 = digests.remove(&order.version).flatten();
    order
}

proptest! {
    #[test]
    fn what_is_decided_is_what_is_worked_out_by_hand((groups, policies) in rules(), hostname in "[abc]{1,2}") {
        let rules = Rules::new(groups.clone(), policies.clone()).unwrap();
        let decisions = rules.decide(&host(&hostname));
        for decision in &decisions {
            let expected = by_hand(&groups, &policies, decision.agent, &hostname);
            prop_assert_eq!(&decision.order, &expected);
            for &field in Field::ALL {
                prop_assert_eq!(decision.givers.contains_key(&field), field.is_set(&decision.order));
            }
        }
        let agents: BTreeSet<_> = decisions.iter().map(|decision| decision.agent).collect();
        for policy in policies.iter().filter(|policy| policy.scope == Scope::Default) {
            prop_assert!(agents.contains(&policy.agent));
        }
    }

    #[test]
    fn what_is_carried_over_is_what_is_found_anew(
        (groups, policies) in any_rules(),
        (other_groups, other_policies) in any_rules(),
        kept in prop::collection::vec(any::<bool>(), 16),
        hosts in prop::collection::vec(naive::host(), 1..8),
    ) {
        // Some of the groups stay as they were.
        let of_before = groups.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(group, _)| group.clone());
        let mut after_groups: Vec<Group> = of_before.collect();
        let is_new = |group: &Group, all: &[Group]| all.iter().all(|it| it.name != group.name);
        for group in other_groups {
            if is_new(&group, &after_groups) {
                after_groups.push(group);
            }
        }
        let mut after_policies = other_policies;
        after_policies.retain(|policy| match &policy.scope {
            Scope::Group(name) => after_groups.iter().any(|group| group.name == *name),
            _ => true,
        });
        let before = Rules::new(groups, policies).unwrap();
        let after = Rules::new(after_groups, after_policies).unwrap();
        let carry = Carry::new(&before, &after);
        let (mut was, mut asked, mut is) = (Vec::new(), Vec::new(), Vec::new());
        for host in &hosts {
            before.deciding_groups(&host.facts(), &mut was);
            carry.asked_of(&host.facts(), &after, &mut asked);
            after.deciding_groups(&host.facts(), &mut is);
            prop_assert_eq!(&carry.groups(&was, &asked), &is);
        }
    }

    #[test]
    fn no_group_is_found_but_those_that_a_look_at_every_selector_finds(
        (groups, policies) in any_rules(),
        hosts in prop::collection::vec(naive::host(), 1..8),
    ) {
        let rules = Rules::new(groups.clone(), policies.clone()).unwrap();
        let mut numbers = Vec::new();
        for host in &hosts {
            let mut expected = looked_at(&groups, host);
            let mut found: Vec<_> = rules.groups_of(&host.facts()).map(|group| &*group.name).collect();
            found.reverse();
            prop_assert_eq!(&found, &expected);
            expected.retain(|name| policies.iter().any(|policy| policy.scope == Scope::Group((*name).into())));
            rules.deciding_groups(&host.facts(), &mut numbers);
            let decisions = rules.decide_with(&numbers, host.facts().hostname, &[]);
            let applied = decisions.iter().flat_map(|decision| &decision.policies);
            let applied: Vec<_> = applied.map(|policy| policy.scope.to_string()).collect();
            prop_assert_eq!(applied, expected.iter().map(|name| format!("group {name}")).collect::<Vec<_>>());
            prop_assert_eq!(numbers.len(), expected.len());
        }
    }

    #[test]
    fn the_order_of_what_was_given_does_not_matter(
        (given, shuffled) in rules().prop_flat_map(|(groups, policies)| {
            let shuffled = (Just(groups.clone()).prop_shuffle(), Just(policies.clone()).prop_shuffle());
            (Just((groups, policies)), shuffled)
        }),
        hostname in "[abc]{1,2}",
    ) {
        let [one, other] = [given, shuffled].map(|(groups, policies)| Rules::new(groups, policies).unwrap());
        prop_assert_eq!(one.decide(&host(&hostname)), other.decide(&host(&hostname)));
    }
}
