//! Reads words and signs off a text, from the left.

use std::borrow::Cow;

use super::refusal::{Found, Refusal, Why};
use super::word::{is_joining, is_of_name, is_of_value};
use crate::domain::nearest::slips;

/// All that is no label where it stands in front of an operator.
pub const FACTS: [&str; 13] = [
    "hostname", "host", "os", "arch", "ip", "label", "has", "version", "status", "error", "state", "current",
    "reboot",
];
/// A label is not likely to be called so by intention.
const NEAR_FACT_CHARS_MIN: usize = 6;
/// These stand only within quotes.
const QUOTED_ONLY: [char; 14] = ['^', '$', '[', ']', '{', '}', '\\', '\'', '%', '@', '#', ';', '|', '&'];

pub struct Scan<'a> {
    pub text: &'a str,
    pub at: usize,
}

/// A value, and where it begins.
pub struct Value<'a> {
    pub at: usize,
    pub text: Cow<'a, str>,
}

impl Value<'_> {
    pub fn found(&self) -> Found {
        Found::of(if self.text.is_empty() { "\"\"" } else { &self.text })
    }
}

impl<'a> Scan<'a> {
    pub fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    /// Where the next thing begins.
    pub fn next(&mut self) -> usize {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
        self.at
    }

    pub fn eat(&mut self, sign: &str) -> bool {
        self.next();
        let there = self.rest().starts_with(sign);
        if there {
            self.at += sign.len();
        }
        there
    }

    /// The characters in a row that are such.
    fn run(&self, such: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        rest.get(..rest.find(|c| !such(c)).unwrap_or(rest.len())).unwrap_or("")
    }

    /// The bare word that stands there; empty: none does.
    pub fn name(&mut self) -> &'a str {
        self.next();
        self.run(is_of_name)
    }

    pub fn keyword(&mut self, word: &str) -> bool {
        let there = self.name().eq_ignore_ascii_case(word);
        if there {
            self.at += word.len();
        }
        there
    }

    /// `what` is needed, for the one who reads why it is none.
    pub fn value(&mut self, what: &'static str) -> Result<Value<'a>, Refusal> {
        let at = self.next();
        if self.rest().starts_with('"') {
            return self.quoted();
        }
        let word = self.run(is_of_value);
        let behind = self.rest().get(word.len()..).and_then(|rest| rest.chars().next());
        if is_joining(word) {
            return Err(self.refused(Why::Expected(what, Found::of(word))));
        }
        if let Some(sign) = behind.filter(|sign| QUOTED_ONLY.contains(sign) && !self.is_join(word.len())) {
            let why = Why::QuotedOnly(Found::of(sign.encode_utf8(&mut [0; 4])));
            return Err(Refusal { at: at + word.len(), why });
        }
        if word.is_empty() {
            return Err(self.refused(Why::Expected(what, self.found())));
        }
        self.at += word.len();
        Ok(Value { at, text: word.into() })
    }

    /// What others write for `and` and `or`.
    fn is_join(&self, behind: usize) -> bool {
        self.rest().get(behind..).is_some_and(|rest| rest.starts_with("&&") || rest.starts_with("||"))
    }

    /// `\"` and `\\` are `"` and `\`; a backslash in front of anything else is one, as in regular expressions.
    fn quoted(&mut self) -> Result<Value<'a>, Refusal> {
        let at = self.at;
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1).peekable();
        while let Some((n, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += n + 1;
                    return Ok(Value { at, text: text.into() });
                }
                '\\' => match chars.next_if(|(_, next)| matches!(next, '"' | '\\')) {
                    Some((_, escaped)) => text.push(escaped),
                    None => text.push(c),
                },
                c => text.push(c),
            }
        }
        Err(self.refused(Why::Unclosed('"')))
    }

    /// What stands there, for the one who did not expect it.
    pub fn found(&self) -> Found {
        let rest = self.rest();
        match self.run(is_of_value) {
            "" => Found::of(rest.chars().next().map_or("", |c| rest.get(..c.len_utf8()).unwrap_or(""))),
            word => Found::of(word),
        }
    }

    pub fn refused(&self, why: Why) -> Refusal {
        Refusal { at: self.at, why }
    }
}

/// Whether a label may be written by its key alone.
pub fn is_key(key: &str) -> bool {
    let bare = !key.is_empty() && key.chars().all(|c| is_of_name(c) && c != '*' && c != '?');
    bare && !is_reserved(key) && near_fact(key).is_none()
}

fn is_reserved(word: &str) -> bool {
    is_joining(word) || FACTS.iter().chain(&["all"]).any(|known| known.eq_ignore_ascii_case(word))
}

/// The fact that was probably meant: a label of a mistyped name would be no mistake, and select nothing or everything.
pub fn near_fact(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    let mut long = FACTS.into_iter().filter(|fact| fact.len() >= NEAR_FACT_CHARS_MIN);
    long.find(|fact| slips(&word, fact) == Some(1))
}
