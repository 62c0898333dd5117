//! What came of all beats.

use std::collections::BTreeMap;

use crate::histogram::Histogram;

/// Kinds of errors that are told apart; each status is one.
const KINDS_MAX: usize = 100;

#[derive(Debug)]
pub struct Tally {
    /// Answered with 200 and understood.
    pub beats: u64,
    /// By kind.
    pub errors: BTreeMap<String, u64>,
    /// Of the answered ones, in microseconds.
    pub latency: Histogram,
    pub connections: u64,
    pub sent_bytes: u64,
}

impl Tally {
    pub fn new() -> Self {
        Self { beats: 0, errors: BTreeMap::new(), latency: Histogram::new(), connections: 0, sent_bytes: 0 }
    }

    pub fn error(&mut self, kind: &str) {
        if let Some(count) = self.errors.get_mut(kind) {
            *count += 1;
        } else if self.errors.len() < KINDS_MAX {
            self.errors.insert(kind.to_owned(), 1);
        }
    }

    pub fn errors(&self) -> u64 {
        self.errors.values().sum()
    }
}
