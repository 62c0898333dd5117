//! Names and versions, each kept once: a million hosts have the same few.

use std::collections::HashMap;
use std::num::NonZeroU16;

/// A name or a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Word(NonZeroU16);

/// All of them.
#[derive(Debug, Default)]
pub struct Words {
    texts: Vec<String>,
    numbers: HashMap<String, Word>,
}

impl Words {
    /// The word for `text`; `None` when there are 65,535 others already.
    pub fn word(&mut self, text: &str) -> Option<Word> {
        if let Some(word) = self.numbers.get(text) {
            return Some(*word);
        }
        let word = Word(NonZeroU16::new(u16::try_from(self.texts.len() + 1).ok()?)?);
        self.texts.push(text.to_owned());
        self.numbers.insert(text.to_owned(), word);
        Some(word)
    }

    pub fn text(&self, word: Word) -> &str {
        self.texts.get(usize::from(word.0.get()) - 1).map_or("", String::as_str)
    }
}
