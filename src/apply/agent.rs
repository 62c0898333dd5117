//! What is under way for one agent: its state, at most one control call and at most one staging child.

use std::collections::VecDeque;
use std::time::Duration;

use ops_wire::{AgentName, DesiredAgent, StepDone, Version};

use crate::child::Child;
use crate::control::Call;
use crate::error::Fault;
use crate::fs_layout::Layout;
use crate::plan::{Past, Starts};
use crate::report::Progress;
use crate::upgrade::{Event, Look, Moment, State, Verb};

/// Looks at a version that stops or starts come this close together at first, and twice as far apart each time.
pub const LOOK_SOON: Duration = Duration::from_millis(10);
pub const LOOK_LATE: Duration = Duration::from_millis(500);
/// Looks in a trial are not further apart than this, or a quarter of the trial.
const TRIAL_LOOK: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct Agent {
    pub name: AgentName,
    pub state: State,
    pub desired: Option<DesiredAgent>,
    pub look: Option<Look>,
    pub looked_at: i64,
    /// A round waits for a look at it.
    pub awaited: bool,
    /// It is decided anew as soon as it was looked at.
    pub replan: bool,
    pub call: Option<(Version, Call)>,
    /// Bytes of its output before the last start.
    pub out_before: u64,
    pub queue: VecDeque<(Version, Verb)>,
    /// A look that is not complete yet.
    pub looking: Option<Look>,
    pub look_at: Duration,
    pub look_wait: Duration,
    pub staging: Option<Child>,
    /// What the child said in the end.
    pub staged: Option<Event>,
    /// The staged package turned out to be the folder that is here.
    pub kept: bool,
    pub progress: Progress,
    pub steps: Vec<StepDone>,
    pub step_begun: Option<(&'static str, Moment)>,
    pub fault: Option<Fault>,
    /// What failed and could not be written down, perhaps for the very want of space that it tells of.
    pub unwritten: Option<Unwritten>,
    /// Starts of the version in use, for one that ends again and again.
    pub starts: Starts,
    /// The process group of our last start.
    pub start_group: Option<i32>,
}

/// A memory of failures that is not on the disk yet.
#[derive(Debug)]
pub struct Unwritten {
    pub past: Past,
    /// Some `.failed` is there, empty or older: once it is gone, somebody released the agent.
    pub marked: bool,
}

impl Agent {
    pub fn new(name: AgentName) -> Self {
        Self {
            name,
            state: State::AtRest,
            desired: None,
            look: None,
            looked_at: 0,
            awaited: false,
            replan: false,
            call: None,
            out_before: 0,
            queue: VecDeque::new(),
            looking: None,
            look_at: Duration::ZERO,
            look_wait: LOOK_SOON,
            staging: None,
            staged: None,
            kept: false,
            progress: Progress::default(),
            steps: Vec::new(),
            step_begun: None,
            fault: None,
            unwritten: None,
            starts: Starts::default(),
            start_group: None,
        }
    }

    pub fn next_wake(&self) -> Option<Duration> {
        let call = self.call.as_ref().map(|(_, call)| call.deadline());
        let staging = self.staging.as_ref().map(Child::deadline);
        let look = (self.call.is_none() && self.state.watched().is_some()).then_some(self.look_at);
        [call, staging, look, self.state.deadline().filter(|_| self.call.is_none())]
            .into_iter()
            .flatten()
            .min()
    }

    /// One question more, unless it is being asked.
    pub fn ask(&mut self, version: Version, verb: Verb) {
        let asked = self.call.as_ref().is_some_and(|(of, call)| *of == version && call.verb == verb);
        if !asked && !self.queue.contains(&(version.clone(), verb)) {
            self.queue.push_back((version, verb));
        }
    }

    /// What could not be written down is tried again, unless the agent was released meanwhile.
    pub fn write_at_last(&mut self, layout: &Layout) {
        let name = &self.name;
        self.unwritten.take_if(|it| {
            let released = it.marked && layout.failed_file(name).symlink_metadata().is_err();
            let done = released || layout.write_failed(name, &it.past).is_ok();
            it.marked |= !done && layout.mark_failed(name);
            done
        });
    }

    pub fn trial_look_wait(&self) -> Option<Duration> {
        match &self.state {
            State::Trial { upgrade, .. } => {
                Some((Duration::from_secs(upgrade.trial_secs.into()) / 4).min(TRIAL_LOOK))
            }
            _ => None,
        }
    }
}
