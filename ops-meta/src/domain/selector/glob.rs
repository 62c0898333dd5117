//! A text in which `*` stands for any text and `?` for one character.

use std::fmt;

use super::word::Word;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    text: Box<str>,
    shape: Shape,
}

/// Most are one of the first two, and cost one comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Word,
    /// A word and a `*`.
    Prefix,
    Pattern,
}

impl Glob {
    pub fn new(text: &str) -> Self {
        let shape = match text.find(['*', '?']) {
            None => Shape::Word,
            Some(at) if text.get(at..) == Some("*") => Shape::Prefix,
            Some(_) => Shape::Pattern,
        };
        Self { text: text.into(), shape }
    }

    /// The only text that it matches.
    pub fn word(&self) -> Option<&str> {
        (self.shape == Shape::Word).then_some(&self.text)
    }

    /// What all that it matches begins with.
    pub fn beginning(&self) -> &str {
        self.text.split(['*', '?']).next().unwrap_or("")
    }

    pub fn matches(&self, text: &str) -> bool {
        match self.shape {
            Shape::Word => *self.text == *text,
            Shape::Prefix => text.starts_with(self.text.strip_suffix('*').unwrap_or(&self.text)),
            Shape::Pattern => matches(self.text.as_bytes(), text.as_bytes()),
        }
    }
}

/// Only the last `*` is ever tried again, at the next byte: the time is the product of both lengths at most. Bytes do for
/// UTF-8, as the first one of a character is never taken for one of its others.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut next, mut at) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(next), text.get(at)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                next += 1;
                last_star = Some((next, at));
                continue;
            }
            // A later beginning leaves even less.
            (Some(_), None) => return false,
            (Some(b'?'), Some(&byte)) if !is_inner(byte) => {
                let inner = text.iter().skip(at + 1).take_while(|byte| is_inner(**byte)).count();
                (next, at) = (next + 1, at + 1 + inner);
                continue;
            }
            (Some(wanted), Some(found)) if wanted == found => {
                (next, at) = (next + 1, at + 1);
                continue;
            }
            _ => {}
        }
        let Some((rest, from)) = last_star else { return false };
        last_star = Some((rest, from + 1));
        (next, at) = (rest, from + 1);
    }
}

/// Not the first byte of its character.
fn is_inner(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Word(&self.text).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_glob_is_the_whole_text() {
        for (glob, text, expected) in [
            ("web", "web", true),
            ("web", "web1", false),
            ("web*", "web1.dc1", true),
            ("web*", "we", false),
            ("web?", "web1", true),
            ("web?", "web12", false),
            ("web?", "web", false),
            ("k?se ??", "käse äö", true),
            ("k??se", "käse", false),
            ("*.dc1", "web1.dc1", true),
            ("*.dc1", "web1.dc1.dc2", false),
            ("*a*b", "xaxbxab", true),
            ("w.b*", "web1", false),
            ("*", "", true),
            ("**", "a\nb", true),
            ("?", "", false),
        ] {
            assert_eq!(Glob::new(glob).matches(text), expected, "{glob} {text}");
        }
    }

    fn naive(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (['*', rest @ ..], _) => (0..=text.len()).any(|n| naive(rest, &text[n..])),
            (['?', rest @ ..], [_, others @ ..]) => naive(rest, others),
            ([wanted, rest @ ..], [found, others @ ..]) => wanted == found && naive(rest, others),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn every_way_to_match_is_found(glob in "[aä*?]{0,7}", text in "[aä]{0,7}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            let (glob, expected) = (Glob::new(&glob), naive(&chars(&glob), &chars(&text)));
            prop_assert_eq!(glob.matches(&text), expected);
            prop_assert!(!expected || text.starts_with(glob.beginning()));
            prop_assert!(!expected || glob.word().is_none_or(|word| word == text));
        }
    }
}
