//! What a rollout can be, and what leads from one to the other.

use std::fmt;

use crate::domain::words::words;
use Event::{AllDone, ApprovalNeeded, Do, Sick, TakenBack, WaveDone};
use State::{AwaitingApproval, Completed, Draft, Paused, RolledBack, RollingBack, Running, Stopped};
use Verb::{Approve, Pause, Resume, Retry, Rollback, Stop};

words! {
    #[schema(as = RolloutState)]
    State {
        /// Written down, and not begun.
        Draft "draft",
        /// The next wave begins when somebody approves.
        AwaitingApproval "awaiting_approval",
        Running "running",
        /// Nobody new begins; whoever has the change, or is about to, keeps it.
        Paused "paused",
        /// The policy says what was to change.
        Completed "completed",
        /// As paused, for good.
        Stopped "stopped",
        /// Hosts are told again what the policy says.
        RollingBack "rolling_back",
        RolledBack "rolled_back",
    }
}

words! {
    /// What people do with a rollout.
    #[schema(as = RolloutVerb)]
    Verb {
        /// Begins the wave that waits for it.
        Approve "approve",
        Pause "pause",
        /// Goes on; what failed until then is known, and is no breach again.
        Resume "resume",
        /// Ends the wave under way, whatever it waits for.
        Next "next",
        /// Leaves every host as it is, for good.
        Stop "stop",
        /// Takes back what was changed.
        Rollback "rollback",
        /// Goes on; what failed until then has another try.
        Retry "retry",
    }
}

words! {
    /// What a rollout does when too many hosts fail.
    #[derive(Default)]
    OnBreach {
        #[default]
        Pause "pause",
        Rollback "rollback",
        Stop "stop",
    }
}

/// What leads from one state to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    Do(Verb),
    /// Too many hosts failed.
    Sick(OnBreach),
    WaveDone,
    /// The next wave begins only when somebody approves.
    ApprovalNeeded,
    AllDone,
    /// Nobody has the change any more.
    TakenBack,
}

/// Every way there is. What is not in here does not happen.
pub const TABLE: &[(State, Event, State)] = &[
    (Draft, Do(Approve), Running),
    (Draft, Do(Stop), Stopped),
    (Running, ApprovalNeeded, AwaitingApproval),
    (Running, WaveDone, Running),
    (Running, AllDone, Completed),
    (Running, Do(Verb::Next), Running),
    (Running, Do(Retry), Running),
    (Running, Do(Pause), Paused),
    (Running, Do(Stop), Stopped),
    (Running, Do(Rollback), RollingBack),
    (Running, Sick(OnBreach::Pause), Paused),
    (Running, Sick(OnBreach::Stop), Stopped),
    (Running, Sick(OnBreach::Rollback), RollingBack),
    (AwaitingApproval, Do(Approve), Running),
    (AwaitingApproval, Do(Retry), AwaitingApproval),
    (AwaitingApproval, Do(Pause), Paused),
    (AwaitingApproval, Do(Stop), Stopped),
    (AwaitingApproval, Do(Rollback), RollingBack),
    (AwaitingApproval, Sick(OnBreach::Pause), Paused),
    (AwaitingApproval, Sick(OnBreach::Stop), Stopped),
    (AwaitingApproval, Sick(OnBreach::Rollback), RollingBack),
    (Paused, Do(Resume), Running),
    (Paused, Do(Retry), Running),
    (Paused, Do(Stop), Stopped),
    (Paused, Do(Rollback), RollingBack),
    // Who stops in a hurry may find that it has to be taken back.
    (Stopped, Do(Rollback), RollingBack),
    (RollingBack, TakenBack, RolledBack),
    (RollingBack, Do(Stop), Stopped),
];

/// `None`: there is no such way.
pub fn after(state: State, event: Event) -> Option<State> {
    TABLE.iter().find(|(from, by, _)| (*from, *by) == (state, event)).map(|(.., to)| *to)
}

/// What becomes of a state by a verb. `None`: nothing, what the verb leads to is there already.
///
/// # Errors
/// The verb makes no sense there.
pub fn done(state: State, verb: Verb) -> Result<Option<State>, Refused> {
    match after(state, Do(verb)) {
        Some(state) => Ok(Some(state)),
        None if verb.is_done_in(state) => Ok(None),
        None => Err(Refused::NotIn { state, verb }),
    }
}

impl Verb {
    fn is_done_in(self, state: State) -> bool {
        match self {
            Approve | Resume => state == Running,
            Pause => state == Paused,
            Stop => state == Stopped,
            Rollback => matches!(state, RollingBack | RolledBack),
            Self::Next | Retry => false,
        }
    }
}

impl State {
    /// Nothing happens in it any more by itself.
    pub fn is_over(self) -> bool {
        matches!(self, Completed | Stopped | RolledBack)
    }

    pub fn verbs(self) -> impl Iterator<Item = Verb> {
        Verb::ALL.iter().copied().filter(move |verb| after(self, Do(*verb)).is_some())
    }
}

/// Why a verb is not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    NotIn {
        state: State,
        verb: Verb,
    },
    /// Waves are counted from 1.
    NotThatFar {
        verb: Verb,
        wave: usize,
        begun: usize,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotIn { state, verb } => {
                write!(f, "a rollout that is {state} cannot {verb}; ")?;
                let verbs: Vec<_> = state.verbs().map(Verb::as_str).collect();
                match (state, verbs.as_slice()) {
                    (Completed, _) => f.write_str("start one that leads back to the earlier version"),
                    (_, []) => f.write_str("start another one"),
                    (_, verbs) => write!(f, "it can {}", verbs.join(", ")),
                }
            }
            Self::NotThatFar { verb, wave, begun } => write!(
                f,
                "{verb} is meant for wave {wave}, and {begun} have begun; look where the rollout is, and say it again"
            ),
        }
    }
}

/// All of it, to be drawn by mermaid: docs/rollouts.md shows it.
#[cfg(test)]
pub fn diagram() -> String {
    use std::fmt::Write;

    let mut text = "stateDiagram-v2\n    [*] --> draft\n    [*] --> running: start\n".to_owned();
    for (from, by, to) in TABLE {
        // Writing to a string does not fail.
        let _ = writeln!(text, "    {from} --> {to}: {by}");
    }
    for state in State::ALL.iter().filter(|state| state.is_over()) {
        let _ = writeln!(text, "    {state} --> [*]");
    }
    text
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Do(verb) => verb.fmt(f),
            Sick(then) => write!(f, "breach ({then})"),
            WaveDone => f.write_str("wave done"),
            ApprovalNeeded => f.write_str("wave done, the next wants approval"),
            AllDone => f.write_str("all done"),
            TakenBack => f.write_str("taken back"),
        }
    }
}
