//! How a word is written, bare or in quotes.

use std::fmt::{self, Write};

/// These join, and are no values unless they stand in quotes: a forgotten value would swallow them.
const JOINING: [&str; 4] = ["and", "or", "not", "in"];

/// Of a bare word in front of an operator.
pub fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | ':' | '/' | '*' | '?' | '+' | '-')
}

/// Of a bare value: versions have a `~`, which in front of a value is an operator.
pub fn is_of_value(c: char) -> bool {
    is_of_name(c) || c == '~'
}

pub fn is_joining(word: &str) -> bool {
    JOINING.iter().any(|it| it.eq_ignore_ascii_case(word))
}

/// A value, in quotes only where it needs them.
pub struct Word<'a>(pub &'a str);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `=~` would be read as one operator.
        let bare = !self.0.is_empty() && !self.0.starts_with('~') && self.0.chars().all(is_of_value);
        match bare && !is_joining(self.0) {
            true => f.write_str(self.0),
            false => Quoted(self.0).fmt(f),
        }
    }
}

/// In quotes. A backslash is doubled only where it would be read as an escape: regular expressions stay readable.
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        let mut chars = self.0.chars().peekable();
        while let Some(c) = chars.next() {
            let escaped = match c {
                '"' => true,
                '\\' => matches!(chars.peek(), None | Some('"' | '\\')),
                _ => false,
            };
            if escaped {
                f.write_char('\\')?;
            }
            f.write_char(c)?;
        }
        f.write_char('"')
    }
}
