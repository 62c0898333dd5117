//! Why a text is no selector: where, what, and what to write instead.

use std::fmt;

use ops_wire::NameError;

use super::net::{Net, NoNet};
use super::pattern::PATTERN_CHARS_MAX;
use super::{LEVELS_MAX, TERMS_MAX, TEXT_BYTES_MAX};
use crate::domain::one_line::one_line;

/// So much of the text is shown on either side of the place, in characters.
const AROUND_CHARS: usize = 40;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The first byte of the place, counted from 0.
    pub at: usize,
    pub why: Why,
}

/// Words of the text are in here as `Found`, which bounds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    Empty,
    TextTooLong(usize),
    TooDeep,
    TooManyTerms,
    /// What is needed there.
    Expected(&'static str, Found),
    /// What is meant is written otherwise.
    Instead(Found, String),
    Unclosed(char),
    ClosesNothing,
    /// Behind this fact.
    NoOperator(Found),
    BareWord(Found),
    QuotedOnly(Found),
    /// A fact, and what stands behind it.
    Lacks(&'static str, &'static str),
    NotWith(&'static str, String, &'static str),
    NoNet(Found, NoNet),
    NoName(&'static str, Found, NameError),
    NoPattern(String),
    PatternTooLong,
    GlobInList(Found),
    NoList(Found, Option<String>),
    NotOneOf(Found, String, Option<String>),
    NearFact(Found, &'static str),
    Real(&'static str),
}

/// A piece of the text, on one line and short; empty at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found(pub String);

impl Found {
    pub fn of(text: &str) -> Self {
        let mut chars = text.chars();
        let mut found: String = chars.by_ref().take(AROUND_CHARS).collect();
        if chars.next().is_some() {
            found.push('…');
        }
        Self(one_line(&found))
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_str() {
            "" => f.write_str("the end"),
            text => write!(f, "`{text}`"),
        }
    }
}

impl Why {
    pub fn instead(wrong: &str, right: &str) -> Self {
        Self::Instead(Found::of(wrong), right.to_owned())
    }
}

impl Refusal {
    /// The part of the text around the place, and a caret below it.
    pub fn shown_in(&self, text: &str) -> String {
        let (before, after) = text.split_at_checked(self.at).unwrap_or((text, ""));
        // One column for each character, whatever it is.
        let plain =
            |c: char| if one_line(c.encode_utf8(&mut [0; 4])).len() == c.len_utf8() { c } else { ' ' };
        let skipped = before.chars().count().saturating_sub(AROUND_CHARS);
        let cut = if skipped > 0 { "…" } else { "" };
        let before: String = before.chars().skip(skipped).map(plain).collect();
        let mut rest = after.chars();
        let mut after: String = rest.by_ref().take(AROUND_CHARS).map(plain).collect();
        if rest.next().is_some() {
            after.push('…');
        }
        let indent = " ".repeat(cut.chars().count() + before.chars().count());
        format!("{cut}{before}{after}\n{indent}^ {}", self.why)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.at.saturating_add(1), self.why)
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty; all hosts are `all`"),
            Self::TextTooLong(bytes) => write!(
                f,
                "it has {bytes} bytes, {TEXT_BYTES_MAX} are allowed; many names belong into a list: hostname in @NAME"
            ),
            Self::TooDeep => write!(f, "more than {LEVELS_MAX} parentheses and `not` within each other"),
            Self::TooManyTerms => {
                write!(
                    f,
                    "more than {TERMS_MAX} conditions and words; many names belong into a list: hostname in @NAME"
                )
            }
            Self::Expected(what, found) => write!(f, "{what} is expected here, not {found}"),
            Self::Instead(found, instead) => write!(f, "{found} means nothing here; write {instead}"),
            Self::Unclosed(sign) => write!(f, "this `{sign}` is never closed"),
            Self::ClosesNothing => f.write_str("this `)` closes nothing"),
            Self::NoOperator(fact) => write!(f, "{fact} lacks an operator: =, !=, ~, !~ or in"),
            Self::BareWord(word) => {
                let Found(name) = word;
                write!(
                    f,
                    "{word} lacks an operator: =, !=, ~, !~ or in; if hosts only have to have that label, write \
                     has({name}); if it is a hostname, hostname={name}"
                )
            }
            Self::QuotedOnly(sign) => write!(f, "{sign} stands only within quotes: \"...\""),
            Self::Lacks(fact, form) => write!(f, "`{fact}` lacks what it is about: {fact}{form}"),
            Self::NotWith(operator, fact, allowed) => {
                write!(f, "`{operator}` does not go with {fact}; {allowed} do")
            }
            Self::NoNet(found, why) => no_net(found, why, f),
            Self::NoName(what, found, NameError::Empty) => write!(f, "{what} is expected here, not {found}"),
            Self::NoName(what, found, why) => write!(f, "{found} is not {what}: {why}"),
            Self::NoPattern(why) => write!(f, "this is no regular expression: {why}"),
            Self::PatternTooLong => write!(f, "it has more than {PATTERN_CHARS_MAX} characters"),
            Self::GlobInList(found) => {
                write!(f, "{found} in a list is no pattern: lists have whole words; join patterns with `or`")
            }
            Self::NoList(found, near) => {
                write!(f, "there is no list {found}")?;
                meant(near.as_deref(), f)
            }
            Self::NotOneOf(found, known, near) => {
                write!(f, "{found} is none of {known}")?;
                meant(near.as_deref(), f)
            }
            Self::NearFact(found, fact) => {
                let key = &found.0;
                write!(f, "{found} is nearly `{fact}`; if a label is meant, write label({key})")
            }
            Self::Real(fact) => write!(
                f,
                "`{fact}` is what runs, and only lists ask for it: a group that selects by what it causes would \
                 never come to rest; select by hostname, labels, os, arch or ip"
            ),
        }
    }
}

fn meant(near: Option<&str>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match near {
        Some(near) => write!(f, "; perhaps `{near}`"),
        None => Ok(()),
    }
}

fn no_net(found: &Found, why: &NoNet, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match why {
        NoNet::Address => write!(f, "{found} is no address such as 10.3.0.1 or fe80::1")?,
        NoNet::Prefix(bits) => write!(f, "{found} does not end with a number of bits, 0 to {bits}")?,
        NoNet::Inside(net) => return inside(found, net, f),
    }
    match found.0.contains('*') {
        true => f.write_str("; a network is written ip in 10.3.0.0/16"),
        false => Ok(()),
    }
}

fn inside(found: &Found, net: &Net, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{found} is an address within a network; the network is {net}")
}
