//! Lists come in pages.

use serde::Deserialize;

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
