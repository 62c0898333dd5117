//! A regular expression: found anywhere in the text, unless it begins with `^` or ends with `$`.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

use super::word::Quoted;

/// The longest, in characters, and the size of what it may become: the time that a text takes grows with it.
pub const PATTERN_CHARS_MAX: usize = 1024;
const REGEX_BYTES_MAX: usize = 10 << 10;
/// What one search may keep in mind; with less it is slower.
const CACHE_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Clone)]
pub struct Pattern {
    text: Box<str>,
    regex: Regex,
}

/// This kind takes a time that is linear in the text, whatever it is. Hostnames are mostly ASCII: `\w` and `.` mean
/// bytes, which is a hundredth of what they would be in Unicode.
pub fn regex(text: &str) -> Result<Regex, regex::Error> {
    let mut builder = RegexBuilder::new(text);
    builder.unicode(false).size_limit(REGEX_BYTES_MAX).dfa_size_limit(CACHE_BYTES_MAX).build()
}

impl Pattern {
    /// # Errors
    /// Why it is none, in words.
    pub fn new(text: &str) -> Result<Self, String> {
        match regex(text) {
            Ok(regex) => Ok(Self { text: text.into(), regex }),
            Err(regex::Error::CompiledTooBig(_)) => {
                Err(format!("it becomes larger than {REGEX_BYTES_MAX} bytes; repeat less in it"))
            }
            Err(error) => Err(last_line(&error.to_string())),
        }
    }

    pub fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text.as_bytes())
    }
}

/// The crate draws the pattern above its reason; the place is shown by whoever shows the whole text.
fn last_line(drawn: &str) -> String {
    let last = drawn.lines().last().unwrap_or(drawn).trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Quoted(&self.text).fmt(f)
    }
}
