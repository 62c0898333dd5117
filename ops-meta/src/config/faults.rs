//! Reading a JSON value key by key, and noting every fault instead of stopping at the first.

use std::fmt;

use serde_json::{Map, Value};

/// How much of a wrong value is shown, in characters.
const FOUND_CHARS_MAX: usize = 60;
/// How many faults are listed; a file with more needs no longer list.
const FAULTS_MAX: usize = 100;

/// One thing that is wrong in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where, as in `agents[0].default.name`.
    pub path: String,
    pub found: String,
    pub allowed: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is {}; allowed: {}", self.path, self.found, self.allowed)
    }
}

/// Everything that is wrong, and what is merely odd.
#[derive(Debug, Default)]
pub struct Faults {
    pub list: Vec<Fault>,
    /// Keys that nobody reads: an older program must be able to read a newer file.
    pub unknown: Vec<String>,
}

impl Faults {
    pub fn note(&mut self, path: &str, found: impl fmt::Display, allowed: &str) {
        if self.list.len() < FAULTS_MAX {
            let fault =
                Fault { path: path.to_owned(), found: found.to_string(), allowed: allowed.to_owned() };
            self.list.push(fault);
        }
    }
}

/// What a wrong value looks like in a sentence.
pub fn shown(value: &Value) -> String {
    let text = match value {
        Value::Array(_) => return "an array".to_owned(),
        Value::Object(_) => return "an object".to_owned(),
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    };
    match text.char_indices().nth(FOUND_CHARS_MAX) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// An object whose keys are taken one by one.
pub struct Keys<'a> {
    path: String,
    fields: &'a Map<String, Value>,
    known: Vec<&'static str>,
}

impl<'a> Keys<'a> {
    pub fn of(value: &'a Value, path: &str, faults: &mut Faults) -> Option<Self> {
        match value {
            Value::Object(fields) => Some(Self::of_fields(fields, path)),
            other => {
                faults.note(path, shown(other), "an object");
                None
            }
        }
    }

    pub fn of_fields(fields: &'a Map<String, Value>, path: &str) -> Self {
        Self { path: path.to_owned(), fields, known: Vec::new() }
    }

    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The value of a key; null counts as absent.
    pub fn take(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.push(key);
        self.fields.get(key).filter(|value| !value.is_null())
    }

    pub fn text(&mut self, key: &'static str, faults: &mut Faults) -> Option<&'a str> {
        let value = self.take(key)?;
        if value.as_str().is_none() {
            faults.note(&self.path_of(key), shown(value), "a string");
        }
        value.as_str()
    }

    /// A string that has to be there.
    pub fn needed_text(&mut self, key: &'static str, allowed: &str, faults: &mut Faults) -> Option<&'a str> {
        if self.take(key).is_none() {
            faults.note(&self.path_of(key), "missing", allowed);
        }
        self.text(key, faults)
    }

    pub fn boolean(&mut self, key: &'static str, faults: &mut Faults) -> Option<bool> {
        let value = self.take(key)?;
        if value.as_bool().is_none() {
            faults.note(&self.path_of(key), shown(value), "true or false");
        }
        value.as_bool()
    }

    /// A whole number from `least` to `most`, or `default` when it is absent.
    pub fn number(&mut self, key: &'static str, range: (u64, u64, u64), faults: &mut Faults) -> u64 {
        let (least, default, most) = range;
        let Some(value) = self.take(key) else { return default };
        match value.as_u64().filter(|number| (least..=most).contains(number)) {
            Some(number) => number,
            None => {
                faults.note(&self.path_of(key), shown(value), &format!("a whole number, {least} to {most}"));
                default
            }
        }
    }

    /// The entries of an array, each with its path.
    pub fn entries(&mut self, key: &'static str, faults: &mut Faults) -> Option<Vec<(String, &'a Value)>> {
        let value = self.take(key)?;
        let path = self.path_of(key);
        let Value::Array(entries) = value else {
            faults.note(&path, shown(value), "an array");
            return None;
        };
        Some(entries.iter().enumerate().map(|(index, entry)| (format!("{path}[{index}]"), entry)).collect())
    }

    /// Notes the keys that nobody took.
    pub fn finish(self, faults: &mut Faults) {
        let unknown = self.fields.keys().filter(|key| !self.known.contains(&key.as_str()));
        faults.unknown.extend(unknown.map(|key| self.path_of(key)));
    }
}
