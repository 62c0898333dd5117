#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn document(json: Value) -> Document {
    serde_json::from_value(json).unwrap()
}

fn check(json: Value) -> Result<Desired, Vec<Fault>> {
    Desired::check(document(json), &Desired::default()).map(|(desired, _)| desired)
}

fn faults(json: Value) -> Vec<String> {
    check(json).unwrap_err().iter().map(|fault| fault.path.clone()).collect()
}

fn whole() -> Value {
    json!({
        "settings": {"packagesUrl": "http://meta:2000/packages", "confirmAbovePercent": 30},
        "lists": {"canaries": ["web-2", "web-1", "web-2"]},
        "groups": {
            "prod": {"select": "env=prod", "priority": 10, "description": "earns money"},
            "canary": {"select": "hostname in @canaries", "priority": 20},
        },
        "policies": [
            {"agent": "b", "host": "web-1", "cmd": "stop"},
            {"agent": "b", "group": "canary", "version": "2", "trialSecs": 60},
            {"agent": "b", "version": "1", "cmd": "start"},
            {"agent": "a", "version": "1", "cmd": "start", "tarball": "http://t", "md5": "http://m"},
        ],
    })
}

#[test]
fn what_is_right_is_sorted_and_kept_as_it_was_written() {
    let desired = check(whole()).unwrap();
    let shown = serde_json::to_value(desired.document()).unwrap();
    let mut expected = whole();
    expected["lists"]["canaries"] = json!(["web-1", "web-2"]);
    expected["policies"].as_array_mut().unwrap().reverse();
    // A group's comes before a host's.
    assert_eq!(shown, expected);
    assert_eq!(desired.rules().policies().count(), 4);
    assert_eq!(desired.confirm_above_percent(), 30);
    assert_eq!(Desired::default().confirm_above_percent(), 25);
}

#[test]
fn all_faults_are_told_at_once_and_each_where_it_is() {
    let found = faults(json!({
        "settings": {"packagesUrl": "meta:2000", "confirmAbovePercent": 101},
        "lists": {"a/b": [], "words": ["a", ""]},
        "groups": {
            "..": {"select": "all"},
            "typo": {"select": "evn=prod adn os=linux"},
            "nolist": {"select": "hostname in @nowhere", "priority": 9_000_000},
        },
        "policies": [
            {"agent": "../x"},
            {"agent": "a", "group": "prd"},
            {"agent": "a", "group": "typo", "host": "h"},
            {"agent": "a", "host": "a b", "version": "1/2", "cmd": "restart", "sha256": "abc"},
            {"agent": "a", "tarball": "-O /etc/passwd", "mirrors": ["a b"], "trialSecs": 90_000},
            {"agent": "a", "configFileName": "control", "runUser": "a/b"},
        ],
    }));
    assert_eq!(
        found,
        [
            "settings.packagesUrl",
            "settings.confirmAbovePercent",
            "lists.a/b",
            "lists.words",
            "groups...",
            "groups.nolist.priority",
            "groups.nolist.select",
            "groups.typo.select",
            "policies[0].agent",
            "policies[1].group",
            "policies[2]",
            "policies[3].host",
            "policies[3].version",
            "policies[3].cmd",
            "policies[3].sha256",
            "policies[4].tarball",
            "policies[4].mirrors[0]",
            "policies[4].trialSecs",
            "policies[5].runUser",
            "policies[5].configFileName",
            "policies[5]",
        ]
    );
}

#[test]
fn a_fault_says_what_was_meant() {
    let why = |json: Value| check(json).unwrap_err()[0].to_string();
    assert_eq!(
        why(json!({"groups": {"prod": {"select": "all"}}, "policies": [{"agent": "a", "group": "prd"}]})),
        "`policies[0].group`: there is no group \"prd\"; prod, perhaps?"
    );
    let shown = why(json!({"groups": {"g": {"select": "env=prod adn os=linux"}}}));
    assert!(shown.starts_with("`groups.g.select`: column 10\nenv=prod adn os=linux\n         ^ "), "{shown}");
}

#[test]
fn a_policy_stands_there_once() {
    let twice = json!({"policies": [{"agent": "a", "version": "1"}, {"agent": "a", "version": "2"}]});
    assert_eq!(faults(twice), ["policies[1]"]);
}

#[test]
fn differences_are_told_object_by_object() {
    let before = check(whole()).unwrap();
    let mut json = whole();
    json["groups"]["prod"]["priority"] = json!(11);
    json["policies"].as_array_mut().unwrap().remove(0);
    json["lists"]["new"] = json!(["x"]);
    let after = check(json).unwrap();
    let told: Vec<_> = differences(before.document(), after.document())
        .iter()
        .map(|it| format!("{} {}", it.object, it.what()))
        .collect();
    assert_eq!(told, ["list new created", "group prod changed", "policy b for host web-1 deleted"]);
    assert_eq!(differences(after.document(), after.document()), []);
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(&["a", "b", "c"][..]).prop_map(str::to_owned)
}

fn any_document() -> impl Strategy<Value = Document> {
    let group = ("[ab]", -3..3_i32).prop_map(|(value, priority)| GroupText {
        select: format!("env={value}"),
        priority,
        ..GroupText::default()
    });
    let policy =
        (name(), prop::sample::select(&["", "a", "b"][..]), "[12]?").prop_map(|(agent, group, version)| {
            PolicyText { agent, group: group.to_owned(), version, ..PolicyText::default() }
        });
    let groups = prop::collection::btree_map(name(), group, 0..4);
    let lists = prop::collection::btree_map(name(), prop::collection::vec("[a-c]", 0..4), 0..3);
    (groups, lists, prop::collection::vec(policy, 0..6)).prop_map(|(groups, lists, policies)| Document {
        groups,
        lists,
        policies,
        ..Document::default()
    })
}

proptest! {
    /// What the database is told makes of the one document the other.
    #[test]
    fn differences_lead_from_one_to_the_other(one in any_document(), other in any_document()) {
        let check = |document| Desired::check(document, &Desired::default()).map(|(desired, _)| desired);
        if let (Ok(one), Ok(other)) = (check(one), check(other)) {
            let mut objects = one.document().objects();
            for Difference { object, before, after } in differences(one.document(), other.document()) {
                prop_assert_eq!(objects.remove(&object), before);
                objects.extend(after.map(|value| (object, value)));
            }
            let mut document = Document::default();
            for (object, value) in objects {
                document.put(object.kind(), &object.name(), value).unwrap();
            }
            let again = check(document).unwrap();
            prop_assert_eq!(again.document(), other.document());
        }
    }
}

#[test]
fn an_object_is_no_array_of_its_fields() {
    for array in [
        json!({"settings": ["http://meta", 30]}),
        json!({"groups": {"prod": ["env=prod", 10, ""]}}),
        json!({"policies": [["a"]]}),
    ] {
        let why = serde_json::from_value::<Document>(array).unwrap_err().to_string();
        assert!(why.contains("expected an object"), "{why}");
    }
}
