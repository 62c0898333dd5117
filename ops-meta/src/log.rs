//! Lines of `key=value` on standard error. What came from outside is escaped and bounded, so that nobody writes a
//! line that was not meant.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The longest value, in characters; the rest is cut off and marked.
const VALUE_CHARS_MAX: usize = 400;

/// Writes one line. A log that cannot be written is no reason to stop serving.
pub fn line(event: &str, fields: &[(&str, &str)]) {
    let _ = writeln!(std::io::stderr().lock(), "{}", formatted(event, fields));
}

/// Something that may happen at every request and is told a few times a minute.
pub struct Seldom {
    lines_a_minute: u32,
    told: Mutex<Told>,
}

struct Told {
    since: Instant,
    lines: u32,
    suppressed: u32,
}

const MINUTE: Duration = Duration::from_secs(60);

impl Seldom {
    pub fn new(lines_a_minute: u32) -> Self {
        let told = Mutex::new(Told { since: Instant::now(), lines: 0, suppressed: 0 });
        Self { lines_a_minute, told }
    }

    /// Writes a warning, or counts it for the next one that is written.
    pub fn warn(&self, event: &str, fields: &[(&str, &str)]) {
        let Some(suppressed) = self.suppressed_before() else { return };
        let suppressed = suppressed.to_string();
        let own = [("level", "warning"), ("suppressed", suppressed.as_str())];
        line(event, &[&own, fields].concat());
    }

    /// `None` when this one is suppressed too.
    fn suppressed_before(&self) -> Option<u32> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.since.elapsed() >= MINUTE {
            (told.since, told.lines) = (Instant::now(), 0);
        }
        if told.lines >= self.lines_a_minute {
            told.suppressed = told.suppressed.saturating_add(1);
            return None;
        }
        told.lines += 1;
        Some(std::mem::take(&mut told.suppressed))
    }
}

fn formatted(event: &str, fields: &[(&str, &str)]) -> String {
    let mut text = format!("time={} event={event}", jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ"));
    for (key, value) in fields {
        let _ = write!(text, " {key}={}", escaped(value));
    }
    text
}

/// Bare when it is one plain word, else in quotes with everything odd escaped.
fn escaped(value: &str) -> String {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '=' | '\\');
    if !value.is_empty() && value.len() <= VALUE_CHARS_MAX && value.chars().all(plain) {
        return value.to_owned();
    }
    let cut = if value.chars().count() > VALUE_CHARS_MAX { "..." } else { "" };
    let shown: String = value.chars().take(VALUE_CHARS_MAX).flat_map(char::escape_debug).collect();
    format!("\"{shown}{cut}\"")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn what_happens_often_is_told_a_few_times_a_minute() {
        let seldom = Seldom::new(10);
        let told = (0..1000).filter_map(|_| seldom.suppressed_before()).count();
        assert_eq!(told, 10);
        seldom.told.lock().unwrap().since -= MINUTE;
        assert_eq!(seldom.suppressed_before(), Some(990));
    }

    #[test]
    fn nobody_forges_a_line_or_a_field() {
        assert_eq!(escaped("10.0.0.1:2000"), "10.0.0.1:2000");
        assert_eq!(escaped("a\nb=\"c\" \u{1b}[0m"), r#""a\nb=\"c\" \u{1b}[0m""#);
        assert_eq!(escaped(""), "\"\"");
        assert!(escaped(&"\n".repeat(5000)).len() < 1000);
    }
}
