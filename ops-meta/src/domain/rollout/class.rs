//! How far one host is.

use ops_wire::{DesiredAgent, Phase};
use serde::Serialize;

use crate::domain::conformity::{self, Conformity, Real};
use crate::domain::host::State;

/// What a rollout counts a host as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Not admitted, and at the target all the same.
    There,
    /// Not admitted yet, or not any more and as before.
    Pending,
    /// Admitted, and nothing was seen of it yet.
    Ordered,
    /// Downloading, unpacking, stopping or starting.
    Moving,
    Trial,
    Done,
    Failed,
    /// By the host itself.
    RolledBack,
    TimedOut,
    /// It was told, and then fell silent.
    Vanished,
    /// Taken back, and not as before yet.
    Returning,
    /// An administrator of the host keeps it as it is.
    Held,
    /// There is nothing for it: no build, or what is required is missing. It is not waited for.
    Excluded,
    /// What the package requires is not ordered or does not run there yet.
    Waiting,
    /// A freeze or the windows of a group keep it from beginning.
    Shut,
    /// Silent, and was before it was told: it is not waited for, and has the change once it is back.
    Away,
}

impl Class {
    pub const ALL: [Self; 16] = [
        Self::There,
        Self::Pending,
        Self::Ordered,
        Self::Moving,
        Self::Trial,
        Self::Done,
        Self::Failed,
        Self::RolledBack,
        Self::TimedOut,
        Self::Vanished,
        Self::Returning,
        Self::Held,
        Self::Excluded,
        Self::Waiting,
        Self::Shut,
        Self::Away,
    ];

    /// Whether a wave's share is a share of hosts like this one.
    pub fn is_counted(self) -> bool {
        !matches!(self, Self::Held | Self::Excluded | Self::Away)
    }
}

/// How a host stands to what a rollout changes, by what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// It has what the rollout brings.
    There,
    /// It is being moved there by this rollout.
    Moving,
    Elsewhere,
}

/// What a host says of an agent.
#[derive(Debug, Clone, Copy)]
pub struct Says<'a> {
    pub real: Real<'a>,
    /// Which rollout's order it says it has.
    pub rollout: Option<u64>,
}

/// What is asked of hosts.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub rollout: u64,
    pub target: &'a DesiredAgent,
    /// What the policy says; `None`: nothing.
    pub policy: Option<&'a DesiredAgent>,
    /// Whether hosts that are not admitted go back to it.
    pub taking_back: bool,
    /// Of the wave that admits the host; of the last one that began, where none does.
    pub timeout_secs: u32,
}

/// Why a host cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bar {
    /// No build for it, or what the package requires is not ordered.
    Excluded,
    /// What the package requires does not run yet.
    Waiting,
    /// A freeze, or the windows of a group.
    Shut,
}

impl Bar {
    fn class(self) -> Class {
        match self {
            Self::Excluded => Class::Excluded,
            Self::Waiting => Class::Waiting,
            Self::Shut => Class::Shut,
        }
    }
}

/// What is known of one host.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    pub admitted: bool,
    pub state: State,
    /// For how long it has been told what it is told now, as far as it could be heard; `None`: not yet.
    pub told_secs: Option<i64>,
    /// `None`: it says nothing of the agent.
    pub real: Option<Real<'a>>,
    /// Which rollout's order it says it has.
    pub rollout: Option<u64>,
    /// Whether the failure it reports was reported before hosts had another try.
    pub failed_before: bool,
    pub bar: Option<Bar>,
}

impl Asked<'_> {
    /// A version that the policy does not name is there because of a rollout, whether it runs at the moment or not. Where
    /// only the cmd changes, a host that looks as if it had it may just have crashed, and has to say who told it.
    pub fn stand(&self, real: Option<Real<'_>>, rollout: Option<u64>) -> Stand {
        let version = |asked: &DesiredAgent| asked.version.as_ref().ok().map(|it| it.as_str().to_owned());
        let new = version(self.target).filter(|new| self.policy.and_then(version).as_ref() != Some(new));
        let has_it = new.is_some_and(|new| real.is_some_and(|real| real.version == new));
        match conformity::of_agent(self.target, real) {
            _ if has_it => Stand::There,
            Conformity::Yes if rollout == Some(self.rollout) => Stand::There,
            Conformity::Pending if rollout == Some(self.rollout) => Stand::Moving,
            _ => Stand::Elsewhere,
        }
    }

    pub fn class(&self, known: &Known<'_>) -> Class {
        let is_there = conformity::of_agent(self.target, known.real) == Conformity::Yes;
        match (known.admitted, is_there, self.taking_back) {
            (true, true, _) => done(known),
            (true, false, _) => self.under_way(known),
            (false, _, true) => self.back(known, is_there),
            (false, true, false) => Class::There,
            (false, false, false) => not_begun(known),
        }
    }

    fn under_way(&self, known: &Known<'_>) -> Class {
        if is_silent(known) {
            return if self.was_told(known) { Class::Vanished } else { Class::Away };
        }
        let is_ours = known.rollout == Some(self.rollout) && !known.failed_before;
        let late = known.told_secs.is_some_and(|secs| secs > i64::from(self.timeout_secs));
        match (conformity::of_agent(self.target, known.real), phase(known)) {
            (_, Some(Phase::Held)) => Class::Held,
            (Conformity::Failed, Some(Phase::RolledBack)) if is_ours => Class::RolledBack,
            (Conformity::Failed, _) if is_ours => Class::Failed,
            (Conformity::Pending, Some(Phase::Trial)) if !late => Class::Trial,
            (Conformity::Pending, _) if !late => Class::Moving,
            _ => known.bar.map_or(if late { Class::TimedOut } else { Class::Ordered }, Bar::class),
        }
    }

    /// Of a host that is to be again as the policy says.
    fn back(&self, known: &Known<'_>, is_there: bool) -> Class {
        let Some(policy) = self.policy else { return Class::Pending };
        // What it says of the rollout's version is nothing that happened on the way back.
        let has_heard = known.told_secs.is_some() && known.rollout != Some(self.rollout);
        let late = known.told_secs.is_some_and(|secs| secs > i64::from(self.timeout_secs));
        match conformity::of_agent(policy, known.real) {
            _ if is_silent(known) => Class::Away,
            _ if phase(known) == Some(Phase::Held) => Class::Held,
            Conformity::Yes if has_heard => Class::Pending,
            Conformity::Failed if has_heard => Class::Failed,
            // It never was as the policy says.
            Conformity::No if has_heard && !is_there => Class::Pending,
            _ if late => Class::TimedOut,
            _ => Class::Returning,
        }
    }

    fn was_told(&self, known: &Known<'_>) -> bool {
        known.told_secs.is_some() || known.rollout == Some(self.rollout)
    }
}

fn done(known: &Known<'_>) -> Class {
    match (is_silent(known), known.told_secs) {
        (true, Some(_)) => Class::Vanished,
        _ => Class::Done,
    }
}

fn not_begun(known: &Known<'_>) -> Class {
    match known.bar {
        _ if phase(known) == Some(Phase::Held) => Class::Held,
        Some(Bar::Excluded) => Class::Excluded,
        _ if is_silent(known) => Class::Away,
        Some(bar) => bar.class(),
        None => Class::Pending,
    }
}

fn phase(known: &Known<'_>) -> Option<Phase> {
    known.real.and_then(|real| if real.error_code == "held" { Some(Phase::Held) } else { real.phase })
}

fn is_silent(known: &Known<'_>) -> bool {
    matches!(known.state, State::Late | State::Gone)
}
