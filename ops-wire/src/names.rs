//! Names and digests that come from the network: checked once, at the border. Those of agents and versions become path
//! components, those of hosts stand in lists and logs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest name, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 64;
/// The longest hostname, in bytes (RFC 1035, 2.3.4, less the bytes that only the wire form has).
pub(crate) const HOSTNAME_BYTES_MAX: usize = 253;

/// Why a text cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameError {
    Empty,
    TooLong(usize),
    /// The first character that is not allowed where it stands.
    Character(char),
    /// `..` would be harmless inside a longer name, but nobody needs it and readers would have to think.
    DotDot,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::TooLong(bytes) => write!(f, "it has {bytes} bytes, {NAME_BYTES_MAX} are allowed"),
            Self::Character(c) => write!(f, "{c:?} is not allowed there"),
            Self::DotDot => f.write_str("`..` is not allowed"),
        }
    }
}

impl std::error::Error for NameError {}

/// `[A-Za-z0-9_][A-Za-z0-9._+~-]{0,63}` without `..`.
fn check(text: &str) -> Result<(), NameError> {
    let first = text.chars().next().ok_or(NameError::Empty)?;
    let ordinary = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !ordinary(first) {
        return Err(NameError::Character(first));
    }
    if let Some(c) = text.chars().find(|&c| !ordinary(c) && !matches!(c, '.' | '+' | '~' | '-')) {
        return Err(NameError::Character(c));
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(NameError::TooLong(text.len()));
    }
    if text.contains("..") {
        return Err(NameError::DotDot);
    }
    Ok(())
}

macro_rules! checked_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Box<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                check(text).map(|()| Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

checked_name! {
    /// An agent's name; a folder below BASE bears it.
    AgentName
}

checked_name! {
    /// An agent's version; a folder below the agent's bears it. Two versions are equal or not; no order is read
    /// into them.
    Version
}

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

/// A digest as lower-case hexadecimal digits: 32 of md5 or 64 of sha256.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct HexDigest(Box<str>);

impl HexDigest {
    /// Reads `text` as a digest of `digits` hexadecimal digits, of either case; `None` when it is not one.
    pub fn parse(text: &str, digits: usize) -> Option<Self> {
        let fits = text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit());
        fits.then(|| Self(text.to_ascii_lowercase().into()))
    }

    /// One of 32 digits; else it is a sha256.
    pub fn is_md5(&self) -> bool {
        self.0.len() == 32
    }

    pub fn md5(text: &str) -> Option<Self> {
        Self::parse(text, 32)
    }

    pub fn sha256(text: &str) -> Option<Self> {
        Self::parse(text, 64)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HexDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for HexDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::md5(&text)
            .or_else(|| Self::sha256(&text))
            .ok_or_else(|| serde::de::Error::custom("neither 32 nor 64 hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Result<AgentName, NameError> {
        text.parse()
    }

    #[test]
    fn names_of_2015_are_names() {
        for text in ["falcon-agent", "dinp-agent", "1.0.0", "2.0.1-rc1+build~3", "_x", "a"] {
            assert_eq!(name(text).map(|n| n.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn what_could_leave_a_folder_is_no_name() {
        for text in [
            "", ".", "..", "../x", "a/b", "/a", "a\\b", "-rf", ".hidden", "a..b", "a b", "a\n", "a\0", "ä",
            "~a", "+a",
        ] {
            assert!(name(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn a_name_has_64_bytes_at_most() {
        assert!(name(&"a".repeat(64)).is_ok());
        assert_eq!(name(&"a".repeat(65)), Err(NameError::TooLong(65)));
    }

    #[test]
    fn a_digest_is_lower_case_whatever_was_sent() {
        let upper = "D41D8CD98F00B204E9800998ECF8427E";
        assert_eq!(HexDigest::md5(upper).unwrap().as_str(), upper.to_ascii_lowercase());
        assert_eq!(HexDigest::sha256(upper), None);
    }

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
