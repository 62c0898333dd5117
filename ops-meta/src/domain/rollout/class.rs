//! How far one host is.

use ops_wire::{DesiredAgent, Phase};

use crate::domain::conformity::{self, Conformity, Real};
use crate::domain::host::State;
use crate::domain::words::words;

words! {
    /// What a rollout counts a host as.
    #[schema(as = RolloutClass)]
    Class {
        /// Not admitted, and at the target all the same.
        There "there",
        /// Not admitted yet, or not any more and as before.
        Pending "pending",
        /// Admitted, and nothing was seen of it yet.
        Ordered "ordered",
        /// Downloading, unpacking, stopping or starting.
        Moving "moving",
        Trial "trial",
        Done "done",
        Failed "failed",
        /// By the host itself.
        RolledBack "rolled_back",
        TimedOut "timed_out",
        /// It was told, and then fell silent.
        Vanished "vanished",
        /// Taken back, and not as before yet.
        Returning "returning",
        /// An administrator of the host keeps it as it is.
        Held "held",
        /// There is no package for it. It is not waited for.
        Excluded "excluded",
        /// What its package requires is not ordered there. It is not waited for.
        Unmet "unmet",
        /// What its package requires is brought by another rollout, or does not run there yet.
        Waiting "waiting",
        /// A freeze or the windows of a group keep it from beginning.
        Shut "shut",
        /// Silent, and was before it was told: it is not waited for, and has the change once it is back.
        Away "away",
    }
}

impl Class {
    /// Silent, or lacking what the package requires.
    pub fn is_missing(self) -> bool {
        matches!(self, Self::Away | Self::Unmet)
    }

    /// Whether a wave's share is a share of hosts like this one.
    pub fn is_counted(self) -> bool {
        !matches!(self, Self::Held | Self::Excluded | Self::Unmet | Self::Away)
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
}

/// What it comes to that a host says so. It is the same for all hosts that say the same.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    pub stand: Stand,
    /// Of what the rollout brings.
    pub target: Conformity,
    /// Of what the policy says.
    pub policy: Option<Conformity>,
    pub phase: Option<Phase>,
    /// It says that it has this rollout's order.
    pub is_ours: bool,
    pub has_error: bool,
}

/// How a rollout goes on.
#[derive(Debug, Clone, Copy)]
pub struct Going {
    /// Whether hosts that are not admitted go back to what the policy says.
    pub taking_back: bool,
    /// Of the wave that admits the host; of the last one that began, where none does.
    pub timeout_secs: u32,
}

/// Why a host cannot be told; the later ones are the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bar {
    /// A freeze, or the windows of a group.
    Shut,
    /// What its package requires is brought by another rollout, or does not run yet.
    Waiting,
    /// What its package requires is not ordered.
    Unmet,
    /// There is no package for it.
    Excluded,
}

impl Bar {
    fn class(self) -> Class {
        match self {
            Self::Excluded => Class::Excluded,
            Self::Unmet => Class::Unmet,
            Self::Waiting => Class::Waiting,
            Self::Shut => Class::Shut,
        }
    }
}

/// What is known of one host.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    pub admitted: bool,
    /// On the way back: whether it was admitted before, and may have heard of it.
    pub was_admitted: bool,
    pub state: State,
    /// For how long it has been told what it is told now, as far as it could be heard; `None`: not yet.
    pub told_secs: Option<i64>,
    pub report: Report,
    /// Whether the failure it reports was reported before hosts had another try.
    pub failed_before: bool,
    pub bar: Option<Bar>,
}

impl Asked<'_> {
    /// `real` and `rollout` are `None` of a host that says nothing of the agent.
    pub fn report(&self, real: Option<Real<'_>>, rollout: Option<u64>) -> Report {
        let is_ours = rollout == Some(self.rollout);
        let target = conformity::of_agent(self.target, real);
        let is_held = real.is_some_and(|real| real.error_code == "held");
        Report {
            stand: self.stand(target, real, is_ours),
            target,
            policy: self.policy.map(|policy| conformity::of_agent(policy, real)),
            phase: if is_held { Some(Phase::Held) } else { real.and_then(|real| real.phase) },
            is_ours,
            has_error: real.is_some_and(|real| !real.error_code.is_empty()),
        }
    }

    /// A version that the policy does not name is there because of a rollout, whether it runs at the moment or not. Where
    /// only the cmd changes, a host that looks as if it had it may just have crashed, and has to say who told it.
    fn stand(&self, target: Conformity, real: Option<Real<'_>>, is_ours: bool) -> Stand {
        let before = self.policy.and_then(|policy| policy.version.as_ref().ok());
        let new = self.target.version.as_ref().ok().filter(|new| before != Some(new));
        let has_it = new.is_some_and(|new| real.is_some_and(|real| real.version == new.as_str()));
        match target {
            _ if has_it => Stand::There,
            Conformity::Yes if is_ours => Stand::There,
            Conformity::Pending if is_ours => Stand::Moving,
            _ => Stand::Elsewhere,
        }
    }
}

impl Going {
    pub fn class(&self, known: &Known) -> Class {
        let is_there = known.report.target == Conformity::Yes;
        match (known.admitted, is_there, self.taking_back) {
            (true, true, _) => done(known),
            (true, false, _) => self.under_way(known),
            (false, _, true) if is_there || known.may_have_heard() => self.back(known, is_there),
            (false, _, true) => not_begun(&Known { bar: None, ..*known }),
            (false, true, false) => Class::There,
            (false, false, false) => not_begun(known),
        }
    }

    fn under_way(&self, known: &Known) -> Class {
        let Known { report, told_secs, failed_before, bar, .. } = known;
        if is_silent(known) {
            let was_told = told_secs.is_some() || report.is_ours;
            return if was_told { Class::Vanished } else { Class::Away };
        }
        let is_ours = report.is_ours && !failed_before;
        let late = self.is_late(known);
        match (report.target, report.phase) {
            (_, Some(Phase::Held)) => Class::Held,
            (Conformity::Failed, Some(Phase::RolledBack)) if is_ours => Class::RolledBack,
            (Conformity::Failed, _) if is_ours => Class::Failed,
            (Conformity::Pending, Some(Phase::Trial)) if !late => Class::Trial,
            (Conformity::Pending, _) if !late => Class::Moving,
            _ => bar.map_or(if late { Class::TimedOut } else { Class::Ordered }, Bar::class),
        }
    }

    /// Of a host that is to be again as the policy says.
    fn back(&self, known: &Known, is_there: bool) -> Class {
        let Known { report, told_secs, .. } = known;
        let Some(policy) = report.policy else { return Class::Pending };
        let was_told = told_secs.is_some();
        // What it says of the rollout's version is nothing that happened on the way back.
        let has_heard = was_told && !report.is_ours;
        // It went back by itself before it was told to, and has nothing to do and so nothing new to say.
        let is_back = was_told && matches!(report.phase, Some(Phase::RolledBack | Phase::Failed));
        match policy {
            _ if is_silent(known) => Class::Away,
            _ if report.phase == Some(Phase::Held) => Class::Held,
            Conformity::Yes if has_heard || is_back => Class::Pending,
            Conformity::Failed if has_heard => Class::Failed,
            // It never was as the policy says.
            Conformity::No if has_heard && !is_there => Class::Pending,
            _ if self.is_late(known) => Class::TimedOut,
            _ => Class::Returning,
        }
    }

    fn is_late(&self, known: &Known) -> bool {
        known.told_secs.is_some_and(|secs| secs > i64::from(self.timeout_secs))
    }
}

impl Known {
    /// On the way back: whether it may be on the way to what the rollout brings, or to what was before.
    pub fn may_have_heard(&self) -> bool {
        self.was_admitted || self.report.is_ours
    }
}

fn done(known: &Known) -> Class {
    match (is_silent(known), known.told_secs) {
        (true, Some(_)) => Class::Vanished,
        _ => Class::Done,
    }
}

fn not_begun(known: &Known) -> Class {
    match known.bar {
        _ if known.report.phase == Some(Phase::Held) => Class::Held,
        Some(bar @ (Bar::Excluded | Bar::Unmet)) => bar.class(),
        _ if is_silent(known) => Class::Away,
        Some(bar) => bar.class(),
        None => Class::Pending,
    }
}

fn is_silent(known: &Known) -> bool {
    matches!(known.state, State::Late | State::Gone)
}
