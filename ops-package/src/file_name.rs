//! `NAME-VERSION`: what a package's file and folder are called.

use std::fmt;

use ops_wire::{AgentName, NameError, Version};

/// Behind `NAME-VERSION`.
const ENDING: &str = ".tar.gz";

/// What the file of a package is called.
pub fn file_name(name: &AgentName, version: &Version) -> String {
    format!("{name}-{version}{ENDING}")
}

/// Why a text does not say which agent and version it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileNameError {
    /// No `-` with a digit behind it.
    NoVersion,
    Name(NameError),
    Version(NameError),
}

/// Reads `NAME-VERSION` or `NAME-VERSION.tar.gz`, without folders in front of it.
///
/// Names and versions may both have a `-` in them, so this is a convention: the version begins behind the first `-` that
/// a digit follows.
pub fn split_file_name(text: &str) -> Result<(AgentName, Version), FileNameError> {
    let text = text.strip_suffix(ENDING).unwrap_or(text);
    let digit_follows =
        |&(at, _): &(usize, &str)| text.as_bytes().get(at + 1).is_some_and(u8::is_ascii_digit);
    let dash = text.match_indices('-').find(digit_follows);
    let (name, version) =
        dash.and_then(|(at, _)| text.split_at_checked(at)).ok_or(FileNameError::NoVersion)?;
    let version = version.strip_prefix('-').unwrap_or(version);
    Ok((name.parse().map_err(FileNameError::Name)?, version.parse().map_err(FileNameError::Version)?))
}

impl fmt::Display for FileNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoVersion => f.write_str("it is not of the form NAME-VERSION with a digit behind that `-`"),
            Self::Name(why) => write!(f, "its name is no name of an agent: {why}"),
            Self::Version(why) => write!(f, "its version is none: {why}"),
        }
    }
}

impl std::error::Error for FileNameError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(text: &str) -> Option<(String, String)> {
        split_file_name(text).ok().map(|(name, version)| (name.to_string(), version.to_string()))
    }

    #[test]
    fn the_version_begins_behind_the_first_dash_that_a_digit_follows() {
        for (text, name, version) in [
            ("falcon-agent-1.0.0", "falcon-agent", "1.0.0"),
            ("node_exporter-1.5.0-2", "node_exporter", "1.5.0-2"),
            ("agent-2.0.1-rc1+build~3.tar.gz", "agent", "2.0.1-rc1+build~3"),
            ("a-b-c-9", "a-b-c", "9"),
            ("x--1", "x-", "1"),
            ("agent-3-1.0", "agent", "3-1.0"),
        ] {
            assert_eq!(split(text), Some((name.to_owned(), version.to_owned())), "{text}");
        }
    }

    #[test]
    fn what_says_no_name_or_no_version_is_refused() {
        for text in ["", "agent", "agent-", "agent-v1", "1.0", "agent.tar.gz", "-"] {
            assert_eq!(split_file_name(text), Err(FileNameError::NoVersion), "{text:?}");
        }
        assert_eq!(split_file_name("-1.0"), Err(FileNameError::Name(NameError::Empty)));
        assert!(matches!(split_file_name("a/b-1.0"), Err(FileNameError::Name(NameError::Character('/')))));
        assert_eq!(split_file_name("a-1..0"), Err(FileNameError::Version(NameError::DotDot)));
    }

    proptest! {
        #[test]
        fn what_was_split_is_put_together_again(text in "\\PC{0,30}|[a-z0-9.-]{0,20}(\\.tar\\.gz)?") {
            if let Ok((name, version)) = split_file_name(&text) {
                let whole = file_name(&name, &version);
                prop_assert_eq!(whole.strip_suffix(ENDING), Some(text.strip_suffix(ENDING).unwrap_or(&text)));
            }
        }
    }
}
