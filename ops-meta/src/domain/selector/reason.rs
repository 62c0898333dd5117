//! Why a host is selected or not, in words.

use std::fmt;

use super::expr::{Expr, Shown};
use crate::domain::one_line::one_line;

/// So many decide at most; who needs more reads the selector.
const REASONS_MAX: usize = 100;
/// Of a condition and of what a host has.
const CHARS_MAX: usize = 200;

/// One condition that decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    pub condition: String,
    pub holds: bool,
    /// What the host has.
    pub found: String,
}

impl Reason {
    pub(super) fn all<T: Shown>(
        expr: &Expr<T>,
        holds: impl Fn(&T) -> bool,
        found: impl Fn(&T) -> String,
    ) -> Vec<Self> {
        let mut deciding = Vec::new();
        expr.deciding(&holds, &mut deciding);
        let reason = |(term, holds): (&T, bool)| Self {
            condition: short(&term.to_string()),
            holds,
            found: short(&found(term)),
        };
        deciding.into_iter().take(REASONS_MAX).map(reason).collect()
    }
}

/// Labels are a host's own words.
fn short(text: &str) -> String {
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => one_line(text.get(..end).unwrap_or(text)) + "…",
        None => one_line(text),
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let holds = if self.holds { "holds" } else { "does not hold" };
        write!(f, "`{}` {holds}: {}", self.condition, self.found)
    }
}
