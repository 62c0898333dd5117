//! How far an upload is: a line that changes, where somebody looks at it, else one line.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use crate::cli::say;
use crate::cli::sizes::size;

/// Between two changes of the line.
const PAUSE: Duration = Duration::from_millis(200);
/// Back to the beginning of the line, which is cleared.
const CLEAR: &str = "\r\x1b[K";

pub struct Progress<'a> {
    shown: &'a str,
    whole: u64,
    /// Where it began this time, and where it is.
    first: u64,
    at: u64,
    began: Instant,
    told: Option<Instant>,
    is_looked_at: bool,
}

impl<'a> Progress<'a> {
    pub fn new(shown: &'a str, whole: u64, first: u64) -> Self {
        let is_looked_at = io::stderr().is_terminal();
        Self { shown, whole, first, at: first, began: Instant::now(), told: None, is_looked_at }
    }

    /// The first byte goes only when the server wants it.
    pub fn add(&mut self, bytes: u64) {
        if self.at == self.first && !self.is_looked_at {
            let on = match self.first {
                0 => String::new(),
                first => format!(", going on behind {}", size(first)),
            };
            say(&format!("`{}`: sending {}{on}", self.shown, size(self.whole)));
        }
        self.at += bytes;
        let is_due = self.told.is_none_or(|told| told.elapsed() >= PAUSE) || self.at == self.whole;
        if self.is_looked_at && is_due {
            self.told = Some(Instant::now());
            let line = line(self.whole, self.first, self.at, self.began.elapsed());
            let _ = write!(io::stderr(), "{CLEAR}{}: {line}", self.shown);
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if self.told.is_some() {
            let _ = write!(io::stderr(), "{CLEAR}");
        }
    }
}

/// `42 %, 12 MB/s, 1:05 left`
fn line(whole: u64, first: u64, at: u64, took: Duration) -> String {
    if at == whole {
        return "sent; the server reads it".to_owned();
    }
    let percent = at * 100 / whole.max(1);
    let per_sec = ((at - first) as f64 / took.as_secs_f64().max(0.001)) as u64;
    let left = (whole - at)
        .checked_div(per_sec)
        .map_or_else(String::new, |secs| format!(", {}:{:02} left", secs / 60, secs % 60));
    format!("{percent} %, {}/s{left}", size(per_sec))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_much_how_fast_and_how_long() {
        let of = |at, secs| line(1_000_000_000, 100_000_000, at, Duration::from_secs(secs));
        assert_eq!(of(420_000_000, 20), "42 %, 16 MB/s, 0:36 left");
        assert_eq!(of(100_000_000, 0), "10 %, 0 bytes/s");
        assert_eq!(of(1_000_000_000, 50), "sent; the server reads it");
    }
}
