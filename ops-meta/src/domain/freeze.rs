//! Times in which nothing may be changed.

use std::fmt;

use jiff::Timestamp;
use ops_wire::AgentName;

/// Somebody froze changes, until somebody ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    pub id: u64,
    pub of: Frozen,
    pub why: String,
    pub actor: String,
    /// Unix milliseconds.
    pub since: i64,
}

/// Which changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frozen {
    All,
    Agent(AgentName),
    /// Of the hosts in this group.
    Group(Box<str>),
}

impl Frozen {
    pub fn as_group(&self) -> Option<&str> {
        match self {
            Self::Group(name) => Some(name),
            _ => None,
        }
    }

    /// Whether it keeps this agent as it is on hosts of these groups.
    pub fn is_of<'a>(&self, agent: &str, mut groups: impl Iterator<Item = &'a str>) -> bool {
        match self {
            Self::All => true,
            Self::Agent(name) => name.as_str() == agent,
            Self::Group(name) => groups.any(|group| *group == **name),
        }
    }
}

impl fmt::Display for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all changes"),
            Self::Agent(agent) => write!(f, "changes of agent {agent}"),
            Self::Group(group) => write!(f, "changes in group {group}"),
        }
    }
}

/// `changes of agent my-agent are frozen since 2026-11-27 09:00:00Z by anna (freeze 3): sales week`
impl fmt::Display for Freeze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} are frozen", self.of)?;
        if let Ok(since) = Timestamp::from_millisecond(self.since) {
            write!(f, " since {}", since.strftime("%Y-%m-%d %H:%M:%SZ"))?;
        }
        write!(f, " by {} (freeze {}): {}", self.actor, self.id, self.why)
    }
}
