//! What is wrong with a file, and where.

use std::fmt;

use crate::domain::one_line::one_line;

/// Of the first character, both from 1; columns are characters, as editors count them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    pub const FIRST: Self = Self { line: 1, column: 1 };

    /// Behind `before`, which is the text from the beginning of the file.
    pub fn behind(before: &str) -> Self {
        let last = before.rsplit('\n').next().unwrap_or_default();
        Self { line: before.matches('\n').count() + 1, column: last.chars().count() + 1 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub place: Place,
    /// As in `groups.prod.select`; empty where it is about no value.
    pub path: String,
    pub why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", one_line(&self.path))?;
        }
        // A selector is shown with a caret below it.
        let lines: Vec<String> = self.why.lines().map(one_line).collect();
        f.write_str(&lines.join("\n      "))
    }
}
