//! Which versions of another agent a package needs.

use std::fmt;
use std::str::FromStr;

use ops_wire::{NameError, Version};
use serde::{Serialize, Serializer};

/// Which versions will do. What is older and newer is not decided here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Requirement {
    /// `*`
    Any,
    /// `VERSION`, or one of `=` `>` `>=` `<` `<=` with a version behind it, without a blank.
    Compared(Comparison, Version),
}

/// How a version has to stand to the one that is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    Is,
    Newer,
    NotOlder,
    Older,
    NotNewer,
}

impl Comparison {
    /// A sign comes before any that it begins with.
    const ALL: [(&str, Self); 5] = [
        (">=", Self::NotOlder),
        (">", Self::Newer),
        ("<=", Self::NotNewer),
        ("<", Self::Older),
        ("=", Self::Is),
    ];

    fn sign(self) -> &'static str {
        Self::ALL.iter().find(|(_, it)| *it == self).map_or("=", |(sign, _)| sign)
    }
}

/// Why a text is no requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequirementError(NameError);

impl FromStr for Requirement {
    type Err = RequirementError;

    fn from_str(text: &str) -> Result<Self, RequirementError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let signed = |&(sign, it): &(&str, Comparison)| text.strip_prefix(sign).map(|rest| (it, rest));
        let (comparison, version) = Comparison::ALL.iter().find_map(signed).unwrap_or((Comparison::Is, text));
        version.parse().map(|version| Self::Compared(comparison, version)).map_err(RequirementError)
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Compared(comparison, version) => write!(f, "{}{version}", comparison.sign()),
        }
    }
}

impl Serialize for Requirement {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for RequirementError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`*` is wanted, or a version with or without one of `=` `>` `>=` `<` `<=` before it: {}",
            self.0
        )
    }
}

impl std::error::Error for RequirementError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_requirement_is_read_and_written() {
        for (text, written) in [
            ("*", "*"),
            ("1.0", "=1.0"),
            ("=1.0", "=1.0"),
            (">2.0-rc1", ">2.0-rc1"),
            (">=3", ">=3"),
            ("<4", "<4"),
            ("<=5", "<=5"),
        ] {
            assert_eq!(text.parse::<Requirement>().map(|it| it.to_string()), Ok(written.to_owned()));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "**", ">", ">=", "==1", "=>1", "> 1", "1 ", "^1", "~1", "1.*", ">*", "1,2", "é"] {
            assert!(text.parse::<Requirement>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_the_same(text in "\\PC{0,8}|[*=<>]{0,2}[a-z0-9.+~-]{0,12}") {
            if let Ok(requirement) = text.parse::<Requirement>() {
                prop_assert_eq!(requirement.to_string().parse(), Ok(requirement));
            }
        }
    }
}
