//! What can go wrong on a host: a stable code, and a sentence that says what, which object, why and what to do.

use std::fmt;
use std::io;
use std::path::Path;

use ops_wire::{ErrorCode, HexDigest};
use serde::{Deserialize, Serialize};

/// The longest sentence that is kept, in bytes (WIRE: 2 KiB with the tail of an output).
pub const SENTENCE_BYTES_MAX: usize = 2048;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub code: ErrorCode,
    pub sentence: String,
    /// What the server asked for with `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_secs: Option<u32>,
    /// The digest the package should have had, when the fault is about its content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<HexDigest>,
}

impl Fault {
    pub fn new(code: ErrorCode, sentence: impl Into<String>) -> Self {
        let sentence = bounded(sentence.into());
        Self { code, sentence, retry_after_secs: None, digest: None }
    }

    /// ``failed to <verb> `<path>`: <cause>``
    pub fn io(verb: &str, path: &Path, cause: &io::Error) -> Self {
        let code = match cause.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorCode::NoSpace,
            _ => ErrorCode::Io,
        };
        Self::new(code, format!("failed to {verb} `{}`: {cause}", path.display()))
    }

    /// The same with `end` at the end, for which the end of a long sentence makes room.
    pub fn ending_with(mut self, end: &str) -> Self {
        let room = SENTENCE_BYTES_MAX.saturating_sub(end.len());
        self.sentence = cut(self.sentence, room) + end;
        self
    }

    pub fn with_digest(mut self, digest: Option<&HexDigest>) -> Self {
        self.digest = digest.cloned();
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for Fault {}

/// Control characters become spaces, and what is too long loses its end.
fn bounded(text: String) -> String {
    cut(text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(), SENTENCE_BYTES_MAX)
}

fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max.saturating_sub('…'.len_utf8())));
        text.push('…');
    }
    text
}

/// The last `bytes_max` bytes of an output as one line of text, for a sentence.
pub fn tail(output: &[u8], bytes_max: usize) -> String {
    let from = output.len().saturating_sub(bytes_max);
    let text = String::from_utf8_lossy(output.get(from..).unwrap_or_default());
    text.trim().lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_one_line_and_bounded() {
        let fault = Fault::new(ErrorCode::Io, format!("a\nb{}", "ä".repeat(3000)));
        assert!(fault.sentence.len() <= SENTENCE_BYTES_MAX && fault.sentence.starts_with("a b"));
    }

    #[test]
    fn the_end_of_a_sentence_that_has_to_be_there_is_there() {
        for long in [0, 2040, 3000] {
            let fault = Fault::new(ErrorCode::Io, "ä".repeat(long)).ending_with("; see `x`");
            assert!(fault.sentence.len() <= SENTENCE_BYTES_MAX && fault.sentence.ends_with("; see `x`"));
        }
    }

    #[test]
    fn a_full_disk_has_its_own_code() {
        let full = io::Error::from_raw_os_error(28);
        assert_eq!(Fault::io("write", Path::new("/x"), &full).code, ErrorCode::NoSpace);
    }

    #[test]
    fn a_tail_is_the_end_in_one_line() {
        assert_eq!(tail(b"one\n\n two \nthree\n", 100), "one | two | three");
        assert_eq!(tail(b"0123456789", 3), "789");
    }
}
