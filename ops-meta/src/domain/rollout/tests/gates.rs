//! What keeps hosts from beginning.

use std::iter;

use super::*;
use crate::domain::freeze::{Freeze, Frozen};
use crate::domain::precedence::Group;
use crate::domain::selector::Selector;

fn group(name: &str, windows: Value) -> Group {
    let texts: Vec<WindowText> = serde_json::from_value(windows).unwrap();
    let windows = Window::check_all(&texts, |field, why| panic!("{field}: {why}"));
    Group {
        name: name.into(),
        selector: Selector::parse("all", &Lists::new()).unwrap(),
        priority: 0,
        windows,
    }
}

fn freeze(id: u64, of: Frozen) -> Freeze {
    Freeze { id, of, why: "sales week".to_owned(), actor: "anna".to_owned(), since: NOW }
}

/// NOW is 08:00 on a Friday.
fn gates(freezes: Vec<Freeze>) -> Gates {
    let night = json!([{"start": "22:00", "durationSecs": 3600}]);
    let day = json!([{"start": "07:00", "durationSecs": 7200}]);
    let groups = [group("night", night), group("day", day), group("any", json!([]))];
    Gates::at(NOW, freezes.into(), groups.iter())
}

#[test]
fn a_freeze_or_a_closed_window_keeps_hosts_from_beginning() {
    let agent = |name: &str| name.parse().unwrap();
    for (freezes, groups, expected) in [
        (vec![], &["any", "day"][..], None),
        (
            vec![],
            &["any", "night", "day"],
            Some("no maintenance window of group night is open, the next one opens at 2027-01-15 22:00:00Z"),
        ),
        (
            vec![Frozen::All],
            &[],
            Some("all changes are frozen since 2027-01-15 08:00:00Z by anna (freeze 1): sales week"),
        ),
        (vec![Frozen::Agent(agent("a"))], &["night"], Some("changes of agent a are frozen")),
        (vec![Frozen::Agent(agent("b"))], &[], None),
        (vec![Frozen::Group("day".into())], &["day"], Some("changes in group day are frozen")),
        (vec![Frozen::Group("day".into())], &["any"], None),
    ] {
        let numbered = (1..).zip(freezes.clone()).map(|(id, of)| freeze(id, of)).collect();
        let gates = gates(numbered);
        let shut = gates.shut("a", groups.iter().copied()).map(|it| it.to_string());
        match expected {
            None => assert_eq!(shut, None, "{freezes:?}"),
            Some(expected) => assert!(shut.clone().is_some_and(|it| it.starts_with(expected)), "{shut:?}"),
        }
    }
}

#[test]
fn a_freeze_of_a_group_is_none_of_all_hosts() {
    let gates =
        gates(vec![freeze(1, Frozen::Group("day".into())), freeze(2, Frozen::Agent("b".parse().unwrap()))]);
    assert_eq!(gates.frozen("a"), None);
    assert_eq!(gates.frozen("b").map(|it| it.id), Some(2));
    assert!(gates.shut("a", iter::once("day")).is_some());
    assert!(Gates::default().are_open());
}
