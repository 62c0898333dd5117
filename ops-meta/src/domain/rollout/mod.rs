//! A controlled change of one policy's version or cmd: to a few hosts, then to more, then to all.
//!
//! * A [`Plan`] says what is to change and in which waves; it does not change while the rollout runs.
//! * [`Progress`] is all that does: the state, and one integer for each wave that has begun ([`Admission`]). There is
//!   no row for a host: what a host is told follows from its name ([`position`]) and those integers.
//! * Each host is of one [`Class`]; a [`Tally`] counts them.
//! * [`evaluate`] looks at the counts and says one thing: the next [`Step`], or what is waited for ([`Wait`]). People move
//!   a rollout by verbs ([`Verb`]). Whatever leads from one state to another stands in one table, [`state::TABLE`].
//!
//! Finishing writes the policy, so the last wave reaches every host of it.

mod active;
mod admission;
mod breach;
mod class;
mod count;
mod evaluate;
mod explain;
mod gates;
mod plan;
mod preset;
mod progress;
mod share;
pub mod state;
mod wave;
mod why;
mod window;
mod window_words;

#[cfg(test)]
use {admission::Admission, evaluate::room, share::Share};

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use active::Active;
pub use admission::position;
pub use class::{Asked, Bar, Class, Going, Known, Report, Says, Stand};
pub use count::{Classes, Counts, Nearest, Seen, Tally};
pub use evaluate::{Look, Next, Step, evaluate};
pub use explain::Standing;
pub use gates::{Gates, Shut};
pub use plan::{Plan, PlanText, Target, Whose};
pub use preset::{PresetText, preset};
pub use progress::Progress;
pub use share::{MaxFailed, Percent};
pub use state::{OnBreach, State, Verb};
pub use wave::{Wave, WaveText};
pub use why::{Wait, Why, why};
pub use window::{Opening, Window, WindowText, opening};

/// One rollout, as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollout {
    pub id: u64,
    pub plan: Plan,
    pub progress: Progress,
}

impl Rollout {
    /// The wave under way: the last that has begun.
    pub fn wave(&self) -> Option<(usize, &Wave)> {
        let at = self.progress.waves.len().checked_sub(1)?;
        self.plan.waves.get(at).map(|wave| (at, wave))
    }

    /// Whether a host has what is to change, rather than what the policy says.
    pub fn tells(&self, position: u64, selected: u32, stand: Stand) -> bool {
        self.tells_admitted(self.progress.waves.admitting(position, selected).is_some(), stand)
    }

    /// The same, of one of which it is known whether some wave admits it.
    pub fn tells_admitted(&self, admitted: bool, stand: Stand) -> bool {
        match self.progress.state {
            State::AwaitingApproval | State::Running => admitted || stand == Stand::There,
            // Whoever has it, or is about to, keeps it; nobody else begins.
            State::Paused | State::Stopped => stand == Stand::There || (admitted && stand == Stand::Moving),
            State::RollingBack => admitted && stand != Stand::Elsewhere,
            State::Draft | State::Completed | State::RolledBack => false,
        }
    }

    /// Whether this host is among those that [`evaluate`] moves next: its position belongs into [`Nearest`].
    pub fn is_next(&self, seen: &Seen) -> bool {
        // Where no wave has begun, the first one does, and then admits at once.
        let at = self.progress.waves.len().saturating_sub(1);
        match self.progress.state {
            State::RollingBack => seen.admitted_by == Some(at),
            // Who may not begin yet is admitted as well, so that he begins within the limits once he may.
            _ => {
                let waits = matches!(seen.class, Class::Pending | Class::Waiting | Class::Shut);
                seen.admitted_by.is_none() && waits && seen.is_selected_by(at)
            }
        }
    }

    /// To collect the positions of hosts that are next.
    pub fn nearest(&self, most: u32) -> Nearest {
        match self.progress.state {
            State::RollingBack => Nearest::largest(most),
            _ => Nearest::smallest(most),
        }
    }
}
