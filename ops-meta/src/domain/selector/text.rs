//! What a text is compared with.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::glob::Glob;
use super::pattern::Pattern;
use super::word::Word;

/// The words of a named list.
pub type Words = HashSet<Box<str>>;

#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    Is(Glob),
    Matches(Pattern),
    /// Sorted.
    OneOf(Box<[Box<str>]>),
    Listed(Listed),
}

/// A named list, as it was when the text was read.
#[derive(Debug, Clone)]
pub struct Listed {
    pub name: Box<str>,
    pub words: Arc<Words>,
}

impl Test {
    pub fn one_of(mut words: Vec<Box<str>>) -> Self {
        words.sort();
        words.dedup();
        Self::OneOf(words.into())
    }

    pub fn holds(&self, text: &str) -> bool {
        match self {
            Self::Is(glob) => glob.matches(text),
            Self::Matches(pattern) => pattern.matches(text),
            Self::OneOf(words) => words.binary_search_by(|word| (**word).cmp(text)).is_ok(),
            Self::Listed(listed) => listed.words.contains(text),
        }
    }

    /// Behind the fact it is about, and the opposite where there is a sign for it.
    pub fn write(&self, fact: impl fmt::Display, negated: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if negated { "!" } else { "" };
        let not = if negated { "not " } else { "" };
        match self {
            Self::Is(glob) => write!(f, "{fact}{sign}={glob}"),
            Self::Matches(pattern) => write!(f, "{fact}{sign}~{pattern}"),
            Self::OneOf(words) => {
                write!(f, "{not}{fact} in (")?;
                list(words.iter().map(|word| Word(word)), f)?;
                f.write_str(")")
            }
            Self::Listed(Listed { name, .. }) => write!(f, "{not}{fact} in @{name}"),
        }
    }
}

/// With commas between.
pub fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (n, item) in items.into_iter().enumerate() {
        if n > 0 {
            f.write_str(", ")?;
        }
        item.fmt(f)?;
    }
    Ok(())
}

/// Two are the same when they select the same. Most are one and the same list.
impl PartialEq for Listed {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && (Arc::ptr_eq(&self.words, &other.words) || self.words == other.words)
    }
}
