//! Which hosts: the language of groups, policies and lists. docs/selectors.md has it with examples.
//!
//! ```text
//! expression  = conjunction { "or" conjunction }
//! conjunction = single { "and" single }
//! single      = "not" single | "(" expression ")" | "all" | condition
//! condition   = text test
//!             | "ip" ( "=" | "!=" ) ADDRESS
//!             | "ip" "in" ( NET | "(" NET { "," NET } ")" )
//!             | "has" "(" KEY ")"
//!             | real
//! text        = "hostname" | "host" | "os" | "arch" | "label" "(" KEY ")" | KEY
//! test        = ( "=" | "!=" ) GLOB
//!             | ( "~" | "!~" ) REGEX
//!             | "in" ( "(" WORD { "," WORD } ")" | "@" LIST )
//!
//! real        = "version" "(" AGENT ")" ( test | ( "<" | "<=" | ">" | ">=" ) VERSION )
//!             | "status" "(" AGENT ")" test
//!             | "error" [ "(" AGENT ")" ] test
//!             | ( "state" | "current" ) ( ( "=" | "!=" ) WORD | "in" "(" WORD { "," WORD } ")" )
//!             | "reboot" ( "=" | "!=" ) ( "yes" | "no" )
//! ```
//!
//! A [`Selector`] asks only what stays; a [`ListFilter`] may ask `real`, too. Words of the language are the same in either
//! case, values are not. A bare value has letters, digits and `_ . : / * ? + - ~`; any other stands in `"`, where `\"` and
//! `\\` are `"` and `\`. `a!=b` is `not a=b`, for hosts that have no `a`, too.

mod anchor;
mod condition;
mod expr;
mod facts;
mod glob;
mod net;
mod operator;
mod parse;
mod pattern;
mod read_real;
mod real;
mod reason;
mod refusal;
mod scan;
mod stable;
mod text;
mod word;

#[cfg(test)]
pub mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use expr::Expr;
use real::Term;
use stable::Stable;

pub use anchor::{Anchor, Asked};
pub use facts::{AgentFacts, HostFacts, RealFacts};
pub use net::Net;
pub use pattern::{PATTERN_CHARS_MAX, regex};
pub use reason::Reason;
pub use refusal::{Refusal, Why};
pub use text::Words;

/// The longest text.
pub const TEXT_BYTES_MAX: usize = 64 << 10;
/// So many parentheses and `not` may be within each other.
pub const LEVELS_MAX: usize = 200;
/// So many conditions and words in lists may be in one text.
pub const TERMS_MAX: usize = 10_000;

/// The lists that `in @NAME` may name.
pub type Lists = BTreeMap<Box<str>, Arc<Words>>;

/// Which hosts, by what stays as it is whatever runs on them.
#[derive(Debug, Clone, PartialEq)]
pub struct Selector(Expr<Stable>);

impl Selector {
    pub fn parse(text: &str, lists: &Lists) -> Result<Self, Refusal> {
        parse::parse(text, lists).map(Self)
    }

    /// Some ten nanoseconds for each condition looked at; allocates nothing of its own.
    pub fn matches(&self, host: &HostFacts<'_>) -> bool {
        self.0.holds(&|term| term.holds(host))
    }

    /// What a host may need to be selected; whoever counts how many selectors ask for each knows its crowd.
    pub fn anchors(&self) -> Vec<Anchor<'_>> {
        self.0.anchors()
    }

    /// One of these holds for whatever host is selected. Where there is a choice, it is for what has the smallest
    /// `crowd`: so many selectors ask for it. `None`: nothing is known of a host that is selected.
    pub fn needed<'a>(&'a self, crowd: &impl Fn(&Anchor<'a>) -> usize) -> Option<Vec<Anchor<'a>>> {
        self.0.needed(crowd).map(|needed| needed.anchors)
    }

    /// Why it matches, or why it does not.
    pub fn explain(&self, host: &HostFacts<'_>) -> Vec<Reason> {
        Reason::all(&self.0, |term| term.holds(host), |term| term.found(host))
    }

    /// The labels that it asks for.
    pub fn labels(&self) -> BTreeSet<&str> {
        let mut labels = BTreeSet::new();
        self.0.each(&mut |term| labels.extend(term.label()));
        labels
    }

    /// The lists that it names.
    pub fn lists(&self) -> BTreeSet<&str> {
        let mut lists = BTreeSet::new();
        self.0.each(&mut |term| lists.extend(term.list()));
        lists
    }
}

/// Which hosts, by whatever is known of them.
#[derive(Debug, Clone, PartialEq)]
pub struct ListFilter(Expr<Term>);

impl ListFilter {
    pub fn parse(text: &str, lists: &Lists) -> Result<Self, Refusal> {
        parse::parse(text, lists).map(Self)
    }

    pub fn matches(&self, host: &HostFacts<'_>, real: &impl RealFacts) -> bool {
        self.0.holds(&|term| term.holds(host, real))
    }

    pub fn explain(&self, host: &HostFacts<'_>, real: &impl RealFacts) -> Vec<Reason> {
        Reason::all(&self.0, |term| term.holds(host, real), |term| term.found(host, real))
    }
}

/// The same, written in one way; it reads as what it was.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ListFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
