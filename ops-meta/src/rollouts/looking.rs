//! A look at all hosts: how far each rollout is, and who is next.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ops_wire::Phase;

use super::Looks;
use super::seen::Failures;
use crate::clock::now_ms;
use crate::current::{Base, Current, Of};
use crate::domain::conformity::Conformity;
use crate::domain::host::{Listening, State as HostState, state};
use crate::domain::rollout::{
    Active, Bar, Class, Known, Nearest, Report, Seen as Place, State, Tally, position,
};
use crate::domain::selector::HostFacts;
use crate::fleet::{Agents, Fleet, Host};

/// So many hosts are moved by one step at most.
const NEXT_MAX: u32 = 100_000;
/// Reports that are kept in mind during a look.
const REPORTS_MAX: usize = 100_000;
/// The server learns for no longer, however seldom some hosts speak.
const LEARNING_SECS_MAX: u32 = 300;

/// What is known of hosts of one rollout only from having looked before. Hosts are known by their positions.
#[derive(Debug, Default)]
pub struct Memory {
    /// Somebody has looked since ops-meta was started.
    looked: bool,
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

/// What one look came to.
pub struct Scanned {
    /// Unix milliseconds.
    pub at: i64,
    pub took: Duration,
    /// Of each rollout that is active, in their order.
    pub all: Vec<Counted>,
    /// The longest interval of a host, as far as it is waited for.
    pub interval_secs: i64,
}

/// Of one rollout.
pub struct Counted {
    pub tally: Tally,
    pub next: Vec<u64>,
    pub failures: BTreeMap<String, Failures>,
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
    /// When the last hosts were admitted, or taken back: whoever is seen so since was told by any beat after that. `None`:
    /// before this start.
    pub moved_at: Option<i64>,
}

/// Looks at every host, and so wants its turn.
pub fn scan(fleet: &Fleet, current: &Current, looks: &Looks) -> Scanned {
    let mut memories = looks.memories();
    let (at, began) = (now_ms(), Instant::now());
    let listening = fleet.listening().clone();
    let active = current.active().iter();
    let counting = active.map(|it| {
        let moved_at = looks.moved_at(it.rollout.id);
        Counting::of(it, &mut memories, Looking { listening: &listening, now: at / 1000, moved_at })
    });
    let mut all: Vec<_> = counting.collect();
    // Of those that are over.
    memories.clear();
    let (mut interval_secs, mut reports) = (0, Reports::default());
    fleet.visit(|hostname, host| {
        interval_secs = interval_secs.max(host.heard().interval_secs);
        let facts = host.stable(hostname);
        let base = current.base_of(&facts, &host.answer);
        if base.of().is_empty() {
            return;
        }
        let host = Looked { hostname, facts, host, state: state(&host.heard(), &listening, at / 1000) };
        for (of, reported) in base.of().iter().zip(reports.of(current, &base, host.host)) {
            if let Some(counting) = all.get_mut(of.active) {
                counting.add(&host, reported);
            }
        }
    });
    let interval_secs = match interval_secs {
        // Nobody is known yet.
        0 => LEARNING_SECS_MAX,
        secs => secs.min(LEARNING_SECS_MAX),
    };
    let all = all.into_iter().map(|counting| counting.finish(&mut memories)).collect();
    Scanned { at, took: began.elapsed(), all, interval_secs: interval_secs.into() }
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
        let active = current.active().get(of.active)?;
        let says = host.says(active.agent().as_str());
        let asked = active.asked(&of.target, of.policy.as_ref());
        let report = asked.report(says.map(|it| it.real), says.and_then(|it| it.rollout));
        Some(Self { report, bar: current.bar(base, of, &|agent| host.says(agent)) })
    }
}

/// The same for hosts that say the same and are of one kind, which is worked out once for all of them.
#[derive(Default)]
struct Reports(HashMap<(usize, usize), Same>);

/// Both are held, so that nothing else comes to their address.
struct Same {
    _held: (Arc<Agents>, Arc<Base>),
    /// As `Base::of`.
    each: Box<[Reported]>,
}

impl Reports {
    fn of(&mut self, current: &Current, base: &Arc<Base>, host: &Host) -> &[Reported] {
        if self.0.len() >= REPORTS_MAX {
            self.0.clear();
        }
        let key = (Arc::as_ptr(&host.agents).addr(), Arc::as_ptr(base).addr());
        let same = self.0.entry(key).or_insert_with(|| {
            let each = base.of().iter().filter_map(|of| Reported::of(current, base, of, host)).collect();
            Same { _held: (host.agents.clone(), base.clone()), each }
        });
        &same.each
    }
}

struct Counting<'a> {
    active: &'a Active,
    looking: Looking<'a>,
    memory: Memory,
    tally: Tally,
    nearest: Nearest,
    failures: BTreeMap<String, Failures>,
}

impl<'a> Counting<'a> {
    fn of(active: &'a Active, memories: &mut BTreeMap<u64, Memory>, looking: Looking<'a>) -> Self {
        let rollout = &active.rollout;
        Self {
            active,
            looking,
            memory: memories.remove(&rollout.id).unwrap_or_default(),
            tally: Tally::new(rollout.plan.waves.len()),
            nearest: rollout.nearest(NEXT_MAX),
            failures: BTreeMap::new(),
        }
    }

    fn add(&mut self, host: &Looked<'_>, reported: &Reported) {
        let One { position, place, remembered } = self.memory.one(self.active, host, reported, &self.looking);
        self.memory.keep(position, remembered);
        self.falls(host, position, place.class);
        self.tally.add(&place);
        if self.active.rollout.is_next(&place) {
            self.nearest.offer(position);
        }
    }

    /// Counts a failure by its code. Of what is taken back those that had failed stay known.
    fn falls(&mut self, host: &Looked<'_>, position: u64, class: Class) {
        let taking_back = self.active.rollout.progress.state == State::RollingBack;
        let code = failure(host.host, self.active, class);
        let fell = self.memory.fell.get(&position);
        match (class, code, fell) {
            (Class::Done, ..) if fell.is_some() => _ = self.memory.fell.remove(&position),
            (Class::Failed | Class::RolledBack, Some(""), Some(fell)) => {
                Failures::note(&mut self.failures, &fell.code, host.hostname);
            }
            (Class::Failed | Class::RolledBack, Some(code), _) => {
                let code = match (code, class) {
                    ("", Class::Failed) => "failed",
                    ("", _) => "rolled_back",
                    (code, _) => code,
                };
                Failures::note(&mut self.failures, code, host.hostname);
                let fell = Fell { class, code: code.into(), at: self.looking.now * 1000 };
                self.memory.fell.insert(position, fell);
            }
            (_, Some(code), _) => Failures::note(&mut self.failures, code, host.hostname),
            (_, None, Some(fell)) if taking_back => {
                Failures::note(&mut self.failures, &fell.code, host.hostname);
            }
            _ => {}
        }
    }

    fn finish(self, memories: &mut BTreeMap<u64, Memory>) -> Counted {
        memories.insert(self.active.rollout.id, Memory { looked: true, ..self.memory });
        Counted { tally: self.tally, next: self.nearest.sorted(), failures: self.failures }
    }
}

/// How it failed, in a word; empty: it does not say.
fn failure<'a>(host: &'a Host, active: &Active, class: Class) -> Option<&'a str> {
    match class {
        Class::Failed | Class::RolledBack => {
            Some(host.says(active.agent().as_str()).map_or("", |it| it.real.error_code))
        }
        Class::TimedOut => Some("timed_out"),
        Class::Vanished => Some("vanished"),
        _ => None,
    }
}

/// What a host is for a rollout that is of it; `None`: it is not.
pub fn of_rollout(base: &Base, active: usize) -> Option<&Of> {
    base.of().iter().find(|of| of.active == active)
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

    fn keep(&mut self, position: u64, Remembered { told, failed }: Remembered) {
        keep(&mut self.told, position, told);
        keep(&mut self.failed, position, failed);
    }

    fn told(&self, position: u64, new: bool, host: &Host, looking: &Looking<'_>) -> Told {
        let known = self.told.get(&position).copied().filter(|told| told.new == new);
        let noted = looking.moved_at.unwrap_or(looking.now);
        let mut told = known.unwrap_or(Told { new, noted, since: None });
        if told.since.is_none() && i64::from(host.last) >= told.noted {
            told.since = Some(looking.now);
        }
        told
    }

    /// Since when a host reports a failure.
    fn failed(&self, position: u64, host: &Host) -> i64 {
        // It may have failed long before a restart: it has its time again, and none for ever.
        let new = if self.looked { i64::from(host.last) * 1000 } else { 0 };
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
