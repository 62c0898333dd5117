//! What keeps hosts from beginning: freezes, and groups whose windows are closed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::window::{Opening, opening};
use crate::domain::freeze::Freeze;
use crate::domain::precedence::Group;

const DAY_MS: i64 = 86_400_000;

/// All of it, at one time.
#[derive(Debug, Clone, Default)]
pub struct Gates {
    /// When that was so, and until when it is at least, in Unix milliseconds.
    from: i64,
    until: i64,
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
        let (mut closed, mut ends) = (BTreeMap::new(), i64::MAX);
        for group in groups.filter(|group| !group.windows.is_empty()) {
            let until = match opening(&group.windows, now) {
                Opening::Open { until } => until,
                Opening::Closed { until } => {
                    closed.insert(group.name.clone(), until);
                    until
                }
            };
            // Nobody looks further ahead.
            ends = ends.min(until.unwrap_or(now.saturating_add(DAY_MS)));
        }
        Self { from: now, until: ends, freezes, closed }
    }

    /// Whether some window may have opened or closed by `now`, in Unix milliseconds. A clock that was set back may have
    /// closed some again.
    pub fn may_change(&self, now: i64) -> bool {
        self.until < i64::MAX && !(self.from..self.until).contains(&now)
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

/// Whatever the time is.
impl PartialEq for Gates {
    fn eq(&self, other: &Self) -> bool {
        self.freezes == other.freezes && self.closed == other.closed
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
