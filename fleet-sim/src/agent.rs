//! One agent of a simulated host: installed, upgraded, taken back. Pure; it is moved by the clock, and looked at when a
//! beat tells of it.

use ops_wire::{ErrorCode, Phase, RealAgent, Status, StepDone};

use crate::chance::{Fate, mixed, part};
use crate::orders::{Order, Wanted};
use crate::words::{Word, Words};

/// How long the parts of an upgrade take, in milliseconds: at least, and how much more at most.
const DOWNLOAD_MS: (u32, u32) = (1000, 4000);
const START_MS: (u32, u32) = (300, 1700);

/// What a host has of one agent. A few dozen bytes: a million hosts have three million of them.
#[derive(Debug, Clone, Copy)]
pub struct Agent {
    pub name: Word,
    version: Option<Word>,
    runs: bool,
    /// The last change, under way or over.
    change: Option<Change>,
}

/// A move to another version.
#[derive(Debug, Clone, Copy)]
struct Change {
    begun_ms: u64,
    download_ms: u16,
    start_ms: u16,
    /// How long the trial takes; of one that fails, how long it lasted.
    trial_ms: u32,
    from: Option<Word>,
    to: Word,
    outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    WillSucceed,
    WillFail,
    Succeeded,
    TakenBack,
}

impl Change {
    fn flip_ms(&self) -> u64 {
        self.begun_ms + u64::from(self.download_ms) + u64::from(self.start_ms)
    }

    fn rest_ms(&self) -> u64 {
        self.flip_ms() + u64::from(self.trial_ms)
    }

    fn is_over(&self) -> bool {
        matches!(self.outcome, Outcome::Succeeded | Outcome::TakenBack)
    }

    fn phase(&self, now_ms: u64) -> Phase {
        match self.outcome {
            Outcome::Succeeded => Phase::Idle,
            Outcome::TakenBack => Phase::RolledBack,
            _ if now_ms < self.begun_ms + u64::from(self.download_ms) => Phase::Downloading,
            _ if now_ms < self.flip_ms() => Phase::Starting,
            _ => Phase::Trial,
        }
    }
}

impl Agent {
    /// One that runs, if it has a version.
    pub fn new(name: Word, version: Option<Word>) -> Self {
        Self { name, version, runs: version.is_some(), change: None }
    }

    /// Brings it to where it is now.
    pub fn settle(&mut self, now_ms: u64) {
        let Some(change) = &mut self.change else { return };
        if change.is_over() || now_ms < change.rest_ms() {
            return;
        }
        (self.version, change.outcome) = match change.outcome {
            Outcome::WillFail => (change.from, Outcome::TakenBack),
            _ => (Some(change.to), Outcome::Succeeded),
        };
        self.runs = self.version.is_some();
    }

    /// When the change under way is over.
    pub fn rest_ms(&self) -> Option<u64> {
        self.change.filter(|it| !it.is_over()).map(|it| it.rest_ms())
    }

    /// Whether nothing is left to do for this order; a version that failed is not tried again.
    pub fn is_at_rest(&self, wanted: Wanted) -> bool {
        self.rest_ms().is_none() && !self.is_to_change(wanted)
    }

    /// Whether a version was taken back that is still wanted.
    pub fn has_failed(&self, wanted: Wanted) -> bool {
        let failed = self.change.filter(|it| it.outcome == Outcome::TakenBack).map(|it| it.to);
        failed.is_some_and(|to| wanted == Wanted::Started(to))
    }

    fn is_to_change(&self, wanted: Wanted) -> bool {
        match wanted {
            Wanted::Started(version) => {
                (self.version != Some(version) || !self.runs) && !self.has_failed(wanted)
            }
            Wanted::Stopped => self.runs,
            Wanted::Uninstalled => self.version.is_some(),
            Wanted::LeftAlone => false,
        }
    }

    /// Whether this version ran here before the one that runs now: then it does so again.
    pub fn has_run(&self, wanted: Wanted) -> bool {
        let before = self.change.filter(|it| it.outcome == Outcome::Succeeded).and_then(|it| it.from);
        before.is_some_and(|before| wanted == Wanted::Started(before))
    }

    /// Begins what the order asks for, unless something is under way. A stop and a start of what is installed take no time
    /// here.
    pub fn hear(&mut self, wanted: Wanted, plan: impl FnOnce(Word) -> Plan, now_ms: u64) {
        if self.rest_ms().is_some() || !self.is_to_change(wanted) {
            return;
        }
        match wanted {
            Wanted::Started(version) if self.version != Some(version) => {
                self.change = Some(plan(version).change(self.version, version, now_ms));
            }
            Wanted::Started(_) => self.runs = true,
            Wanted::Stopped => self.runs = false,
            Wanted::Uninstalled => (self.version, self.runs) = (None, false),
            Wanted::LeftAlone => {}
        }
    }

    /// The view that a beat tells.
    pub fn report(&self, order: Option<&Order>, words: &Words, now: Now) -> Option<RealAgent> {
        let version = self.version_in_use(now.host_ms).map(|it| words.text(it).parse());
        let status = if self.runs { Status::Started } else { Status::Stopped };
        let name = words.text(self.name).parse().ok()?;
        let mut view = RealAgent::new(name, version.transpose().ok()?, status, now.unix(now.host_ms));
        let moving = self.change.filter(|it| !it.is_over()).map(|it| it.to);
        let ordered = order.and_then(|it| match it.wanted {
            Wanted::Started(version) => Some(version),
            _ => None,
        });
        view.desired_version = moving.or(ordered).and_then(|it| words.text(it).parse().ok());
        view.sha256 = order.filter(|_| ordered == self.version).and_then(|it| it.sha256.clone());
        view.rollout = order.and_then(|it| it.rollout);
        view.phase = Some(Phase::Idle);
        if let Some(change) = &self.change {
            change.tell(&mut view, now);
        }
        Some(view)
    }

    fn version_in_use(&self, now_ms: u64) -> Option<Word> {
        let flipped = self.change.filter(|it| !it.is_over() && now_ms >= it.flip_ms());
        flipped.map(|it| it.to).or(self.version)
    }
}

impl Change {
    fn tell(&self, view: &mut RealAgent, now: Now) {
        let phase = self.phase(now.host_ms);
        view.phase = Some(phase);
        if phase == Phase::Downloading {
            let gone = now.host_ms.saturating_sub(self.begun_ms) * 100;
            view.percent = Some((gone / u64::from(self.download_ms.max(1))).min(100) as u8);
        }
        let failed = self.outcome == Outcome::TakenBack;
        if failed {
            view.error_code = ErrorCode::TrialFailed.to_string();
            view.error = "the version started and did not stay".to_owned();
            view.attempt = Some(2);
        }
        view.steps = self.steps(now);
    }

    /// Those that are over, with the times that they took.
    fn steps(&self, now: Now) -> Vec<StepDone> {
        let (download, start) = (u64::from(self.download_ms), u64::from(self.start_ms));
        let mut lasted = vec![
            ("fetch", download * 7 / 10),
            ("verify", download / 10),
            ("unpack", download / 5),
            ("stop", start / 4),
            ("start", start / 2),
            ("flip", start / 4),
            ("trial", self.trial_ms.into()),
        ];
        let failed = self.outcome == Outcome::TakenBack;
        if failed {
            lasted.push(("take_back", 0));
        }
        let mut at_ms = self.begun_ms;
        let ended = lasted.into_iter().map(|(step, ms)| {
            at_ms += ms;
            let code =
                if failed && step == "trial" { ErrorCode::TrialFailed.to_string() } else { String::new() };
            (at_ms, StepDone { step: step.to_owned(), at: now.unix(at_ms), ms, code })
        });
        ended.take_while(|(ended_ms, _)| *ended_ms <= now.host_ms).map(|(_, step)| step).collect()
    }
}

/// How a change to a version will go.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub fate: Fate,
    /// What decides how long the parts take.
    pub seed: u64,
    pub trial_secs: u32,
}

impl Plan {
    fn change(self, from: Option<Word>, to: Word, now_ms: u64) -> Change {
        let of = |(least, more): (u32, u32), salt| {
            least + (f64::from(more) * part(mixed(&[self.seed, salt]))) as u32
        };
        let trial_ms = self.trial_secs.saturating_mul(1000);
        let (outcome, trial_ms) = match self.fate {
            Fate::Fails => (Outcome::WillFail, trial_ms / 2),
            Fate::Succeeds | Fate::Vanishes => (Outcome::WillSucceed, trial_ms),
        };
        let (download_ms, start_ms) = (of(DOWNLOAD_MS, 1) as u16, of(START_MS, 2) as u16);
        Change { begun_ms: now_ms, download_ms, start_ms, trial_ms, from, to, outcome }
    }
}

/// A moment of the hosts' time.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Since the simulation began.
    pub host_ms: u64,
    /// When it began, in Unix seconds.
    pub began_unix: i64,
}

impl Now {
    fn unix(self, host_ms: u64) -> i64 {
        self.began_unix + (host_ms / 1000) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upgraded(fate: Fate) -> (Agent, Words, Word) {
        let mut words = Words::default();
        let (name, old, new) = (words.word("a").unwrap(), words.word("1").unwrap(), words.word("2").unwrap());
        let mut agent = Agent::new(name, Some(old));
        agent.hear(Wanted::Started(new), |_| Plan { fate, seed: 7, trial_secs: 10 }, 0);
        (agent, words, new)
    }

    fn told(agent: &mut Agent, words: &Words, host_ms: u64) -> RealAgent {
        agent.settle(host_ms);
        agent.report(None, words, Now { host_ms, began_unix: 1_790_000_000 }).unwrap()
    }

    #[test]
    fn an_upgrade_goes_through_its_phases() {
        let (mut agent, words, new) = upgraded(Fate::Succeeds);
        let rest_ms = agent.rest_ms().unwrap();
        let mut phases: Vec<Phase> =
            (0..=rest_ms).step_by(100).filter_map(|ms| told(&mut agent, &words, ms).phase).collect();
        phases.dedup();
        assert_eq!(phases, [Phase::Downloading, Phase::Starting, Phase::Trial]);
        let after = told(&mut agent, &words, rest_ms);
        assert_eq!((after.phase, after.version.unwrap().as_str()), (Some(Phase::Idle), "2"));
        assert_eq!(after.steps.len(), 7);
        assert!(agent.is_at_rest(Wanted::Started(new)) && !agent.has_failed(Wanted::Started(new)));
    }

    #[test]
    fn a_version_that_fails_is_taken_back_and_not_tried_again() {
        let (mut agent, words, new) = upgraded(Fate::Fails);
        let rest_ms = agent.rest_ms().unwrap();
        let after = told(&mut agent, &words, rest_ms);
        assert_eq!((after.phase, after.version.unwrap().as_str()), (Some(Phase::RolledBack), "1"));
        assert_eq!(after.error_code, "trial_failed");
        assert_eq!(after.steps.last().map(|it| it.step.as_str()), Some("take_back"));
        assert!(agent.is_at_rest(Wanted::Started(new)) && agent.has_failed(Wanted::Started(new)));
    }

    #[test]
    fn an_agent_is_a_few_dozen_bytes() {
        assert!(size_of::<Agent>() <= 40, "{}", size_of::<Agent>());
    }
}
