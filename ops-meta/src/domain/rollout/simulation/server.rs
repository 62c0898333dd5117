//! A model of ops-meta: what it keeps, what it forgets when it is started again, and what it tells hosts.

use ops_wire::{Cmd, DesiredAgent, Status};

use super::host::{INTERVAL_SECS, NEW, OLD, Order, Said};
use crate::domain::conformity::{Conformity, Real};
use crate::domain::host::{Heard, Listening, Run, state};
use crate::domain::rollout::{
    Asked, Bar, Class, Going, Known, Look, Next, Opening, Report, Rollout, Seen, Stand, State, Tally,
    evaluate, room, why,
};

/// What was heard is written so often.
const FLUSH_SECS: i64 = 10;

/// What stays as it is.
pub struct Facts {
    pub position: u64,
    pub selected: u32,
    /// There is nothing for it.
    pub excluded: bool,
    /// What the package requires is not ordered.
    pub unmet: bool,
    /// In the group that is shut at times.
    pub grouped: bool,
    /// From when on what the package requires runs there.
    pub ready_at: i64,
}

/// What is known of a host.
#[derive(Clone, Copy)]
struct Memory {
    last: i64,
    said: Said,
    told: Option<(Order, i64)>,
    failed_at: Option<i64>,
}

pub struct Server {
    pub rollout: Rollout,
    /// By host, as what follows.
    pub facts: Vec<Facts>,
    known: Vec<Option<Memory>>,
    flushed: (i64, Vec<Option<Memory>>),
    pub listening: Listening,
    runs: Vec<Run>,
    run: Run,
    new: DesiredAgent,
    old: DesiredAgent,
    pub frozen: bool,
    pub window: Opening,
    /// The group's hosts may not begin.
    pub shut: bool,
}

fn desired(version: &str) -> DesiredAgent {
    DesiredAgent::with_any_version(
        "a".parse().unwrap(),
        version.parse().map_err(|_| String::new()),
        String::new(),
        Cmd::Start,
    )
}

impl Server {
    pub fn new(rollout: Rollout, now: i64) -> Self {
        Self {
            rollout,
            facts: Vec::new(),
            known: Vec::new(),
            flushed: (now, Vec::new()),
            listening: Listening::new(Vec::new(), 0, now),
            runs: Vec::new(),
            run: Run { since: now, until: now },
            new: desired(NEW),
            old: desired(OLD),
            frozen: false,
            window: Opening::ALWAYS,
            shut: false,
        }
    }

    pub fn meet(&mut self, facts: Facts) {
        self.facts.push(facts);
        self.known.push(None);
    }

    /// What keeps a host from beginning.
    pub fn bar(&self, host: usize, now: i64) -> Option<Bar> {
        let facts = &self.facts[host];
        match () {
            () if facts.excluded => Some(Bar::Excluded),
            () if facts.unmet => Some(Bar::Unmet),
            () if facts.grouped && self.shut => Some(Bar::Shut),
            () if now < facts.ready_at => Some(Bar::Waiting),
            () => None,
        }
    }

    pub fn goes_on(&mut self, now: i64) {
        let run = self.listening.goes_on(now);
        if run.since != self.run.since {
            self.runs.push(self.run);
        }
        self.run = run;
        if (now - self.flushed.0).abs() >= FLUSH_SECS {
            self.flushed = (now, self.known.clone());
        }
    }

    /// Whom it told what, and since when, it does not know any more.
    pub fn starts_again(&mut self, now: i64) {
        self.known.clone_from(&self.flushed.1);
        self.known.resize(self.facts.len(), None);
        self.known.iter_mut().flatten().for_each(|it| it.told = None);
        self.runs.push(self.run);
        self.listening = Listening::new(self.runs.clone(), FLUSH_SECS, now);
        self.run = self.listening.goes_on(now);
    }

    pub fn is_learning(&self, now: i64) -> bool {
        now - self.run.since < INTERVAL_SECS
    }

    pub fn hears(&mut self, host: usize, said: Said, now: i64) -> Option<Order> {
        let before = self.known[host];
        let failed_at =
            (!said.error_code.is_empty()).then(|| before.as_ref().and_then(|it| it.failed_at).unwrap_or(now));
        let mut memory = Memory { last: now, said, told: before.and_then(|it| it.told), failed_at };
        let order = self.order(host, &said, now);
        if memory.told.map(|(told, _)| told) != order {
            memory.told = order.map(|order| (order, now));
        }
        self.known[host] = Some(memory);
        order
    }

    /// `None`: it is not told anything of the agent.
    fn order(&self, host: usize, said: &Said, now: i64) -> Option<Order> {
        let facts = &self.facts[host];
        let stand = self.stand(said);
        let new = Order { version: NEW, rollout: Some(self.rollout.id) };
        let bar = self.bar(host, now).filter(|bar| *bar >= Bar::Unmet || stand == Stand::Elsewhere);
        let told = self.rollout.tells(facts.position, facts.selected, stand) && bar != Some(Bar::Shut);
        match (told || self.rollout.progress.state == State::Completed, bar) {
            (true, Some(Bar::Excluded | Bar::Unmet | Bar::Waiting)) => None,
            (true, _) if told => Some(new),
            (true, _) => Some(Order { rollout: None, ..new }),
            (false, _) => Some(Order { version: OLD, rollout: None }),
        }
    }

    pub fn stand(&self, said: &Said) -> Stand {
        self.report(said).stand
    }

    fn report(&self, said: &Said) -> Report {
        let asked = Asked { rollout: self.rollout.id, target: &self.new, policy: Some(&self.old) };
        asked.report(Some(real(said)), said.rollout)
    }

    fn going(&self, wave: Option<usize>) -> Going {
        let wave = wave.and_then(|wave| self.rollout.plan.waves.get(wave)).or(self.rollout.plan.waves.last());
        Going {
            taking_back: self.rollout.progress.state == State::RollingBack,
            timeout_secs: wave.unwrap().timeout_secs,
        }
    }

    fn place(&self, host: usize, facts: &Facts, now: i64) -> Seen {
        let progress = &self.rollout.progress;
        let admitted_by = progress.waves.admitting(facts.position, facts.selected);
        let selected = facts.selected;
        let is_shut = self.bar(host, now) == Some(Bar::Shut);
        let Some(memory) = self.known[host] else {
            return Seen { selected, admitted_by, class: Class::Away, is_kept: is_shut };
        };
        let report = self.report(&memory.said);
        let heard = Heard { first: 0, last: memory.last, revived: 0, interval_secs: INTERVAL_SECS as u32 };
        let new = admitted_by.is_some();
        let told = memory.told.filter(|(order, _)| (order.version == NEW) == new);
        let class = self.going(admitted_by).class(&Known {
            admitted: new,
            was_admitted: progress.reached.admitting(facts.position, facts.selected).is_some(),
            state: state(&heard, &self.listening, now),
            told_secs: told.map(|(_, since)| self.listening.silence(since, now)),
            report,
            failed_before: memory.failed_at.is_some_and(|at| at * 1000 < progress.failures_since),
            bar: self.bar(host, now),
        });
        Seen { selected, admitted_by, class, is_kept: is_shut && report.target != Conformity::Yes }
    }

    pub fn seen(&self, now: i64) -> Vec<(u64, Seen)> {
        let seen = |(host, facts): (usize, &Facts)| (facts.position, self.place(host, facts, now));
        self.facts.iter().enumerate().map(seen).collect()
    }

    pub fn tally(&self, seen: &[(u64, Seen)]) -> Tally {
        let mut tally = Tally::new(self.rollout.plan.waves.len());
        seen.iter().for_each(|(_, seen)| tally.add(seen));
        tally
    }

    /// What it would do, and what it counted.
    pub fn evaluates(&self, now: i64) -> (Next, Tally, Vec<(u64, Seen)>) {
        let seen = self.seen(now);
        let tally = self.tally(&seen);
        let mut nearest = self.rollout.nearest(room(&self.rollout, &tally, now * 1000));
        let next = seen.iter().filter(|(_, seen)| self.rollout.is_next(seen));
        next.for_each(|(position, _)| nearest.offer(*position));
        let look = Look {
            now: now * 1000,
            learning: self.is_learning(now),
            listening: &self.listening,
            frozen: self.frozen.then_some("a holiday"),
            window: self.window,
            tally: &tally,
            next_positions: &nearest.sorted(),
        };
        let why = why(&self.rollout, &look);
        assert!(!why.what.is_empty() && !why.moved_by.is_empty());
        (evaluate(&self.rollout, &look), tally, seen)
    }
}

fn real(said: &Said) -> Real<'static> {
    let Said { version, phase, error_code, .. } = *said;
    Real { version, status: &Status::Started, phase: Some(phase), error_code }
}
