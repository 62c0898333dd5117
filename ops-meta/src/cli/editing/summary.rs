//! What the server says of a change, for people: what differs, then who is told something else.

use serde_json::Value;

use crate::cli::output::{list, number, text};
use crate::cli::sizes::count;
use crate::domain::one_line::one_line;

/// Of a value: whoever needs all of a signature looks at the policy.
const VALUE_CHARS_MAX: usize = 80;
/// What people look for, before all other fields.
const FIRST: [&str; 3] = ["select", "version", "cmd"];
/// They are in the name of the object.
const NAMES: [&str; 3] = ["agent", "group", "host"];

pub fn of(edited: &Value) -> Vec<String> {
    let differences = list(edited, "differences");
    if differences.is_empty() {
        return vec!["nothing to change".to_owned()];
    }
    let mut lines: Vec<String> = differences.iter().map(difference).collect();
    lines.push(String::new());
    lines.extend(of_hosts(edited.get("changed").unwrap_or(&Value::Null)));
    lines
}

/// `~ policy a for group prod  version 1 -> 2`
fn difference(it: &Value) -> String {
    let name = if text(it, "name") == "-" { String::new() } else { text(it, "name") };
    let object = format!("{} {name}", text(it, "kind"));
    let side = |side| it.get(side).unwrap_or(&Value::Null);
    let (sign, what) = match text(it, "what").as_str() {
        "created" => ("+", created(side("after"))),
        "deleted" => ("-", String::new()),
        _ => ("~", changed(side("before"), side("after"))),
    };
    format!("{sign} {}  {what}", object.trim_end()).trim_end().to_owned()
}

fn created(after: &Value) -> String {
    let shown = |field: &String| match field.as_str() {
        "select" => value(after.get(field)),
        "words" => count(number(after, field).unwrap_or_default().unsigned_abs(), "word", "words"),
        field => format!("{} {}", one_line(field), value(after.get(field))),
    };
    fields(after, after).iter().map(shown).collect::<Vec<_>>().join(", ")
}

fn changed(before: &Value, after: &Value) -> String {
    let differing = fields(before, after).into_iter().filter(|field| before.get(field) != after.get(field));
    let shown = |field: String| {
        format!("{} {} -> {}", one_line(&field), value(before.get(&field)), value(after.get(&field)))
    };
    let shown: Vec<String> = differing.map(shown).collect();
    match (shown.as_slice(), after.get("words")) {
        ([], Some(words)) => format!("{words} words, others than before"),
        _ => shown.join(", "),
    }
}

/// Of both, those that people look for first.
fn fields(before: &Value, after: &Value) -> Vec<String> {
    let keys = |it: &Value| it.as_object().map(|it| it.keys().cloned().collect()).unwrap_or_default();
    let mut fields: Vec<String> = keys(before);
    fields.extend(keys(after));
    fields.retain(|field| !NAMES.contains(&field.as_str()));
    let place = |field: &str| FIRST.iter().position(|first| *first == field).unwrap_or(FIRST.len());
    fields.sort_by_key(|field| (place(field), field.clone()));
    fields.dedup();
    fields
}

fn value(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => one_line(text),
        Some(Value::Array(values)) => {
            let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            values.iter().map(|value| one_line(&word(value))).collect::<Vec<_>>().join(" ")
        }
        Some(other) => one_line(&other.to_string()),
    };
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// Who is told something else, who is not told what a policy says, and what is odd.
pub fn of_hosts(simulated: &Value) -> Vec<String> {
    let (hosts, changed) = (size(simulated, "hosts"), size(simulated, "changed"));
    let head = match (hosts, changed) {
        (0, _) => "no host is known yet".to_owned(),
        (hosts, 0) => format!("none of {} is told anything else", count(hosts, "host", "hosts")),
        (hosts, changed) => {
            let are = if changed == 1 { "is" } else { "are" };
            format!("{changed} of {} {are} told something else:", count(hosts, "host", "hosts"))
        }
    };
    let mut lines = vec![head];
    lines.extend(moves(list(simulated, "moves")));
    lines.extend(list(simulated, "withheld").iter().map(withheld));
    lines.extend(list(simulated, "frozen").iter().map(frozen));
    let warnings = list(simulated, "warnings").iter().filter_map(Value::as_str);
    lines.extend(warnings.map(|warning| format!("warning: {}", one_line(warning))));
    lines
}

/// `  node_exporter  1.7.0 -> 1.8.0  7 hosts: web-01 web-02 ...`
fn moves(moves: &[Value]) -> Vec<String> {
    let rows: Vec<[String; 3]> = moves.iter().map(|it| [text(it, "agent"), step(it), who(it)]).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let (agents, steps) = (width(0), width(1));
    rows.iter().map(|[agent, step, who]| format!("  {agent:agents$}  {step:steps$}  {who}")).collect()
}

/// `1.7.0 -> 1.8.0`; where both are the same in short, what else differs.
fn step(it: &Value) -> String {
    let (from, to) = (it.get("from").unwrap_or(&Value::Null), it.get("to").unwrap_or(&Value::Null));
    let words: Vec<String> = list(it, "fields").iter().filter_map(Value::as_str).map(one_line).collect();
    let other = if words.is_empty() { String::new() } else { format!(" (other {})", words.join(", ")) };
    let short = [told(from, "not told"), told(to, "left alone")];
    match short {
        [from, to] if from != to => format!("{from} -> {to}{other}"),
        [same, _] if !words.is_empty() => format!("{same}{other}"),
        _ => format!("{} -> {}", whole(from), whole(to)),
    }
}

/// What a host is told, in a word.
fn told(order: &Value, none: &str) -> String {
    match (order.is_null(), text(order, "cmd").as_str()) {
        (true, _) => none.to_owned(),
        (_, "start") => text(order, "version"),
        (_, "-") => "left alone".to_owned(),
        (_, cmd) => cmd.to_owned(),
    }
}

fn whole(order: &Value) -> String {
    match order.is_null() {
        true => "not told".to_owned(),
        false => format!("{} {}", text(order, "version"), text(order, "cmd")),
    }
}

/// `7 hosts: web-01 web-02 ...`
fn who(it: &Value) -> String {
    let (hosts, named) = (size(it, "hosts"), list(it, "some"));
    let names: Vec<String> = named.iter().filter_map(Value::as_str).map(one_line).collect();
    let more = if (names.len() as u64) < hosts { " ..." } else { "" };
    format!("{}: {}{more}", count(hosts, "host", "hosts"), names.join(" "))
}

fn withheld(it: &Value) -> String {
    format!("not told: {} {} on {}; {}", text(it, "agent"), text(it, "version"), who(it), text(it, "why"))
}

fn frozen(it: &Value) -> String {
    format!("frozen: {}; {}", who(it), text(it, "why"))
}

fn size(object: &Value, field: &str) -> u64 {
    number(object, field).and_then(|it| u64::try_from(it).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_differs_is_a_line_each() {
        let difference = |kind: &str, name: &str, what: &str, before: Value, after: Value| {
            difference(&json!({"kind": kind, "name": name, "what": what, "before": before, "after": after}))
        };
        for (said, line) in [
            (
                difference(
                    "group",
                    "prod",
                    "created",
                    json!(null),
                    json!({"priority": 10, "select": "env=prod"}),
                ),
                "+ group prod  env=prod, priority 10",
            ),
            (
                difference(
                    "policy",
                    "a for group prod",
                    "changed",
                    json!({"agent": "a", "group": "prod", "version": "1", "cmd": "start"}),
                    json!({"agent": "a", "group": "prod", "version": "2", "trialSecs": 9}),
                ),
                "~ policy a for group prod  version 1 -> 2, cmd start -> -, trialSecs - -> 9",
            ),
            (difference("list", "x", "deleted", json!({"words": 3}), json!(null)), "- list x"),
            (difference("list", "x", "created", json!(null), json!({"words": 1})), "+ list x  1 word"),
            (
                difference("list", "x", "changed", json!({"words": 3}), json!({"words": 4})),
                "~ list x  words 3 -> 4",
            ),
            (
                difference("list", "x", "changed", json!({"words": 3}), json!({"words": 3})),
                "~ list x  3 words, others than before",
            ),
            (
                difference("settings", "", "created", json!(null), json!({"confirmAbovePercent": 5})),
                "+ settings  confirmAbovePercent 5",
            ),
            (
                difference(
                    "policy",
                    "a",
                    "created",
                    json!(null),
                    json!({"agent": "a", "mirrors": ["x", "y\n"]}),
                ),
                "+ policy a  mirrors x y\\n",
            ),
        ] {
            assert_eq!(said, line);
        }
    }

    #[test]
    fn hosts_are_counted_and_some_are_named() {
        let told = |version: &str, cmd: &str| json!({"version": version, "cmd": cmd});
        let step =
            |from: Value, to: Value, fields: Value| step(&json!({"from": from, "to": to, "fields": fields}));
        for (said, expected) in [
            (step(told("1", "start"), told("2", "start"), json!([])), "1 -> 2"),
            (step(json!(null), told("2", "start"), json!([])), "not told -> 2"),
            (step(told("1", "start"), json!(null), json!([])), "1 -> left alone"),
            (step(told("1", "start"), told("1", "stop"), json!([])), "1 -> stop"),
            (step(told("1", "stop"), told("2", "stop"), json!([])), "1 stop -> 2 stop"),
            (step(told("1", "start"), told("1", "start"), json!(["md5", "size"])), "1 (other md5, size)"),
        ] {
            assert_eq!(said, expected);
        }
        let simulated = json!({
            "hosts": 10, "changed": 7,
            "moves": [
                {"agent": "node_exporter", "from": told("1.7.0", "start"), "to": told("1.8.0", "start"),
                    "fields": [], "hosts": 7, "some": ["web-01", "web-02"]},
                {"agent": "a", "from": told("1", "start"), "to": null, "fields": [], "hosts": 1, "some": ["x"]},
            ],
            "withheld": [{"agent": "b", "version": "2", "why": "there is no package b 2", "hosts": 1, "some": ["x"]}],
            "frozen": [{"freeze": 3, "why": "all changes are frozen", "hosts": 1, "some": ["x"]}],
            "warnings": ["policy a: it is odd"],
        });
        assert_eq!(
            of_hosts(&simulated),
            [
                "7 of 10 hosts are told something else:",
                "  node_exporter  1.7.0 -> 1.8.0   7 hosts: web-01 web-02 ...",
                "  a              1 -> left alone  1 host: x",
                "not told: b 2 on 1 host: x; there is no package b 2",
                "frozen: 1 host: x; all changes are frozen",
                "warning: policy a: it is odd",
            ]
        );
        assert_eq!(of_hosts(&json!({"hosts": 1, "changed": 0})), ["none of 1 host is told anything else"]);
        assert_eq!(of_hosts(&json!({})), ["no host is known yet"]);
        assert_eq!(of(&json!({"differences": []})), ["nothing to change"]);
    }
}
