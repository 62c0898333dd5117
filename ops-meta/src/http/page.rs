//! Lists come in pages.

use std::io;

use serde::{Deserialize, Serialize};

/// Where a page has so much JSON, in bytes, the next begins, though there are fewer entries than were asked for.
const JSON_BYTES_MAX: usize = 4 << 20;

/// How many entries a page has at most: 1 to 1,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct Limit(pub usize);

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

impl TryFrom<u64> for Limit {
    type Error = &'static str;

    fn try_from(limit: u64) -> Result<Self, Self::Error> {
        match limit {
            1..=1000 => Ok(Self(limit as usize)),
            _ => Err("it has to be 1 to 1000"),
        }
    }
}

/// The id of the last entry of the page before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub struct Cursor(pub i64);

impl TryFrom<i64> for Cursor {
    type Error = &'static str;

    fn try_from(id: i64) -> Result<Self, Self::Error> {
        if id < 0 { Err("it has to be `next` of the answer before") } else { Ok(Self(id)) }
    }
}

/// One page, and where the next begins.
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// Takes one more than fits, to see whether there is one.
    pub fn of(found: impl IntoIterator<Item = T>, limit: Limit, id: impl Fn(&T) -> i64) -> Self {
        let mut items: Vec<T> = found.into_iter().take(limit.0 + 1).collect();
        let more = items.len() > limit.0;
        items.truncate(limit.0);
        let last = items.last().filter(|_| more);
        Self { next: last.map(|item| id(item).to_string()), items }
    }
}

/// As many of the entries as a page has room for; one always.
pub fn fitting<T: Serialize>(entries: impl Iterator<Item = T>) -> Vec<T> {
    let mut written = Written(0);
    let fits = |entry: &T| {
        let fits = written.0 < JSON_BYTES_MAX;
        // What is only counted is always written.
        let _ = serde_json::to_writer(&mut written, entry);
        fits
    };
    entries.take_while(fits).collect()
}

/// Counts bytes.
struct Written(usize);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_where_it_is_full_and_has_one_entry_at_least() {
        let long = "x".repeat(JSON_BYTES_MAX / 4);
        assert_eq!(fitting((0..100).map(|_| &long)).len(), 4);
        assert_eq!(fitting((0..3).map(|_| "x".repeat(2 * JSON_BYTES_MAX))).len(), 1);
        assert_eq!(fitting(0..1000).len(), 1000);
    }
}
