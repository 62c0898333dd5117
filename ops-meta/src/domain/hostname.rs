//! What a host may be called.

use std::fmt;

/// The longest hostname, in bytes (RFC 1035, 2.3.4, less the bytes that only the wire form has).
pub const HOSTNAME_BYTES_MAX: usize = 253;

/// A checked hostname: one word in every list and log, so that nobody forges a second line or column with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hostname<'a>(&'a str);

/// Why a text is no hostname.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostnameError {
    Blank,
    TooLong(usize),
    /// The first character that is not allowed.
    Character(char),
}

impl<'a> Hostname<'a> {
    pub fn check(text: &'a str) -> Result<Self, HostnameError> {
        if text.trim().is_empty() {
            return Err(HostnameError::Blank);
        }
        if text.len() > HOSTNAME_BYTES_MAX {
            return Err(HostnameError::TooLong(text.len()));
        }
        match text.chars().find(|&c| !c.is_ascii_graphic() && !c.is_alphanumeric()) {
            Some(c) => Err(HostnameError::Character(c)),
            None => Ok(Self(text)),
        }
    }

    pub fn as_str(self) -> &'a str {
        self.0
    }
}

impl fmt::Display for Hostname<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Display for HostnameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The sentence of 2015, which clients may compare.
            Self::Blank => f.write_str("hostname is blank"),
            Self::TooLong(bytes) => {
                write!(f, "hostname has {bytes} bytes, {HOSTNAME_BYTES_MAX} are allowed")
            }
            Self::Character(c) => {
                write!(f, "hostname has {c:?} in it; letters, digits and signs are allowed")
            }
        }
    }
}

impl std::error::Error for HostnameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hosts_are_called_is_taken() {
        for name in ["web01", "lg-dinp-01.bj", "a_b", "10.0.0.1", "北京-01", "x:1"] {
            assert_eq!(Hostname::check(name).map(Hostname::as_str), Ok(name));
        }
    }

    #[test]
    fn a_hostname_is_one_word() {
        for name in ["a b", "a\nb", "a\u{202e}b", "a\u{2028}b", "a\0", "\u{7f}", "a\u{a0}b"] {
            assert!(matches!(Hostname::check(name), Err(HostnameError::Character(_))), "{name:?} was taken");
        }
    }

    #[test]
    fn blank_and_long_are_refused() {
        assert_eq!(Hostname::check(" \t"), Err(HostnameError::Blank));
        assert!(Hostname::check(&"a".repeat(253)).is_ok());
        assert_eq!(Hostname::check(&"a".repeat(254)), Err(HostnameError::TooLong(254)));
    }
}
