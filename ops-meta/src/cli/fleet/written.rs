//! The document as YAML for people: always in the same order, each text so that every YAML reader takes it for a text.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::shape::{SECTIONS, Shape};

/// A list that is no longer stands on one line, in characters.
const FLOW_CHARS_MAX: usize = 90;
/// What readers of YAML 1.1 or 1.2 take for no text.
const WORDS_OF_YAML: [&str; 15] = [
    "null", "~", "true", "false", "yes", "no", "on", "off", "y", "n", ".inf", ".nan", "-.inf", "+.inf", "<<",
];

/// What `GET /fleet` answers. Sections in which nothing is are left out.
pub fn written(document: &Value) -> String {
    let mut yaml = String::new();
    let empty = Map::new();
    let mut sections = document.as_object().unwrap_or(&empty).clone();
    sections.retain(|_, section| !is_empty(section));
    block(&mut yaml, &Value::Object(sections), Shape::Fields(SECTIONS), 0);
    if yaml.is_empty() {
        // An empty file would be refused.
        yaml += "policies: []\n";
    }
    yaml
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// Lines of their own, `indent` blanks deep.
fn block(yaml: &mut String, value: &Value, shape: Shape, indent: usize) {
    match value {
        Value::Object(fields) => {
            for (key, value, shape) in ordered(fields, shape) {
                let _ = write!(yaml, "{:indent$}{}:", "", text(key, Within::Flow));
                behind_key(yaml, value, shape, indent);
            }
        }
        Value::Array(values) => {
            let shape = if let Shape::Each(shape) = shape { *shape } else { Shape::Text };
            for value in values {
                let mut entry = String::new();
                match value.as_object().is_some_and(|fields| !fields.is_empty()) {
                    true => block(&mut entry, value, shape, indent + 2),
                    false => entry = one_line(value, Within::Block) + "\n",
                }
                let _ = write!(yaml, "{:indent$}- {}", "", entry.trim_start());
            }
        }
        _ => {}
    }
}

fn behind_key(yaml: &mut String, value: &Value, shape: Shape, indent: usize) {
    let line = match value {
        Value::Object(fields) => fields.is_empty().then(|| "{}".to_owned()),
        Value::Array(values) => flow(values),
        value => Some(one_line(value, Within::Block)),
    };
    match line {
        Some(line) => {
            let _ = writeln!(yaml, " {line}");
        }
        None => {
            yaml.push('\n');
            block(yaml, value, shape, indent + 2);
        }
    }
}

/// As they are told, then those that only a newer server knows; names by their letters. Null is a field that is not there.
fn ordered(fields: &Map<String, Value>, shape: Shape) -> Vec<(&str, &Value, Shape)> {
    let known = if let Shape::Fields(known) = shape { known } else { &[] };
    let inner = if let Shape::Named(shape) = shape { *shape } else { Shape::Text };
    let place = |key: &str| known.iter().position(|(name, _)| *name == key).unwrap_or(known.len());
    let shape = |key: &str| known.get(place(key)).map_or(inner, |(_, shape)| *shape);
    let mut ordered: Vec<_> = fields.iter().map(|(key, value)| (key.as_str(), value, shape(key))).collect();
    ordered.retain(|(_, value, shape)| !value.is_null() && !matches!(shape, Shape::Said));
    ordered.sort_by_key(|(key, ..)| (place(key), *key));
    ordered
}

/// `None` where they are too many for a line, or no texts.
fn flow(values: &[Value]) -> Option<String> {
    // The first ones tell already that many do not fit.
    if values.len() > FLOW_CHARS_MAX {
        return None;
    }
    let texts: Option<Vec<_>> = values.iter().map(Value::as_str).collect();
    let texts: Vec<_> = texts?.into_iter().map(|it| text(it, Within::Flow)).collect();
    let line = format!("[{}]", texts.join(", "));
    (line.chars().count() <= FLOW_CHARS_MAX).then_some(line)
}

/// What is no text is written as in JSON, which is YAML.
fn one_line(value: &Value, within: Within) -> String {
    match value {
        Value::String(it) => text(it, within),
        other => other.to_string(),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Within {
    Block,
    /// Between brackets, or a key. Commas and brackets end a text, and readers are not of one mind about what follows a
    /// blank.
    Flow,
}

fn text(text: &str, within: Within) -> String {
    match is_plain(text, within) {
        true => text.to_owned(),
        false => quoted(text),
    }
}

/// Whether every reader takes it for the same text without quotes.
fn is_plain(text: &str, within: Within) -> bool {
    const BEGIN_SOMETHING: &[char] = &[
        '-', '?', ':', ',', '[', ']', '{', '}', '#', '&', '*', '!', '|', '>', '\'', '"', '%', '@', '`', '=',
    ];
    let begins = text.starts_with(BEGIN_SOMETHING) || text.starts_with(' ');
    let ends = text.ends_with([':', ' ']) || text.contains(": ") || text.contains(" #");
    let ends_in_flow = within == Within::Flow && text.contains([' ', ',', '?', '[', ']', '{', '}']);
    let word = WORDS_OF_YAML.iter().any(|word| text.eq_ignore_ascii_case(word));
    let odd = !text.chars().all(is_shown);
    !(text.is_empty() || begins || ends || ends_in_flow || word || odd || looks_like_a_number(text))
}

/// A number, a date or a time of day, or nearly: 1.10 is one, 1.8.0 and 10.0.0.1 are none.
fn looks_like_a_number(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    let is_in_one = |c: char| c.is_ascii_hexdigit() || "+-._:, oxtzOXTZ".contains(c);
    begins && text.chars().all(is_in_one) && text.matches('.').count() < 2
}

/// People see what it is, and a terminal does nothing at it.
fn is_shown(c: char) -> bool {
    c == ' ' || matches!(c, '"' | '\'' | '\\') || (!c.is_whitespace() && c.escape_debug().len() == 1)
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted += "\\n",
            '\t' => quoted += "\\t",
            '\r' => quoted += "\\r",
            c if is_shown(c) => quoted.push(c),
            c => {
                let _ = match u32::from(c) {
                    code @ ..=0xff => write!(quoted, "\\x{code:02x}"),
                    code @ ..=0xffff => write!(quoted, "\\u{code:04x}"),
                    code => write!(quoted, "\\U{code:08x}"),
                };
            }
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sections_fields_and_names_have_their_order() {
        let many: Vec<String> = (0..40).map(|number| format!("web-{number:02}")).collect();
        let document = json!({
            "generation": 7,
            "policies": [
                {"version": "1.8.0", "agent": "node_exporter", "cmd": "start"},
                {"agent": "a", "host": "web-01", "newer": {"x": [1]}, "group": null, "size": 12, "mirrors": ["http://a", "b,c"]},
            ],
            "groups": {
                "prod": {"priority": 10, "select": "env=prod and not ip in 10.3.0.0/16", "description": ""},
                "10": {"select": "hostname in @canaries",
                    "windows": [{"zone": "Europe/Berlin", "start": "22:00", "durationSecs": 3600, "days": ["mon", "tue"]}]},
            },
            "lists": {"canaries": ["web-01", "yes", "-"], "none": [], "many": many},
            "settings": {"confirmAbovePercent": 25, "packagesUrl": "http://meta.example:2000/packages"},
        });
        let begin = "settings:
  packagesUrl: http://meta.example:2000/packages
  confirmAbovePercent: 25
lists:
  canaries: [web-01, \"yes\", \"-\"]
  many:
    - web-00
";
        let end = "    - web-39
  none: []
groups:
  \"10\":
    select: hostname in @canaries
    windows:
      - days: [mon, tue]
        start: \"22:00\"
        durationSecs: 3600
        zone: Europe/Berlin
  prod:
    description: \"\"
    select: env=prod and not ip in 10.3.0.0/16
    priority: 10
policies:
  - agent: node_exporter
    version: 1.8.0
    cmd: start
  - agent: a
    host: web-01
    mirrors: [http://a, \"b,c\"]
    size: 12
    newer:
      x:
        - 1
";
        let yaml = written(&document);
        assert!(yaml.starts_with(begin) && yaml.ends_with(end), "{yaml}");
    }

    #[test]
    fn what_is_empty_is_left_out_but_the_file_is_not_empty() {
        assert_eq!(
            written(&json!({"settings": {}, "lists": {}, "groups": {}, "policies": []})),
            "policies: []\n"
        );
        assert_eq!(
            written(&json!({"groups": {"a": {}}, "policies": [{}]})),
            "groups:\n  a: {}\npolicies:\n  - {}\n"
        );
    }

    #[test]
    fn only_harmless_texts_are_without_quotes() {
        let plain = [
            "web-01",
            "1.8.0",
            "10.0.0.1",
            "10.3.0.0/16",
            "2.0-rc1",
            "a b",
            "a:b",
            "a#b",
            "http://x:1/y",
            "nodes",
            "äöü",
            "<x",
            "$x",
            "a\"b",
            "it's",
            "\\",
            "env=prod",
            "(a or b) and c ~ d",
            "7days",
        ];
        for text in plain {
            assert!(is_plain(text, Within::Block), "{text:?}");
            assert_eq!(is_plain(text, Within::Flow), !text.contains(' '), "{text:?}");
        }
        let quoted = [
            "",
            " ",
            " a",
            "a ",
            "\ta",
            "a\tb",
            "a\nb",
            "a: b",
            "a:",
            "a #b",
            "#x",
            "@x",
            "*x",
            "!x",
            "&x",
            "- x",
            "-",
            "---",
            "yes",
            "No",
            "TRUE",
            "null",
            "~",
            "1",
            "1.10",
            "-1",
            "+1",
            ".5",
            "1e3",
            "0x1f",
            "0o17",
            "1_000",
            "12:30:45",
            "2024-01-01",
            "2024-01-01T00:00:00.0Z",
            ".inf",
            "-.INF",
            "<<",
            "=",
            "?",
            "'x'",
            "\"x\"",
            "`x",
            "%x",
            "{x",
            "|",
            ">",
            "\u{85}",
            "\u{a0}",
            "\u{feff}",
            "\u{202e}",
            "\u{0}",
            "\u{7f}",
        ];
        for text in quoted {
            assert!(!is_plain(text, Within::Block), "{text:?}");
        }
        assert!(is_plain("a, b [c] {d}?", Within::Block));
        for text in ["a,b", "a[", "a]", "a{", "a}", "a?", "a -"] {
            assert!(!is_plain(text, Within::Flow), "{text:?}");
        }
    }

    #[test]
    fn odd_characters_are_escaped() {
        assert_eq!(quoted("a\"\\\n\t\r"), r#""a\"\\\n\t\r""#);
        assert_eq!(quoted("\u{0}\u{85}\u{202e}\u{e0001}ä😀"), r#""\x00\x85\u202e\U000e0001ä😀""#);
    }
}
