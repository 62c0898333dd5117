//! All of a rollout that changes while it runs.

use serde::{Deserialize, Serialize};

use super::admission::Admission;
use super::evaluate::Step;
use super::state::{self, Event, OnBreach, Refused, State, Verb};

/// Times are Unix milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    pub state: State,
    /// When it came into this state, or into this wave.
    pub since: i64,
    /// Of each wave that has begun, which positions it admits.
    pub waves: Admission,
    /// On the way back: what was admitted when that began. Nobody else ever heard of it.
    #[serde(default)]
    pub reached: Admission,
    /// Since when all hosts of the wave under way are where they should be.
    #[serde(default)]
    pub settled: Option<i64>,
    /// Somebody ended the wave under way.
    #[serde(default)]
    pub hurry: bool,
    /// Of `hostsPerMinute`: hosts were let in for the time until then.
    #[serde(default)]
    pub paced: i64,
    /// What failed before has had another try since; 0: never.
    #[serde(default)]
    pub failures_since: i64,
    /// The last breach, until somebody does something about it.
    #[serde(default)]
    pub breach: Option<Breached>,
    /// By wave, how many failures are known, and are no breach again.
    #[serde(default)]
    pub known_failures: Vec<u32>,
}

/// Too many hosts failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Breached {
    /// Counted from 0.
    pub wave: usize,
    /// By wave.
    pub failures: Vec<u32>,
    pub why: String,
}

impl Progress {
    /// A rollout that nobody has begun.
    pub fn draft(now: i64) -> Self {
        Self {
            state: State::Draft,
            since: now,
            waves: Admission::default(),
            reached: Admission::default(),
            settled: None,
            hurry: false,
            paced: 0,
            failures_since: 0,
            breach: None,
            known_failures: Vec::new(),
        }
    }

    /// One that begins now. Where the first wave wants approval, it waits for that first.
    pub fn started(now: i64) -> Self {
        Self { state: State::Running, ..Self::draft(now) }
    }

    /// What becomes of it by a verb; `None`: nothing, it is so already. `wave`, from 0, is the one that `next` ends or
    /// `approve` begins, as whoever says so sees it: said a second time it does not count for the wave after that.
    ///
    /// # Errors
    /// The verb makes no sense now.
    pub fn after(&self, verb: Verb, wave: Option<usize>, now: i64) -> Result<Option<Self>, Refused> {
        if let Some(wave) = wave.filter(|_| matches!(verb, Verb::Next | Verb::Approve)) {
            let begun = self.waves.len();
            let meant = if verb == Verb::Next { wave.saturating_add(1) } else { wave };
            if meant < begun {
                return Ok(None);
            }
            if meant > begun {
                return Err(Refused::NotThatFar { verb, wave: wave.saturating_add(1), begun });
            }
        }
        let Some(state) = state::done(self.state, verb)? else { return Ok(None) };
        if verb == Verb::Next && self.hurry {
            return Ok(None);
        }
        let mut new = self.clone();
        match verb {
            Verb::Approve => new.begin_wave(now),
            Verb::Next => new.hurry = true,
            Verb::Resume => {
                new.known_failures = new.breach.take().map_or(new.known_failures, |it| it.failures)
            }
            Verb::Retry => {
                new.failures_since = now;
                new.breach = None;
                new.known_failures.clear();
            }
            Verb::Pause | Verb::Stop | Verb::Rollback => {}
        }
        new.enter(state, now);
        Ok(Some(new))
    }

    /// What the evaluator found. A step that does not fit, since somebody did something meanwhile, changes nothing.
    pub fn take(&mut self, step: &Step, now: i64) {
        let event = match step {
            Step::Begin { wave } | Step::Await { wave } if *wave != self.waves.len() => return,
            Step::Lower { wave, .. } if wave.saturating_add(1) != self.waves.len() => return,
            Step::Raise { .. } | Step::Settle | Step::Recover { .. } | Step::Lower { .. } => None,
            Step::Begin { .. } => Some(Event::WaveDone),
            Step::Await { .. } => Some(Event::ApprovalNeeded),
            Step::Breach { then, .. } => Some(Event::Sick(*then)),
            Step::Complete => Some(Event::AllDone),
            Step::TakenBack { .. } => Some(Event::TakenBack),
        };
        let Some(state) = event.map_or(Some(self.state), |event| state::after(self.state, event)) else {
            return;
        };
        match step {
            Step::Raise { wave, threshold, paced, .. } if state == State::Running => {
                self.waves.raise(*wave, *threshold);
                self.paced = *paced;
            }
            Step::Lower { threshold, .. } if state == State::RollingBack => self.waves.lower(*threshold),
            Step::Settle if state == State::Running => self.settled = Some(now),
            Step::Recover { known_failures } => {
                let known = self.known_failures.iter_mut().zip(known_failures);
                known.for_each(|(known, now)| *known = (*known).min(*now));
            }
            Step::Begin { .. } => self.begin_wave(now),
            Step::Breach { breached, .. } => self.breach = Some(breached.clone()),
            _ => {}
        }
        self.enter(state, now);
    }

    fn begin_wave(&mut self, now: i64) {
        self.waves.begin();
        self.since = now;
        self.settled = None;
        self.hurry = false;
        self.paced = 0;
    }

    fn enter(&mut self, state: State, now: i64) {
        if self.state == state {
            return;
        }
        self.state = state;
        self.since = now;
        self.hurry = false;
        // Who stops on the way back and goes back later has still reached what was reached at first.
        if state == State::RollingBack && self.reached.is_empty() {
            self.reached = self.waves.clone();
        }
        // Time in which nobody looked is no time in which all went well.
        self.settled = None;
    }
}

impl OnBreach {
    /// What the rollout does, in words.
    pub fn said(self) -> &'static str {
        match self {
            Self::Pause => "it pauses",
            Self::Rollback => "it takes back what it changed",
            Self::Stop => "it stops",
        }
    }
}
