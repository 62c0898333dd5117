//! What an event changed, in words short enough for a column: `name=alice role=admin`, `nginx.version=1.0 -> 1.1`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::cli::times;
use crate::domain::one_line::one_line;

/// More is in `-o json`.
const CHARS_MAX: usize = 160;
/// Unix milliseconds, whatever they are of.
const TIMES: [&str; 3] = ["expires", "firstSeen", "lastSeen"];
/// Says nothing to people.
const DIGEST: &str = "digest";

/// Where the event has both sides only what differs.
pub fn words(before: &Value, after: &Value) -> String {
    let has_both = !before.is_null() && !after.is_null();
    let (before, after) = (leaves(before), leaves(after));
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let word = |path: &String| match (before.get(path), after.get(path)) {
        (before, after) if has_both && before == after => None,
        (before, after) if has_both => Some(format!("{path}={} -> {}", or_none(before), or_none(after))),
        (before, after) => Some(format!("{path}={}", or_none(before.or(after)))),
    };
    let words: Vec<String> = paths.into_iter().filter_map(word).collect();
    if words.is_empty() { "-".to_owned() } else { cut(words.join(" ")) }
}

fn or_none(value: Option<&String>) -> &str {
    value.map_or("-", String::as_str)
}

fn cut(text: String) -> String {
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// By their paths, those that are empty left out.
fn leaves(value: &Value) -> BTreeMap<String, String> {
    let mut leaves = BTreeMap::new();
    gather(value, "", "", &mut leaves);
    leaves
}

/// `key`: the last part of the path that is a field.
fn gather(value: &Value, path: &str, key: &str, leaves: &mut BTreeMap<String, String>) {
    let below = |name: &str| match (path, name) {
        ("", _) => one_line(name),
        // What an agent has by default is the agent's own.
        (_, "default") => path.to_owned(),
        _ => format!("{path}.{}", one_line(name)),
    };
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (name, value) in fields.iter().filter(|(name, _)| *name != DIGEST) {
                gather(value, &below(name), name, leaves);
            }
        }
        Value::Array(entries) if entries.iter().any(Value::is_object) => {
            for (n, entry) in entries.iter().enumerate() {
                gather(entry, &entry_path(path, n, entry), key, leaves);
            }
        }
        value => {
            let text = leaf(key, value);
            if !text.is_empty() {
                leaves.insert(path.to_owned(), text);
            }
        }
    }
}

/// An agent is known by its name, one of its exceptions by its prefix.
fn entry_path(path: &str, n: usize, entry: &Value) -> String {
    let text = |pointer| entry.pointer(pointer).and_then(Value::as_str).map(one_line);
    match (text("/default/name"), text("/prefix")) {
        (Some(name), _) => name,
        (None, Some(prefix)) => format!("{}[{prefix}]", path.trim_end_matches(".others")),
        (None, None) => format!("{path}[{n}]"),
    }
}

fn leaf(key: &str, value: &Value) -> String {
    match value {
        Value::Number(number) if TIMES.contains(&key) => {
            number.as_i64().map_or_else(|| number.to_string(), times::date)
        }
        Value::String(text) => one_line(text),
        Value::Array(entries) => entries.iter().map(|entry| leaf("", entry)).collect::<Vec<_>>().join(","),
        other => one_line(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_made_or_is_gone_is_told_by_its_fields() {
        let token = json!({"name": "alice", "role": "admin", "hostname": null, "expires": null});
        assert_eq!(words(&Value::Null, &token), "name=alice role=admin");
        assert_eq!(words(&token, &Value::Null), "name=alice role=admin");
        assert_eq!(words(&json!({"count": 2, "some": ["a", "b"]}), &Value::Null), "count=2 some=a,b");
        assert_eq!(words(&Value::Null, &Value::Null), "-");
    }

    #[test]
    fn times_are_dates() {
        let told = words(&json!({"firstSeen": 1_769_860_800_000_i64}), &Value::Null);
        assert_eq!(told, format!("firstSeen={}", times::date(1_769_860_800_000)));
    }

    #[test]
    fn of_orders_only_what_differs_is_told() {
        let orders = |version: &str, other: &str| {
            json!({"digest": version, "agents": [{
                "default": {"name": "nginx", "version": version, "cmd": "start", "md5": ""},
                "others": [{"prefix": "lg-", "version": other}],
            }]})
        };
        assert_eq!(words(&orders("1", "5"), &orders("2", "5")), "nginx.version=1 -> 2");
        assert_eq!(words(&orders("1", "5"), &orders("1", "6")), "nginx[lg-].version=5 -> 6");
        let none = json!({"agents": []});
        let told = words(&orders("1", "5"), &none);
        assert!(told.contains("nginx.version=1 -> -"), "{told}");
    }

    #[test]
    fn it_is_short_and_harmless() {
        let told = words(&Value::Null, &json!({"a": "x\u{1b}[2J\n".repeat(100)}));
        assert!(told.chars().count() <= CHARS_MAX + 3 && !told.contains(['\u{1b}', '\n']), "{told}");
    }
}
