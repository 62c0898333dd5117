//! fleet.yaml (or the same as JSON): read whole, each value as its field wants it. All faults are told at once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde_json::{Map, Number, Value};

use super::fault::{Fault, Place};
use super::node::{self, Field, Node, Written};
use super::shape::{SECTIONS, Shape};
use super::words;
use crate::cli::failed::{self, Failed};
use crate::cli::sizes::count;
use crate::domain::nearest::nearest;
use crate::domain::one_line::one_line;

const FILE_BYTES_MAX: usize = 32 << 20;
/// How many faults are told; a file with more needs no longer list.
const FAULTS_MAX: usize = 100;
const EMPTY: &str = "it is empty, which would delete everything; if that is meant, write `policies: []`";

/// The document that the server wants, and where in the file each value stands.
#[derive(Debug)]
pub struct FleetFile {
    /// Its name in sentences.
    shown: String,
    /// All sections are there.
    pub document: Value,
    root: Node,
}

impl FleetFile {
    /// `-` is standard input. The files of lists lie beside the file, or where the command was given.
    pub fn read(path: &Path) -> Result<Self, Failed> {
        let from_stdin = path == Path::new("-");
        let shown = if from_stdin { "standard input".into() } else { one_line(&path.to_string_lossy()) };
        let unread = |why: String| Failed::WrongUse(format!("failed to read `{shown}`: {why}"));
        let bytes =
            if from_stdin { bytes_of(io::stdin().lock()) } else { File::open(path).and_then(bytes_of) };
        let bytes = bytes.map_err(|error| unread(error.to_string()))?;
        if bytes.len() > FILE_BYTES_MAX {
            return Err(unread(format!("it has more than {} MiB", FILE_BYTES_MAX >> 20)));
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        let (document, root) = read(&bytes, &|file| words::read(folder, file))
            .map_err(|faults| unread(format!("it has {}", told(&shown, &faults))))?;
        Ok(Self { shown, document, root })
    }

    /// All that the server says is wrong, as in `fleet.yaml:12:5: policies[3].version: why`.
    pub fn told(&self, faults: &[failed::Fault]) -> String {
        let placed = |it: &failed::Fault| Fault {
            place: self.root.place_of(&it.path),
            path: it.path.clone(),
            why: it.why.clone(),
        };
        let mut faults: Vec<Fault> = faults.iter().map(placed).collect();
        faults.sort_by_key(|fault| fault.place);
        format!("nothing was changed: `{}` has {}", self.shown, told(&self.shown, &faults))
    }
}

/// A byte more than is allowed, where there are more.
fn bytes_of(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn told(shown: &str, faults: &[Fault]) -> String {
    let mut told = count(faults.len() as u64, "fault", "faults");
    for fault in faults.iter().take(FAULTS_MAX) {
        told += &format!("\n  {shown}:{fault}");
    }
    if let Some(more @ 1..) = faults.len().checked_sub(FAULTS_MAX) {
        told += &format!("\n  and {more} more");
    }
    told
}

/// Reads the file of a list, or tells all that is wrong with it.
type ReadWords<'a> = &'a dyn Fn(&str) -> Result<Vec<String>, Vec<String>>;

/// The faults are in the order of the file.
fn read(bytes: &[u8], read_words: ReadWords<'_>) -> Result<(Value, Node), Vec<Fault>> {
    let text = text(bytes).map_err(|fault| vec![fault])?;
    let root = node::parse(text).map_err(|fault| vec![fault])?;
    let Some(root) = root.filter(|root| !root.is_nothing()) else {
        return Err(vec![Fault { place: Place::FIRST, path: String::new(), why: EMPTY.to_owned() }]);
    };
    let mut reading = Reading { faults: Vec::new(), read_words };
    let sections = reading.value(&root, root.place, "", Shape::Fields(SECTIONS));
    match sections {
        Some(Value::Object(sections)) if reading.faults.is_empty() => Ok((whole(sections), root)),
        _ => {
            reading.faults.sort_by_key(|fault| fault.place);
            Err(reading.faults)
        }
    }
}

fn text(bytes: &[u8]) -> Result<&str, Fault> {
    str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let place = Place::behind(&String::from_utf8_lossy(before));
        Fault { place, path: String::new(), why: "it is not UTF-8 from here on".to_owned() }
    })
}

/// A section that is missing is an empty one.
fn whole(mut sections: Map<String, Value>) -> Value {
    for (name, shape) in SECTIONS {
        let empty = match shape {
            Shape::Said => continue,
            Shape::Each(_) => Value::Array(Vec::new()),
            _ => Value::Object(Map::new()),
        };
        sections.entry(*name).or_insert(empty);
    }
    Value::Object(sections)
}

struct Reading<'a> {
    faults: Vec<Fault>,
    read_words: ReadWords<'a>,
}

impl Reading<'_> {
    fn note(&mut self, place: Place, path: &str, why: impl Into<String>) {
        self.faults.push(Fault { place, path: path.to_owned(), why: why.into() });
    }

    /// `place` is that of the key, where there is one. `None`: a fault was noted.
    fn value(&mut self, node: &Node, place: Place, path: &str, shape: Shape) -> Option<Value> {
        match (shape, &node.value) {
            (Shape::Text, Written::Text { text, .. }) => Some(Value::from(&**text)),
            (Shape::Whole, Written::Text { text, .. }) => {
                let number = whole_number(text);
                if number.is_none() {
                    self.note(place, path, format!("{} is no whole number", shown(text)));
                }
                number.map(Value::Number)
            }
            (Shape::Texts | Shape::Words, Written::List(nodes)) => self.each(nodes, path, Shape::Text),
            (Shape::Words, Written::Fields(fields)) => self.words(fields, place, path),
            (Shape::Each(shape), Written::List(nodes)) => self.each(nodes, path, *shape),
            (Shape::Fields(known), Written::Fields(fields)) => Some(self.fields(fields, path, known)),
            (Shape::Named(shape), Written::Fields(fields)) => Some(self.named(fields, path, *shape)),
            (shape, found) => {
                self.note(
                    place,
                    path,
                    format!("{} is wanted here, not {}", shape.wanted(), found_text(found)),
                );
                None
            }
        }
    }

    /// Who writes an entry without anything in it has forgotten something.
    fn entry(&mut self, node: &Node, place: Place, path: &str, shape: Shape) -> Option<Value> {
        if !node.is_nothing() {
            return self.value(node, place, path, shape);
        }
        let meant = match shape {
            Shape::Text => "put it in quotes if a text is meant".to_owned(),
            Shape::Words => "an empty list is []".to_owned(),
            shape => format!("{} is wanted", shape.wanted()),
        };
        self.note(place, path, format!("there is nothing here; {meant}"));
        None
    }

    fn each(&mut self, nodes: &[Node], path: &str, shape: Shape) -> Option<Value> {
        let mut values = Vec::with_capacity(nodes.len());
        for (index, node) in nodes.iter().enumerate() {
            values.extend(self.entry(node, node.place, &format!("{path}[{index}]"), shape));
        }
        Some(Value::Array(values))
    }

    fn named(&mut self, fields: &[Field], path: &str, shape: Shape) -> Value {
        let mut values = Map::new();
        for (key, field) in self.distinct(fields, path) {
            let value = self.entry(&field.node, field.place, &below(path, key), shape);
            values.extend(value.map(|value| (key.to_owned(), value)));
        }
        Value::Object(values)
    }

    /// A field without a value was not given.
    fn fields(&mut self, fields: &[Field], path: &str, known: &[(&str, Shape)]) -> Value {
        let mut values = Map::new();
        for (key, field) in self.distinct(fields, path) {
            let path = below(path, key);
            match known.iter().find(|(name, _)| *name == key) {
                None => self.note(field.place, &path, unknown(key, known)),
                Some((_, Shape::Said)) => {}
                Some(_) if field.node.is_nothing() => {}
                Some((_, shape)) => {
                    let value = self.value(&field.node, field.place, &path, *shape);
                    values.extend(value.map(|value| (key.to_owned(), value)));
                }
            }
        }
        Value::Object(values)
    }

    /// The first of each key; of two that are the same, the server would see one.
    fn distinct<'n>(&mut self, fields: &'n [Field], path: &str) -> BTreeMap<&'n str, &'n Field> {
        let mut distinct: BTreeMap<&str, &Field> = BTreeMap::new();
        for field in fields {
            match distinct.get(&*field.key) {
                Some(first) => {
                    let why = format!("it is there already, in line {}", first.place.line);
                    self.note(field.place, &below(path, &field.key), why);
                }
                None => {
                    distinct.insert(&field.key, field);
                }
            }
        }
        distinct
    }

    /// `{file: racks.txt}`
    fn words(&mut self, fields: &[Field], place: Place, path: &str) -> Option<Value> {
        let faults_before = self.faults.len();
        let named = self.fields(fields, path, &[("file", Shape::Text)]);
        let Some(file) = named.get("file").and_then(Value::as_str) else {
            if self.faults.len() == faults_before {
                self.note(place, path, format!("{} is wanted here", Shape::Words.wanted()));
            }
            return None;
        };
        match (self.read_words)(file) {
            Ok(words) => Some(Value::from(words)),
            Err(whys) => {
                whys.into_iter().for_each(|why| self.note(place, path, why));
                None
            }
        }
    }
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn unknown(key: &str, known: &[(&str, Shape)]) -> String {
    if key == "<<" {
        return "YAML 1.2 does not merge; write the fields out".to_owned();
    }
    let told = known.iter().filter(|(_, shape)| !matches!(shape, Shape::Said)).map(|(name, _)| *name);
    match nearest(key, told.clone()) {
        Some(near) => format!("there is no such field; is `{near}` meant?"),
        None => format!("there is no such field; there are {}", told.collect::<Vec<_>>().join(", ")),
    }
}

/// Without leading zeros, which to some mean a number to the base 8.
fn whole_number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain =
        digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    let signed = || text.parse::<i64>().map(Number::from);
    text.parse::<u64>().map(Number::from).or_else(|_| signed()).ok().filter(|_| plain)
}

fn found_text(found: &Written) -> String {
    match found {
        Written::Text { text, .. } => shown(text),
        Written::List(_) => "a list".to_owned(),
        Written::Fields(_) => "an object".to_owned(),
    }
}

/// The beginning of a long text is enough to find it.
fn shown(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{:?}...", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests;
