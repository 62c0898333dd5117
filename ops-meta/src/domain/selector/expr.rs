//! Conditions joined by `and`, `or` and `not`.
//!
//! What walks this tree calls itself, and its depth is bounded: the parser takes so many levels and no more, and a chain
//! of ten thousand conditions is one level.

use std::fmt;

#[derive(Debug, Clone, PartialEq)]
pub enum Expr<T> {
    All,
    Term(T),
    Not(Box<Self>),
    /// Of two parts at least, none of them joined in the same way.
    Joined(Joint, Vec<Self>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joint {
    And,
    Or,
}

/// A condition that knows how to write its opposite.
pub trait Shown: fmt::Display {
    fn fmt_not(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

impl<T> Expr<T> {
    /// One shape for one meaning: what is negated twice is what it was.
    pub fn negated(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    pub fn joined(joint: Joint, parts: Vec<Self>) -> Self {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Self::Joined(same, inner) if same == joint => flat.extend(inner),
                other => flat.push(other),
            }
        }
        match <[Self; 1]>::try_from(flat) {
            Ok([only]) => only,
            Err(several) => Self::Joined(joint, several),
        }
    }

    pub fn holds(&self, term: &impl Fn(&T) -> bool) -> bool {
        match self {
            Self::All => true,
            Self::Term(it) => term(it),
            Self::Not(inner) => !inner.holds(term),
            Self::Joined(Joint::And, parts) => parts.iter().all(|part| part.holds(term)),
            Self::Joined(Joint::Or, parts) => parts.iter().any(|part| part.holds(term)),
        }
    }

    /// Every condition in it.
    pub fn each<'a>(&'a self, term: &mut impl FnMut(&'a T)) {
        match self {
            Self::All => {}
            Self::Term(it) => term(it),
            Self::Not(inner) => inner.each(term),
            Self::Joined(_, parts) => parts.iter().for_each(|part| part.each(term)),
        }
    }

    /// The conditions that made it what it is, and whether they hold: of what is joined, those parts that came out as
    /// the whole did. While they stay, whatever else changes changes nothing.
    pub fn deciding<'a>(&'a self, term: &impl Fn(&T) -> bool, found: &mut Vec<(&'a T, bool)>) {
        match self {
            Self::All => {}
            Self::Term(it) => found.push((it, term(it))),
            Self::Not(inner) => inner.deciding(term, found),
            Self::Joined(_, parts) => {
                let whole = self.holds(term);
                for part in parts.iter().filter(|part| part.holds(term) == whole) {
                    part.deciding(term, found);
                }
            }
        }
    }
}

impl<T: Shown> fmt::Display for Expr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Term(term) => term.fmt(f),
            Self::Not(inner) => match &**inner {
                Self::Term(term) => term.fmt_not(f),
                Self::Joined(..) => write!(f, "not ({inner})"),
                _ => write!(f, "not {inner}"),
            },
            Self::Joined(joint, parts) => {
                for (n, part) in parts.iter().enumerate() {
                    if n > 0 {
                        f.write_str(if *joint == Joint::And { " and " } else { " or " })?;
                    }
                    match part {
                        Self::Joined(Joint::Or, _) => write!(f, "({part})")?,
                        _ => part.fmt(f)?,
                    }
                }
                Ok(())
            }
        }
    }
}
