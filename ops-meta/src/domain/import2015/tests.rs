#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use ops_wire::{Cmd, Md5};
use proptest::prelude::*;

use super::super::precedence::{Group, Rules};
use super::super::selector::HostFacts;
use super::*;

/// version, tarball, md5, cmd, as the file has them.
type Fields = [&'static str; 4];

fn policy(name: &str, default: Fields, others: &[(&str, Fields)]) -> policy2015::Policy {
    let order = |[version, tarball, md5, cmd]: Fields| policy2015::Order {
        version: version.parse().ok(),
        tarball: tarball.to_owned(),
        md5: Md5::read(md5),
        cmd: Cmd::read(cmd),
    };
    let other = |(prefix, fields): &(&str, Fields)| policy2015::Other {
        prefix: (*prefix).into(),
        order: order(*fields),
    };
    policy2015::Policy {
        name: name.parse().unwrap(),
        default: order(default),
        others: others.iter().map(other).collect(),
    }
}

fn rules(imported: &Imported) -> Rules {
    let group = |group: &ImportedGroup| Group {
        name: group.name.as_str().into(),
        selector: Selector::parse(&group.select, &Lists::new()).unwrap(),
        priority: group.priority,
        windows: Vec::new(),
    };
    Rules::new(imported.groups.iter().map(group).collect(), imported.policies.clone()).unwrap()
}

/// What each agent should be, field by field.
fn decided(rules: &Rules, hostname: &str) -> BTreeMap<String, [String; 4]> {
    let labels = BTreeMap::new();
    let decisions = rules.decide(&HostFacts { hostname, os: "", arch: "", ip: None, labels: &labels });
    let shown = |order: &Order| {
        let version = order.version.as_ref().map_or_else(String::new, ToString::to_string);
        let md5 = serde_json::to_value(&order.md5).unwrap();
        [version, order.tarball.clone(), md5.as_str().unwrap().to_owned(), order.cmd.as_str().to_owned()]
    };
    decisions.iter().map(|it| (it.agent.to_string(), shown(&it.order))).collect()
}

#[test]
fn a_usual_file_becomes_few_groups_with_plain_names() {
    let imported = imported(&[
        policy(
            "falcon-agent",
            ["5.1.0", "http://t/falcon", "", "start"],
            &[
                ("bj-", ["5.0.0", "", "", ""]),
                ("sh-", ["5.0.1", "", "", ""]),
                ("lg-dinp", ["4.0.0", "http://t/dinp", "", ""]),
                // For more hosts than the one before, and later: its version is theirs.
                ("lg-", ["4.1.0", "", "", ""]),
            ],
        ),
        // The other way round, which is the same.
        policy(
            "updater",
            ["1.0", "http://t/updater", "", "start"],
            &[("sh-", ["", "", "", "stop"]), ("bj-", ["1.1", "", "", ""]), ("bj-", ["1.2", "", "", ""])],
        ),
    ]);
    assert_eq!(
        document(&imported),
        json!({
            "groups": {
                "prefix-bj": {"select": "hostname=bj-*", "priority": 10},
                "prefix-lg": {"select": "hostname=lg-*", "priority": 10},
                "prefix-lg-dinp": {"select": "hostname=lg-dinp*", "priority": 20},
                "prefix-sh": {"select": "hostname=sh-*", "priority": 10},
            },
            "policies": [
                {"agent": "falcon-agent", "version": "5.1.0", "tarball": "http://t/falcon", "cmd": "start"},
                {"agent": "falcon-agent", "group": "prefix-bj", "version": "5.0.0"},
                {"agent": "falcon-agent", "group": "prefix-lg", "version": "4.1.0"},
                {"agent": "falcon-agent", "group": "prefix-lg-dinp", "tarball": "http://t/dinp"},
                {"agent": "falcon-agent", "group": "prefix-sh", "version": "5.0.1"},
                {"agent": "updater", "version": "1.0", "tarball": "http://t/updater", "cmd": "start"},
                {"agent": "updater", "group": "prefix-bj", "version": "1.2"},
                {"agent": "updater", "group": "prefix-sh", "cmd": "stop"},
            ],
        })
    );
    assert_eq!(imported.left_out, []);
}

#[test]
fn an_entry_that_says_the_same_as_the_default_stays() {
    let imported = imported(&[policy("a", ["1", "", "", "start"], &[("bj-", ["1", "", "", ""])])]);
    assert_eq!(imported.groups.len(), 1, "when the default goes on to 2, these do not");
}

#[test]
fn an_entry_for_everybody_is_the_default() {
    let imported = imported(&[policy("a", ["1", "", "", "start"], &[("", ["2", "", "", ""])])]);
    assert_eq!(
        document(&imported),
        json!({"groups": {}, "policies": [{"agent": "a", "version": "2", "cmd": "start"}]})
    );
}

#[test]
fn names_tell_prefixes_apart() {
    let long = "x".repeat(100);
    let longer = format!("{long}y");
    let prefixes = ["", "*", "-", "?", "a..b", "lg", "lg-", "lg-2", "lg.", "ä", &long, &longer, "two words"];
    let others: Vec<_> = prefixes.iter().map(|prefix| (*prefix, ["1", "", "", ""])).collect();
    let imported = imported(&[policy("a", ["", "", "", ""], &others)]);
    let names: Vec<&str> = imported.groups.iter().map(|group| &*group.name).collect();
    let cut = format!("prefix-{}", &long[..SPELLED_CHARS_MAX]);
    assert_eq!(
        names,
        [
            "prefix-_",
            "prefix--",
            "prefix-_-2",
            "prefix-a._b",
            "prefix-lg",
            "prefix-lg-",
            "prefix-lg-2",
            "prefix-lg.",
            &cut,
            &format!("{cut}-2"),
            "prefix-_-3",
        ]
    );
    let left_out: Vec<String> = imported.left_out.iter().map(ToString::to_string).collect();
    assert_eq!(
        left_out,
        ["what a should be on hosts that begin with \"two words\" is left out: no hostname does"]
    );
}

#[test]
fn the_longest_hostnames_are_selected_too() {
    for prefix in ["*".repeat(253), "?".repeat(253), "ä".repeat(126) + "*", "\\".repeat(253), "~".repeat(253)]
    {
        let selector = Selector::parse(&select(&prefix).unwrap(), &Lists::new());
        assert!(selector.is_ok(), "{prefix}: {selector:?}");
    }
}

fn fields() -> impl Strategy<Value = Fields> {
    let field = |values: &'static [&'static str]| prop::sample::select(values);
    let digest = "0123456789abcdef0123456789abcdef";
    let fields = (
        field(&["", "", "1", "2", "3"]),
        field(&["", "", "http://t", "http://u"]),
        prop::sample::select(vec!["", "", "http://m", digest]),
        field(&["", "", "start", "stop", "uninstall"]),
    );
    fields.prop_map(|(version, tarball, md5, cmd)| [version, tarball, md5, cmd])
}

fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["a", "a", "a", "b", "-", "*", "?", ".", "\"", "\\", "~", "ä", " "][..])
}

fn text(pieces: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), pieces).prop_map(|pieces| pieces.concat())
}

/// As 2015 has it: every entry that matches overrides with what is not empty.
fn by_hand(default: Fields, others: &[(String, Fields)], hostname: &str) -> [String; 4] {
    let mut result = default;
    for (prefix, fields) in others {
        if hostname.as_bytes().get(..prefix.len()) == Some(prefix.as_bytes()) {
            for n in 0..4 {
                result[n] = if fields[n].is_empty() { result[n] } else { fields[n] };
            }
        }
    }
    result.map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn every_hostname_is_answered_as_in_2015(
        agents in prop::collection::vec((fields(), prop::collection::vec((text(0..4), fields()), 0..8)), 0..4),
        others in prop::collection::vec(text(1..6), 4),
    ) {
        let named = || agents.iter().enumerate().map(|(n, agent)| (format!("agent{n}"), agent));
        let policies: Vec<_> = named().map(|(name, (default, others))| {
            let others: Vec<_> = others.iter().map(|(prefix, fields)| (prefix.as_str(), *fields)).collect();
            policy(&name, *default, &others)
        }).collect();
        let imported = imported(&policies);
        let rules = rules(&imported);
        let prefixes = || agents.iter().flat_map(|(_, others)| others).map(|(prefix, _)| prefix);
        let beyond = prefixes().flat_map(|prefix| ["", "a", "-", "*", "\"", "\\"].map(|end| format!("{prefix}{end}")));
        for hostname in beyond.chain(others).filter(|it| Hostname::check(it).is_ok()) {
            let expected: BTreeMap<_, _> = named().map(|(name, (default, others))| {
                (name, by_hand(*default, others, &hostname))
            }).collect();
            prop_assert_eq!(decided(&rules, &hostname), expected, "{}", hostname);
        }

        let distinct: BTreeSet<_> = prefixes().collect();
        prop_assert!(imported.groups.len() <= distinct.len());
        for ImportedGroup { name, select, .. } in &imported.groups {
            // As strict as the names of groups.
            prop_assert!(name.parse::<ops_wire::Version>().is_ok(), "{}", name);
            prop_assert_eq!(&Selector::parse(select, &Lists::new()).unwrap().to_string(), select);
        }
    }
}
