//! A look at all hosts: how far each rollout is, and who is next.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Looks;
use super::memory::{Looked, Looking, Memory, One, Reported};
use crate::clock::now_ms;
use crate::current::{Base, Current, Of};
use crate::domain::failures::Failures;
use crate::domain::host::state;
use crate::domain::rollout::{Active, Class, Nearest, Rollout, State, Tally};
use crate::fleet::{Agents, Fleet, Host};

/// So many hosts are moved by one step at most.
const NEXT_MAX: u32 = 100_000;
/// Of codes beyond those that are told apart.
const OTHER_CODES: &str = "others";
/// Reports that are kept in mind during a look.
const REPORTS_MAX: usize = 100_000;
/// The server learns for no longer, however seldom some hosts speak.
const LEARNING_SECS_MAX: u32 = 300;

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
            memory: memories.remove(&rollout.id).unwrap_or_default().looks_at(&rollout.progress),
            tally: Tally::new(rollout.plan.waves.len()),
            nearest: rollout.nearest(NEXT_MAX),
            failures: BTreeMap::new(),
        }
    }

    fn add(&mut self, host: &Looked<'_>, reported: &Reported) {
        let One { position, place, remembered } = self.memory.one(self.active, host, reported, &self.looking);
        self.memory.keep(position, remembered);
        self.tally.add(&place);
        let Rollout { progress, .. } = &self.active.rollout;
        if self.active.rollout.is_next(&place) {
            self.nearest.offer(position);
        }
        let code = failure(host.host, self.active, place.class);
        let taking_back = progress.state == State::RollingBack;
        let code = self.memory.falls(position, place.class, code, taking_back, self.looking.now * 1000);
        if let Some(code) = code {
            Failures::note(&mut self.failures, code, OTHER_CODES, host.hostname);
        }
    }

    fn finish(self, memories: &mut BTreeMap<u64, Memory>) -> Counted {
        memories.insert(self.active.rollout.id, self.memory.looked(self.looking.now));
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
