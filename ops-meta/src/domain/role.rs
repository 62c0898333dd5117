//! What a token may do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A role includes what stands above it, but for `Host`, which stands apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sends heartbeats and fetches packages; nothing of the operators' is open to it.
    Host,
    /// Looks.
    Viewer,
    /// Brings packages.
    Publisher,
    /// Changes what runs where.
    Operator,
    /// Gives tokens.
    Admin,
}

impl Role {
    pub const ALL: [Self; 5] = [Self::Host, Self::Viewer, Self::Publisher, Self::Operator, Self::Admin];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Viewer => "viewer",
            Self::Publisher => "publisher",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// Whether it may do what `needed` may.
    pub fn includes(self, needed: Self) -> bool {
        match (self, needed) {
            (Self::Host, Self::Host) => true,
            (Self::Host, _) | (_, Self::Host) => false,
            _ => self >= needed,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Not one of the roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoRole;

impl FromStr for Role {
    type Err = NoRole;

    fn from_str(text: &str) -> Result<Self, NoRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(NoRole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_includes_those_below_and_a_host_is_none_of_them() {
        use Role::{Admin, Host, Operator, Publisher, Viewer};
        for (role, included) in [
            (Host, &[Host][..]),
            (Viewer, &[Viewer]),
            (Publisher, &[Viewer, Publisher]),
            (Operator, &[Viewer, Publisher, Operator]),
            (Admin, &[Viewer, Publisher, Operator, Admin]),
        ] {
            for needed in Role::ALL {
                assert_eq!(role.includes(needed), included.contains(&needed), "{role} {needed}");
            }
        }
    }
}
