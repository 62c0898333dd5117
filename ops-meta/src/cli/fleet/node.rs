//! A YAML text as a tree whose every node knows its place. Nothing is guessed about scalars: they stay the texts that were
//! written.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span};

use super::fault::{Fault, Place};

/// The document has five levels.
const DEPTH_MAX: usize = 16;
/// Of all texts and nodes, those that aliases repeat counted again: a file of 32 MiB without aliases has less.
const WEIGHT_BYTES_MAX: usize = 128 << 20;
/// What a node weighs beside its text.
const NODE_BYTES: usize = 16;

#[derive(Debug, Clone)]
pub struct Node {
    pub place: Place,
    pub value: Written,
}

/// As it was written.
#[derive(Debug, Clone)]
pub enum Written {
    Text {
        text: Box<str>,
        /// Without quotes.
        plain: bool,
    },
    List(Vec<Node>),
    Fields(Vec<Field>),
}

#[derive(Debug, Clone)]
pub struct Field {
    /// Of the key.
    pub place: Place,
    pub key: Box<str>,
    pub node: Node,
}

impl Node {
    /// Nothing was written, or that there is nothing.
    pub fn is_nothing(&self) -> bool {
        match &self.value {
            Written::Text { text, plain: true } => matches!(&**text, "" | "~" | "null" | "Null" | "NULL"),
            _ => false,
        }
    }

    /// Of what `path` names, or of the nearest thing around it that was written.
    pub fn place_of(&self, path: &str) -> Place {
        let (mut place, mut node, mut rest) = (self.place, self, path);
        while let Some((next_place, next, next_rest)) = node.step(rest) {
            (place, node, rest) = (next_place, next, next_rest);
        }
        place
    }

    fn step<'a>(&self, path: &'a str) -> Option<(Place, &Self, &'a str)> {
        match &self.value {
            Written::Text { .. } => None,
            Written::List(nodes) => {
                let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
                let node = nodes.get(index.parse::<usize>().ok()?)?;
                Some((node.place, node, rest))
            }
            Written::Fields(fields) => {
                let path = path.strip_prefix('.').unwrap_or(path);
                let named = |field: &&Field| rest_behind(path, &field.key).is_some();
                // A name may have dots: the longest is meant.
                let longest = fields.iter().rev().filter(named).max_by_key(|field| field.key.len())?;
                Some((longest.place, &longest.node, rest_behind(path, &longest.key)?))
            }
        }
    }

    /// What it weighs, and how many levels it has.
    fn extent(&self) -> (usize, usize) {
        let around = |inner: &mut dyn Iterator<Item = (usize, usize)>| {
            inner.fold((NODE_BYTES, 1), |(weight, depth), (more, deep)| (weight + more, depth.max(deep + 1)))
        };
        match &self.value {
            Written::Text { text, .. } => (NODE_BYTES + text.len(), 1),
            Written::List(nodes) => around(&mut nodes.iter().map(Self::extent)),
            Written::Fields(fields) => around(&mut fields.iter().map(|field| {
                let (weight, depth) = field.node.extent();
                (weight + field.key.len(), depth)
            })),
        }
    }
}

fn rest_behind<'a>(path: &'a str, key: &str) -> Option<&'a str> {
    path.strip_prefix(key).filter(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The one document of `text`; `None` where there is none. The first fault of YAML is the last, since nobody knows how
/// the rest is meant.
pub fn parse(text: &str) -> Result<Option<Node>, Fault> {
    let mut tree = Tree::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| no_yaml(text, &error))?;
        tree.take(event, span)?;
    }
    Ok(tree.root)
}

fn no_yaml(text: &str, error: &ScanError) -> Fault {
    let place = place(*error.marker());
    let line = text.lines().nth(place.line - 1).unwrap_or_default();
    let indented_by_tab = line.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t');
    let advice = if indented_by_tab { "; it is indented by a tab, and YAML wants blanks" } else { "" };
    fault(place, format!("it is no YAML: {}{advice}", error.info()))
}

fn place(marker: Marker) -> Place {
    Place { line: marker.line().max(1), column: marker.col() + 1 }
}

fn fault(place: Place, why: impl Into<String>) -> Fault {
    Fault { place, path: String::new(), why: why.into() }
}

/// What was read of the document so far.
#[derive(Default)]
struct Tree {
    root: Option<Node>,
    /// Lists and fields that have not ended, the innermost last.
    open: Vec<Open>,
    /// By number. One that has not ended is not there yet, so that nothing can be in itself.
    anchors: HashMap<usize, Node>,
    weight_bytes: usize,
}

struct Open {
    node: Node,
    /// 0: none.
    anchor: usize,
    /// Waits for its value.
    key: Option<(Place, Box<str>)>,
}

impl Tree {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        let place = place(span.start);
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(fault(place, "a second document begins here; one file is one document"))
            }
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => {
                Err(fault(place, "a tag (`!...`) says nothing here: each field knows its type; leave it out"))
            }
            Event::Scalar(text, style, anchor, None) => {
                let value = Written::Text { text: text.into(), plain: style == ScalarStyle::Plain };
                self.add(Node { place, value }, anchor)
            }
            Event::SequenceStart(anchor, None) => {
                self.open(Node { place, value: Written::List(Vec::new()) }, anchor)
            }
            Event::MappingStart(anchor, None) => {
                self.open(Node { place, value: Written::Fields(Vec::new()) }, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => self.add(open.node, open.anchor),
                None => Ok(()),
            },
            Event::Alias(anchor) => self.repeat(anchor, place),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn open(&mut self, node: Node, anchor: usize) -> Result<(), Fault> {
        self.note_depth(1, node.place)?;
        self.open.push(Open { node, anchor, key: None });
        Ok(())
    }

    fn repeat(&mut self, anchor: usize, place: Place) -> Result<(), Fault> {
        let Some(anchored) = self.anchors.get(&anchor) else {
            return Err(fault(place, "the alias is inside of what it stands for"));
        };
        let (weight_bytes, depth) = anchored.extent();
        self.note_depth(depth, place)?;
        self.note_weight(weight_bytes, place)?;
        let value = self.anchors.get(&anchor).map(|anchored| anchored.value.clone());
        value.map_or(Ok(()), |value| self.put(Node { place, value }))
    }

    /// Puts a node that is whole where it belongs.
    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Fault> {
        let own_bytes =
            NODE_BYTES + if let Written::Text { text, .. } = &node.value { text.len() } else { 0 };
        self.note_weight(own_bytes, node.place)?;
        if anchor != 0 {
            self.note_weight(node.extent().0, node.place)?;
            self.anchors.insert(anchor, node.clone());
        }
        self.put(node)
    }

    fn put(&mut self, node: Node) -> Result<(), Fault> {
        let Some(Open { node: around, key, .. }) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match (&mut around.value, key.take(), node.value) {
            (Written::Fields(fields), Some((place, key)), value) => {
                fields.push(Field { place, key, node: Node { place: node.place, value } });
            }
            (Written::Fields(_), None, Written::Text { text, .. }) => *key = Some((node.place, text)),
            (Written::Fields(_), None, _) => return Err(fault(node.place, "a key has to be a text")),
            (Written::List(nodes), _, value) => nodes.push(Node { place: node.place, value }),
            (Written::Text { .. }, ..) => {}
        }
        Ok(())
    }

    fn note_depth(&self, more: usize, place: Place) -> Result<(), Fault> {
        match self.open.len() + more > DEPTH_MAX {
            true => Err(fault(place, format!("it is nested more than {DEPTH_MAX} levels deep"))),
            false => Ok(()),
        }
    }

    fn note_weight(&mut self, more: usize, place: Place) -> Result<(), Fault> {
        self.weight_bytes = self.weight_bytes.saturating_add(more);
        match self.weight_bytes > WEIGHT_BYTES_MAX {
            true => {
                Err(fault(place, "up to here it has more values, or its aliases repeat more, than are read"))
            }
            false => Ok(()),
        }
    }
}
