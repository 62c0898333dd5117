//! Conditions on what runs, which only lists may ask.

use std::cmp::Ordering;
use std::fmt;

use ops_wire::{AgentName, Version};

use super::expr::Shown;
use super::facts::{AgentFacts, HostFacts, RealFacts};
use super::stable::Stable;
use super::text::{Test, list};
use super::word::Quoted;
use crate::domain::conformity::Conformity;
use crate::domain::host::State;
use crate::domain::version_order;

/// What a list may ask.
#[derive(Debug, Clone, PartialEq)]
pub enum Term {
    Stable(Stable),
    Real(Real),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Real {
    Version(AgentName, Test),
    Ordered(AgentName, Order, Version),
    Status(AgentName, Test),
    /// Of one agent, or of any.
    Error(Option<AgentName>, Test),
    /// Sorted.
    State(Box<[State]>),
    Current(Box<[Conformity]>),
    RebootRequired,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Term {
    pub fn holds(&self, host: &HostFacts<'_>, real: &impl RealFacts) -> bool {
        match self {
            Self::Stable(term) => term.holds(host),
            Self::Real(term) => term.holds(real),
        }
    }

    pub fn found(&self, host: &HostFacts<'_>, real: &impl RealFacts) -> String {
        match self {
            Self::Stable(term) => term.found(host),
            Self::Real(term) => term.found(real),
        }
    }
}

impl Real {
    /// What a host does not have is neither equal to anything nor in any list, nor before or behind anything.
    fn holds(&self, real: &impl RealFacts) -> bool {
        match self {
            Self::Version(agent, test) => installed(agent, real).is_some_and(|version| test.holds(version)),
            Self::Ordered(agent, order, wanted) => installed(agent, real)
                .is_some_and(|version| order.admits(version_order::compare(version, wanted.as_str()))),
            Self::Status(agent, test) => agent_of(agent, real).is_some_and(|it| test.holds(it.status)),
            Self::Error(agent, test) => errors(agent.as_ref(), real).any(|code| test.holds(code)),
            Self::State(states) => states.contains(&real.state()),
            Self::Current(current) => current.contains(&real.current()),
            Self::RebootRequired => real.agents().any(|agent| agent.reboot_required),
        }
    }

    fn found(&self, real: &impl RealFacts) -> String {
        match self {
            Self::Version(agent, _) | Self::Ordered(agent, ..) => match installed(agent, real) {
                Some(version) => format!("{agent} is at version {}", Quoted(version)),
                None => format!("the host has no {agent}"),
            },
            Self::Status(agent, _) => match agent_of(agent, real) {
                Some(it) => format!("the status of {agent} is {}", Quoted(it.status)),
                None => format!("the host reports no {agent}"),
            },
            Self::Error(agent, _) => {
                let codes: Vec<_> =
                    errors(agent.as_ref(), real).map(|code| Quoted(code).to_string()).collect();
                let of = agent.as_ref().map_or_else(String::new, |agent| format!(" of {agent}"));
                match codes.is_empty() {
                    true => format!("the host reports no error{of}"),
                    false => format!("the host reports {}{of}", codes.join(", ")),
                }
            }
            Self::State(_) => format!("the host is {}", real.state()),
            Self::Current(_) => format!("whether the host runs what it should: {}", real.current()),
            Self::RebootRequired => match self.holds(real) {
                true => "the host needs a reboot".to_owned(),
                false => "the host needs no reboot".to_owned(),
            },
        }
    }

    fn write(&self, negated: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = if negated { "not " } else { "" };
        match self {
            Self::Version(agent, test) => test.write(format_args!("version({agent})"), negated, f),
            Self::Ordered(agent, order, version) => {
                write!(f, "{not}version({agent}){}{version}", order.as_str())
            }
            Self::Status(agent, test) => test.write(format_args!("status({agent})"), negated, f),
            Self::Error(None, test) => test.write("error", negated, f),
            Self::Error(Some(agent), test) => test.write(format_args!("error({agent})"), negated, f),
            Self::State(states) => choice("state", states, negated, f),
            Self::Current(current) => choice("current", current, negated, f),
            Self::RebootRequired => write!(f, "reboot={}", if negated { "no" } else { "yes" }),
        }
    }
}

fn choice<T: fmt::Display>(
    fact: &str,
    words: &[T],
    negated: bool,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    match words {
        [word] => write!(f, "{fact}{}={word}", if negated { "!" } else { "" }),
        words => {
            write!(f, "{}{fact} in (", if negated { "not " } else { "" })?;
            list(words, f)?;
            f.write_str(")")
        }
    }
}

fn agent_of<'a>(name: &AgentName, real: &'a impl RealFacts) -> Option<AgentFacts<'a>> {
    real.agents().find(|agent| agent.name == name.as_str())
}

/// Its version.
fn installed<'a>(agent: &AgentName, real: &'a impl RealFacts) -> Option<&'a str> {
    agent_of(agent, real).map(|agent| agent.version).filter(|version| !version.is_empty())
}

/// Of one agent, or of all.
fn errors<'a>(agent: Option<&AgentName>, real: &'a impl RealFacts) -> impl Iterator<Item = &'a str> {
    // Who says something of an agent twice is believed the first time, as elsewhere.
    let count = if agent.is_some() { 1 } else { usize::MAX };
    let agents = real.agents().filter(move |it| agent.is_none_or(|agent| agent.as_str() == it.name));
    agents.take(count).map(|agent| agent.error_code).filter(|code| !code.is_empty())
}

impl Order {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    fn admits(self, found: Ordering) -> bool {
        match self {
            Self::Less => found.is_lt(),
            Self::LessOrEqual => found.is_le(),
            Self::Greater => found.is_gt(),
            Self::GreaterOrEqual => found.is_ge(),
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stable(term) => term.fmt(f),
            Self::Real(term) => term.write(false, f),
        }
    }
}

impl Shown for Term {
    fn fmt_not(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stable(term) => term.fmt_not(f),
            Self::Real(term) => term.write(true, f),
        }
    }
}
