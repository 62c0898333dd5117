//! `Range: bytes=...` (RFC 9110, 14).

/// The part of a file that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Whole,
    /// Both inclusive, `first <= last < size`.
    Bytes {
        first: u64,
        last: u64,
    },
    /// Begins behind the end.
    Unsatisfiable,
}

impl Part {
    /// Where it begins.
    pub fn first(self) -> u64 {
        match self {
            Self::Bytes { first, .. } => first,
            Self::Whole | Self::Unsatisfiable => 0,
        }
    }

    /// How many bytes of a file of `size` it has.
    pub fn length(self, size: u64) -> u64 {
        match self {
            Self::Whole => size,
            Self::Bytes { first, last } => last.saturating_sub(first).saturating_add(1),
            Self::Unsatisfiable => 0,
        }
    }
}

/// What is no single range of bytes is ignored, as the RFC allows: the whole file is always a right answer.
pub fn part(header: Option<&[u8]>, size: u64) -> Part {
    let text = header.and_then(|header| std::str::from_utf8(header).ok());
    text.and_then(|text| single(text, size)).unwrap_or(Part::Whole)
}

fn single(text: &str, size: u64) -> Option<Part> {
    let (unit, range) = text.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    match (first, last) {
        ("", suffix) => {
            Some(bytes(size.saturating_sub(number(suffix)?.min(size)), size.checked_sub(1), size))
        }
        (first, "") => Some(bytes(number(first)?, size.checked_sub(1), size)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then(|| bytes(first, size.checked_sub(1).map(|end| end.min(last)), size))
        }
    }
}

fn bytes(first: u64, last: Option<u64>, size: u64) -> Part {
    match last {
        Some(last) if first < size => Part::Bytes { first, last },
        _ => Part::Unsatisfiable,
    }
}

/// What `Content-Range: bytes FIRST-LAST/SIZE` says of a body (RFC 9110, 14.4) that goes to the end of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    pub first: u64,
    /// Of the whole.
    pub size: u64,
}

/// `None`: it is no such range.
pub fn sent(header: &[u8]) -> Option<Sent> {
    let (unit, range) = std::str::from_utf8(header).ok()?.trim().split_once(' ')?;
    let (range, size) = range.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, size) = (number(first)?, number(last)?, number(size)?);
    let whole = unit.eq_ignore_ascii_case("bytes") && first <= last && last.checked_add(1) == Some(size);
    whole.then_some(Sent { first, size })
}

/// Digits only: Rust would take a `+` too. A number beyond 64 bits is beyond every file.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        let bytes = |first, last| Part::Bytes { first, last };
        for (text, expected) in [
            ("bytes=0-0", bytes(0, 0)),
            ("bytes=2-4", bytes(2, 4)),
            ("Bytes=2-", bytes(2, 9)),
            ("bytes=-3", bytes(7, 9)),
            ("bytes=-30", bytes(0, 9)),
            ("bytes=5-99999999999999999999999", bytes(5, 9)),
            ("bytes=10-", Part::Unsatisfiable),
            ("bytes=-0", Part::Unsatisfiable),
            ("bytes=99999999999999999999999-", Part::Unsatisfiable),
            ("bytes=4-2", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("lines=1-2", Part::Whole),
            ("", Part::Whole),
        ] {
            assert_eq!(part(Some(text.as_bytes()), 10), expected, "{text}");
        }
        assert_eq!(part(Some(b"bytes=0-"), 0), Part::Unsatisfiable);
        assert_eq!(part(Some(b"\xff"), 10), Part::Whole);
    }

    #[test]
    fn a_body_says_which_part_it_is() {
        for (text, expected) in [
            ("bytes 0-9/10", Some((0, 10))),
            ("Bytes 4-9/10", Some((4, 10))),
            ("bytes 4-8/10", None),
            ("bytes 9-4/10", None),
            ("bytes 4-9/*", None),
            ("bytes */10", None),
            ("lines 0-9/10", None),
            ("bytes 0-18446744073709551615/18446744073709551615", None),
            ("", None),
        ] {
            assert_eq!(sent(text.as_bytes()), expected.map(|(first, size)| Sent { first, size }), "{text}");
        }
    }
}
