//! What is known of hosts of a rollout only from having looked before, and what a host is by that.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use ops_wire::Phase;

use crate::current::{Base, Current, Of, Reports};
use crate::domain::conformity::Conformity;
use crate::domain::host::{Listening, State as HostState};
use crate::domain::rollout::{Active, Bar, Class, Known, Progress, Report, Seen as Place, position};
use crate::domain::selector::HostFacts;
use crate::fleet::Host;

/// What is known of hosts of one rollout only from having looked before. Hosts are known by their positions.
#[derive(Debug, Default)]
pub struct Memory {
    /// When it was looked at last; `None`: not since ops-meta was started.
    looked_at: Option<i64>,
    /// Since when the rollout was as it was then, as in its progress.
    since: i64,
    told: ByPosition<Told>,
    /// Since when they report a failure, in Unix milliseconds; 0: since before anybody looked.
    failed: ByPosition<i64>,
    /// How those failed that have not got there since: a host that is told otherwise meanwhile says nothing of it any more.
    fell: ByPosition<Fell>,
}

#[derive(Debug)]
struct Fell {
    class: Class,
    code: Box<str>,
    /// Unix milliseconds.
    at: i64,
}

/// What is to be remembered of one host.
#[derive(Debug, Clone, Copy)]
pub struct Remembered {
    told: Option<Told>,
    failed: Option<i64>,
}

/// What one host is to hear.
#[derive(Debug, Clone, Copy)]
struct Told {
    /// What the rollout brings, rather than what was before.
    new: bool,
    /// Since when at the latest it hears it with any beat, in Unix seconds.
    noted: i64,
    /// When it was seen that it was heard after that, and so was told.
    since: Option<i64>,
}

/// One host of one rollout.
#[derive(Debug, Clone, Copy)]
pub struct One {
    pub position: u64,
    pub place: Place,
    pub remembered: Remembered,
}

/// What a look at one rollout goes by. Times are Unix seconds.
#[derive(Debug, Clone, Copy)]
pub struct Looking<'a> {
    pub listening: &'a Listening,
    pub now: i64,
    /// When the last hosts were admitted, or taken back: whoever is seen so since was told by any beat after that.
    /// `None`: before this start.
    pub moved_at: Option<i64>,
}

/// A host, as far as all rollouts see the same of it.
pub struct Looked<'a> {
    pub hostname: &'a str,
    pub facts: HostFacts<'a>,
    pub host: &'a Host,
    pub state: HostState,
}

/// What a host says, for one rollout.
#[derive(Debug, Clone, Copy)]
pub struct Reported {
    report: Report,
    bar: Option<Bar>,
}

impl Reported {
    pub fn of(current: &Current, base: &Base, of: &Of, host: &Host) -> Option<Self> {
        let reports: Reports<'_> = &|agent| host.says(agent);
        Some(Self { report: current.reported(of, reports)?, bar: current.bar(base, of, reports) })
    }
}

impl Memory {
    /// What a host is now. Remembers nothing: whoever only lists hosts has no say in how they are judged.
    pub fn one(
        &self,
        active: &Active,
        host: &Looked<'_>,
        Reported { report, bar }: &Reported,
        looking: &Looking<'_>,
    ) -> One {
        let (rollout, progress) = (&active.rollout, &active.rollout.progress);
        let position = position(rollout.id, host.hostname);
        let selected = rollout.plan.selected(&host.facts);
        let admitted_by = progress.waves.admitting(position, selected);
        let going = active.going(admitted_by);
        let (new, is_there) = (admitted_by.is_some(), report.target == Conformity::Yes);
        let mut known = Known {
            admitted: new,
            was_admitted: going.taking_back && progress.reached.admitting(position, selected).is_some(),
            state: host.state,
            told_secs: None,
            report: *report,
            failed_before: false,
            bar: *bar,
        };
        let is_silent = matches!(host.state, HostState::Late | HostState::Gone);
        let is_held = report.phase == Some(Phase::Held);
        let told = match (new, is_there) {
            // That it was told is seen by what it says, so it need not be remembered.
            (true, true) => None,
            // Whoever was not to hear it before he fell silent has not heard it.
            (true, false)
                if is_silent && !self.is_noted(position) && (bar.is_some() || !self.has_moved(looking)) =>
            {
                None
            }
            // While it is paused, or there is nothing for it, or it is held, a host that is admitted has no time that runs
            // out. Whoever fell silent before stays so.
            (true, false)
                if !is_silent && (bar.is_some() || is_held || !rollout.tells_admitted(new, report.stand)) =>
            {
                None
            }
            // Nor has whoever is as before, or never was otherwise.
            (false, _) if !going.taking_back || !(is_there || known.may_have_heard()) => None,
            _ => Some(self.told(position, new, host.host, looking)),
        };
        known.told_secs = match told {
            Some(told) => told.secs(progress.failures_since, looking),
            None => (new && is_there && report.is_ours).then_some(0),
        };
        let failed = report.has_error.then(|| self.failed(position, host.host));
        let retried = progress.failures_since;
        known.failed_before = retried > 0 && failed.is_some_and(|since| since <= retried);
        let is_kept = *bar == Some(Bar::Shut) && !is_there;
        let fell = self.fell.get(&position).filter(|fell| fell.at > retried);
        let class = match (going.class(&known), fell) {
            (Class::Ordered, Some(fell)) => fell.class,
            (class, _) => class,
        };
        let place = Place { selected, admitted_by, class, is_kept };
        One { position, place, remembered: Remembered { told, failed } }
    }

    pub(super) fn keep(&mut self, position: u64, Remembered { told, failed }: Remembered) {
        keep(&mut self.told, position, told);
        keep(&mut self.failed, position, failed);
    }

    /// Keeps in mind how a host failed, at `now` in Unix milliseconds. By which code it counts as a failure, if it does: of
    /// what is taken back those that had failed stay known.
    pub(super) fn falls<'a>(
        &'a mut self,
        position: u64,
        class: Class,
        code: Option<&'a str>,
        taking_back: bool,
        now: i64,
    ) -> Option<&'a str> {
        let has_failed = matches!(class, Class::Failed | Class::RolledBack);
        if class == Class::Done && !self.fell.is_empty() {
            self.fell.remove(&position);
        }
        if let Some(code) =
            code.filter(|code| has_failed && (!code.is_empty() || !self.fell.contains_key(&position)))
        {
            let code = match (code, class) {
                ("", Class::Failed) => "failed",
                ("", _) => "rolled_back",
                (code, _) => code,
            };
            self.fell.insert(position, Fell { class, code: code.into(), at: now });
        }
        match (code, self.fell.get(&position)) {
            (Some(_), Some(fell)) if has_failed => Some(&fell.code),
            (Some(code), _) => Some(code),
            (None, Some(fell)) if taking_back => Some(&fell.code),
            (None, _) => None,
        }
    }

    /// Whoever went back once, and has it again, has not heard yet that he is to go back.
    pub(super) fn looks_at(mut self, progress: &Progress) -> Self {
        if progress.since != self.since {
            self.told.retain(|_, told| told.new);
        }
        Self { since: progress.since, ..self }
    }

    pub(super) fn looked(self, at: i64) -> Self {
        Self { looked_at: Some(at), ..self }
    }

    /// Whether it was seen that this host is to hear of what the rollout brings.
    fn is_noted(&self, position: u64) -> bool {
        self.told.get(&position).is_some_and(|told| told.new)
    }

    /// Since it was looked at last.
    fn has_moved(&self, looking: &Looking<'_>) -> bool {
        looking.moved_at.zip(self.looked_at).is_some_and(|(moved, looked)| looked <= moved)
    }

    fn told(&self, position: u64, new: bool, host: &Host, looking: &Looking<'_>) -> Told {
        let known = self.told.get(&position).copied().filter(|told| told.new == new);
        // It is so since the last move, or since the last look, where something else kept it from hearing it until then.
        let so_since = looking.moved_at.max(self.looked_at).unwrap_or(looking.now);
        // Whether a beat of the same second came before or after that, nobody knows. What counts is the worse: who falls silent
        // may have done so by the new version, and who is to go back may not have heard of it.
        let noted = if new { so_since } else { so_since + 1 };
        let mut told = known.unwrap_or(Told { new, noted, since: None });
        // By a clock that was set back it is not later than now.
        told.noted = told.noted.min(looking.now + 1);
        if told.since.is_none() && (told.noted..=looking.now + 1).contains(&i64::from(host.last)) {
            told.since = Some(looking.now);
        }
        told
    }

    /// Since when a host reports a failure.
    fn failed(&self, position: u64, host: &Host) -> i64 {
        // It may have failed long before a restart: it has its time again, and none for ever.
        let new = if self.looked_at.is_some() { i64::from(host.last) * 1000 } else { 0 };
        self.failed.get(&position).copied().unwrap_or(new)
    }
}

impl Told {
    /// For how long a host has been told what it is told. Who has another try has all his time for it.
    fn secs(&self, since_retry: i64, looking: &Looking<'_>) -> Option<i64> {
        let since = self.since?.max(since_retry / 1000);
        Some(looking.listening.silence(since, looking.now))
    }
}

fn keep<T>(all: &mut ByPosition<T>, position: u64, value: Option<T>) {
    match value {
        Some(value) => _ = all.insert(position, value),
        None if all.is_empty() => {}
        None => _ = all.remove(&position),
    }
}

/// Positions are hashes already.
type ByPosition<T> = HashMap<u64, T, BuildHasherDefault<Itself>>;

#[derive(Debug, Default)]
struct Itself(u64);

impl Hasher for Itself {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Nothing but whole numbers is hashed.
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, position: u64) {
        self.0 = position;
    }
}
