//! What keeps hosts from beginning: freezes, and groups whose windows are closed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::window::{Opening, opening};
use crate::domain::freeze::Freeze;
use crate::domain::precedence::Group;

/// All of it, at one time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gates {
    freezes: Arc<[Freeze]>,
    /// Groups none of whose windows is open, and when the next one opens, in Unix milliseconds, where that is known.
    closed: BTreeMap<Box<str>, Option<i64>>,
}

/// Why a host may not begin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shut<'a> {
    Frozen(&'a Freeze),
    /// `until` in Unix milliseconds; `None`: nobody knows.
    Window {
        group: &'a str,
        until: Option<i64>,
    },
}

impl Gates {
    /// `now` in Unix milliseconds.
    pub fn at<'a>(now: i64, freezes: Arc<[Freeze]>, groups: impl Iterator<Item = &'a Group>) -> Self {
        let closed = groups.filter_map(|group| match opening(&group.windows, now) {
            Opening::Open { .. } => None,
            Opening::Closed { until } => Some((group.name.clone(), until)),
        });
        Self { freezes, closed: closed.collect() }
    }

    pub fn freezes(&self) -> &[Freeze] {
        &self.freezes
    }

    /// Nothing keeps anybody.
    pub fn are_open(&self) -> bool {
        self.freezes.is_empty() && self.closed.is_empty()
    }

    /// What keeps every host from changing this agent.
    pub fn frozen(&self, agent: &str) -> Option<&Freeze> {
        let of_all = |it: &&Freeze| it.of.is_of(agent, std::iter::empty());
        self.freezes.iter().find(of_all)
    }

    /// What keeps a host of these groups from changing this agent. In several groups with windows all have to be open.
    pub fn shut<'a, 'g>(
        &'a self,
        agent: &str,
        groups: impl Iterator<Item = &'g str> + Clone,
    ) -> Option<Shut<'a>> {
        let freeze = self.freezes.iter().find(|it| it.of.is_of(agent, groups.clone()));
        freeze.map(Shut::Frozen).or_else(|| {
            let mut groups = groups.filter_map(|name| self.closed.get_key_value(name));
            groups.next().map(|(group, until)| Shut::Window { group, until: *until })
        })
    }
}

impl fmt::Display for Shut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frozen(freeze) => freeze.fmt(f),
            Self::Window { group, until } => {
                write!(f, "no maintenance window of group {group} is open")?;
                match until.and_then(|until| Timestamp::from_millisecond(until).ok()) {
                    Some(until) => {
                        write!(f, ", the next one opens at {}", until.strftime("%Y-%m-%d %H:%M:%SZ"))
                    }
                    None => Ok(()),
                }
            }
        }
    }
}
