//! A regular expression: found anywhere in the text, unless it begins with `^` or ends with `$`.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Look, literal::Extractor};

use super::word::Quoted;

/// The longest, in characters, and the size of what it may become: the time that a text takes grows with it.
pub const PATTERN_CHARS_MAX: usize = 1024;
const REGEX_BYTES_MAX: usize = 10 << 10;
/// What one search may keep in mind; with less it is slower.
const CACHE_BYTES_MAX: usize = 1 << 20;
/// Of so many characters that may stand in one place each becomes a beginning of its own: the two cases of a letter do,
/// digits do not.
const BEGINNINGS_OF_PLACE_MAX: usize = 2;

#[derive(Debug, Clone)]
pub struct Pattern {
    text: Box<str>,
    regex: Regex,
    beginnings: Option<Box<[Box<str>]>>,
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
            Ok(regex) => Ok(Self { text: text.into(), regex, beginnings: beginnings(text) }),
            Err(regex::Error::CompiledTooBig(_)) => {
                Err(format!("it becomes larger than {REGEX_BYTES_MAX} bytes; repeat less in it"))
            }
            Err(error) => Err(last_line(&error.to_string())),
        }
    }

    pub fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text.as_bytes())
    }

    /// Whatever it is found in begins with one of these, and none is empty. `None`: there are none such.
    pub fn beginnings(&self) -> Option<&[Box<str>]> {
        self.beginnings.as_deref()
    }
}

/// Read as [`regex`] reads it. A match begins where its literals do; only behind a `^` is that where the text begins.
fn beginnings(text: &str) -> Option<Box<[Box<str>]>> {
    let hir = ParserBuilder::new().unicode(false).utf8(false).build().parse(text).ok()?;
    if !hir.properties().look_set_prefix().contains(Look::Start) {
        return None;
    }
    let literals = Extractor::new().limit_class(BEGINNINGS_OF_PLACE_MAX).extract(&hir);
    // A literal may end within a character: what stands in front of that is a beginning, too.
    let beginnings = literals.literals()?.iter().map(|literal| {
        let whole = literal.as_bytes().utf8_chunks().next()?.valid();
        (!whole.is_empty()).then(|| whole.into())
    });
    beginnings.collect()
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_begins_with_a_literal_is_known_to() {
        for (pattern, expected) in [
            ("^bj-", vec!["bj-"]),
            ("^bj-web[0-9]+$", vec!["bj-web"]),
            ("^(bj|sh)-web", vec!["bj-web", "sh-web"]),
            ("^bj-(web|db).*x|^sh", vec!["bj-web", "bj-db", "sh"]),
            (r"\Abj\.a", vec!["bj.a"]),
            ("(?i)^b-", vec!["B-", "b-"]),
            ("^bj?", vec!["bj", "b"]),
            ("^kä", vec!["kä"]),
            (r"(?-u)^k\xc3", vec!["k"]),
        ] {
            let found = Pattern::new(pattern).unwrap();
            assert_eq!(
                found.beginnings().unwrap().iter().map(|it| &**it).collect::<Vec<_>>(),
                expected,
                "{pattern}"
            );
        }
        for pattern in
            ["bj", "", "^", "^.", "^a*", "^a|b", "(^|-)a", "(^a)?b", "(?m)^a", "a^", r"^\xc3", "^[^a]"]
        {
            assert_eq!(Pattern::new(pattern).unwrap().beginnings(), None, "{pattern}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn whatever_a_pattern_is_found_in_begins_as_it_says(
            pattern in r"(\(\?[imsx]\))?\^?([ab^$|()?*+.ä \n#]|\[\^?[ab]\]|\{[01],2\}|\\A){0,8}",
            text in "[abAä \n]{0,5}",
        ) {
            if let Ok(pattern) = Pattern::new(&pattern)
                && let Some(beginnings) = pattern.beginnings()
                && pattern.matches(&text)
            {
                prop_assert!(beginnings.iter().any(|it| text.starts_with(&**it)), "{:?}", beginnings);
            }
        }
    }
}
