//! What of the orders changed, as events tell it: only the agents that differ, from both sides, bounded, and without the
//! passwords that an address may have in it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// More of one side is told by its names.
const SIDE_BYTES_MAX: usize = 64 << 10;
const NAMES_MAX: usize = 20;

/// The agents of both sides that are not the same on the other.
pub fn differing(before: &Value, after: &Value) -> (Value, Value) {
    let (before, after) = (by_name(before), by_name(after));
    (side(&before, &after), side(&after, &before))
}

fn by_name(agents: &Value) -> BTreeMap<&str, &Value> {
    let named = |agent| Some((Value::pointer(agent, "/default/name")?.as_str()?, agent));
    agents.as_array().into_iter().flatten().filter_map(named).collect()
}

fn side(own: &BTreeMap<&str, &Value>, other: &BTreeMap<&str, &Value>) -> Value {
    let differing = own.iter().filter(|(name, agent)| other.get(**name) != Some(*agent));
    let (names, agents): (Vec<&str>, Vec<&Value>) = differing.map(|(name, agent)| (*name, *agent)).unzip();
    let agents = json!(agents);
    match agents.to_string().len() {
        ..=SIDE_BYTES_MAX => agents,
        _ => json!({"count": names.len(), "some": names.get(..NAMES_MAX).unwrap_or(&names)}),
    }
}

/// The same without what stands between `://` and `@`.
pub fn without_passwords(orders: &Value) -> Value {
    match orders {
        Value::String(text) => without_password(text).into(),
        Value::Array(entries) => entries.iter().map(without_passwords).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| (key.clone(), without_passwords(value))).collect()
        }
        other => other.clone(),
    }
}

fn without_password(text: &str) -> String {
    let hidden = || {
        let (scheme, rest) = text.split_once("://")?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (_, host) = authority.rsplit_once('@')?;
        Some(format!("{scheme}://...@{host}{path}"))
    };
    hidden().unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(name: &str, version: &str) -> Value {
        json!({"default": {"name": name, "version": version}})
    }

    #[test]
    fn only_what_differs_is_told_from_both_sides() {
        let before = json!([agent("same", "1"), agent("moved", "1"), agent("gone", "1")]);
        let after = json!([agent("moved", "2"), agent("same", "1"), agent("new", "1")]);
        let (left, right) = differing(&before, &after);
        assert_eq!(left, json!([agent("gone", "1"), agent("moved", "1")]));
        assert_eq!(right, json!([agent("moved", "2"), agent("new", "1")]));
        assert_eq!(differing(&Value::Null, &after).0, json!([]));
    }

    #[test]
    fn what_is_much_is_told_by_its_names() {
        let many: Value = (0..5000).map(|n| agent(&format!("a{n:04}"), "1.0.0")).collect();
        let (_, right) = differing(&Value::Null, &many);
        assert_eq!((&right["count"], right["some"].as_array().map(Vec::len)), (&json!(5000), Some(20)));
        assert!(right.to_string().len() < 1000);
    }

    #[test]
    fn passwords_in_addresses_are_not_told() {
        for (text, expected) in [
            ("http://alice:secret@h:1/p@x", "http://...@h:1/p@x"),
            ("https://h/p@x", "https://h/p@x"),
            ("http://a@b@h", "http://...@h"),
            ("mail@example", "mail@example"),
        ] {
            assert_eq!(without_passwords(&json!([{ "tarball": text }])), json!([{ "tarball": expected }]));
        }
    }
}
