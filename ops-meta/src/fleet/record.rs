//! A beat becomes what is known of its host.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::Ordering;

use ops_wire::{Heartbeat, RealAgent};

use super::UNWRITTEN;
use super::host::{Address, Agents, Compact, Facts, Host, Look, Real, Rival};
use super::pending::News;
use super::{Fleet, Recorded, Shard};
use crate::domain::host::{GONE_SECS, State};
use crate::remembered::Remembered;
use crate::store::HostChange;

/// When a host was heard is written when what is written is older than this, in seconds, and up to half as much again:
/// so a million hosts that came at once are not written at once. After a restart of ops-meta it may be so old.
const LAST_SEEN_KEPT: u32 = 4800;
/// How old what is written can be.
pub const LAST_SEEN_SLACK: i64 = LAST_SEEN_KEPT as i64 * 3 / 2;
/// The longest text in a line of history.
const LINE_BYTES_MAX: usize = 200;

/// A beat as it was sent.
pub struct Said<'a> {
    pub body: &'a [u8],
    /// What the next one of the same words is known by, see `repeat`; 0: it is to be read.
    pub known_by: u64,
}

/// What all hosts may take.
#[derive(Debug, Clone, Copy)]
pub struct Most {
    pub hosts: usize,
    /// Of what they say of themselves and of their agents; beyond that a host keeps what it had.
    pub texts_bytes: usize,
}

impl Fleet {
    /// Replaces what is known of a host: an agent that is no longer reported is gone. `now` in Unix milliseconds.
    pub fn record(&self, beat: &Heartbeat, said: &Said<'_>, now: i64, most: Most) -> Recorded {
        let hostname = &*beat.hostname;
        let mut shard = self.shard_of(hostname);
        let Shard { hosts, facts, agents, pending, .. } = &mut *shard;
        let Some(host) = hosts.get_mut(hostname) else {
            if !self.count_one_more(most.hosts) {
                return Recorded::Full;
            }
            return self.record_new(&mut shard, beat, said, now, most.texts_bytes);
        };
        let mut seen = Seen { host, now, lines: Vec::new(), changed: false };
        seen.comes_back(self);
        seen.machine(beat);
        let (mut facts_fit, mut agents_fit) = (true, true);
        if !seen.host.facts.are_of(beat) {
            let (before, said) = (seen.host.facts.clone(), Facts::of(beat));
            match facts.instead_of(&before, said, &self.texts, most.texts_bytes) {
                Some(facts) => seen.facts(facts),
                None => facts_fit = false,
            }
        }
        if !seen.host.agents.are_of(&beat.real_agents) {
            let (before, said) = (seen.host.agents.clone(), Agents::of(&beat.real_agents));
            match agents.instead_of(&before, said, &self.texts, most.texts_bytes) {
                Some(agents) => seen.agents(agents),
                None => agents_fit = false,
            }
        }
        // Of agents that are not known there is nothing to be noted.
        if agents_fit {
            seen.looks(&beat.real_agents);
        }
        seen.report(beat);
        let whole = facts_fit && agents_fit;
        let (changed, lines) = (seen.changed, seen.lines);
        host.last = super::secs(now);
        host.generation = generation(beat);
        host.body = if whole { said.known_by } else { 0 };
        if changed {
            self.pend(pending, hostname, host, News::Changed(said.body, lines));
        } else if host.was_written_long_ago(hostname) {
            self.pend(pending, hostname, host, News::Heard);
        }
        if whole { Recorded::Known } else { Recorded::InPart }
    }

    fn record_new(
        &self,
        shard: &mut Shard,
        beat: &Heartbeat,
        said: &Said<'_>,
        now: i64,
        texts_bytes_max: usize,
    ) -> Recorded {
        let now_secs = super::secs(now);
        let Shard { hosts, facts, agents, pending, .. } = shard;
        let known_facts = facts.of(Facts::of(beat), &self.texts, texts_bytes_max);
        let known_agents = agents.of(Agents::of(&beat.real_agents), &self.texts, texts_bytes_max);
        let whole = known_facts.is_some() && known_agents.is_some();
        let looks = known_agents.as_ref().map(|_| beat.real_agents.iter().map(Look::at).collect());
        let mut host = Box::new(Host {
            first: now_secs,
            last: now_secs,
            last_written: now_secs,
            id: UNWRITTEN,
            revived: 0,
            pending: 0,
            report: report_hash(beat),
            body: if whole { said.known_by } else { 0 },
            generation: generation(beat),
            answer: Remembered::default(),
            facts: known_facts.unwrap_or_else(|| facts.nothing(&self.texts)),
            agents: known_agents.unwrap_or_else(|| agents.nothing(&self.texts)),
            looks: looks.unwrap_or_default(),
            ip: Address::of(&beat.ip),
            machine: Compact::of(&beat.machine_id),
            rival: None,
        });
        // That it is new is seen by when it was first heard.
        self.pend(pending, &beat.hostname, &mut host, News::Changed(said.body, Vec::new()));
        hosts.insert(beat.hostname.as_str().into(), host);
        if whole { Recorded::New } else { Recorded::InPart }
    }

    fn count_one_more(&self, hosts_max: usize) -> bool {
        let more = |count| (count < hosts_max).then_some(count + 1);
        self.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }
}

/// There will never be as many as do not fit.
fn generation(beat: &Heartbeat) -> u32 {
    u32::try_from(beat.generation.unwrap_or_default()).unwrap_or(u32::MAX)
}

impl Host {
    /// Whether it is time to write when it was heard. Few beats come so far that the name is looked at.
    pub(super) fn was_written_long_ago(&self, hostname: &str) -> bool {
        let age = self.last.saturating_sub(self.last_written);
        age > LAST_SEEN_KEPT && age > kept_for(hostname)
    }
}

/// Spread over half the time, by name.
fn kept_for(hostname: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    hostname.hash(&mut hasher);
    LAST_SEEN_KEPT + (hasher.finish() % u64::from(LAST_SEEN_KEPT / 2)) as u32
}

/// A known host, and what its beat changes.
struct Seen<'a> {
    host: &'a mut Host,
    /// Unix milliseconds.
    now: i64,
    lines: Vec<HostChange>,
    changed: bool,
}

impl Seen<'_> {
    fn comes_back(&mut self, fleet: &Fleet) {
        let now = super::secs(self.now);
        // Cheap for all who were never away.
        if now.saturating_sub(self.host.last) < GONE_SECS as u32 {
            return;
        }
        fleet.listen(now.into());
        if fleet.state(self.host, now.into()) == State::Gone {
            self.host.revived = now;
            self.note("", "state", "gone", "revived");
        }
    }

    fn machine(&mut self, beat: &Heartbeat) {
        let (machine, ip) = (Compact::of(&beat.machine_id), Address::of(&beat.ip));
        // What is not said is not known yet: the first beat of an updater has no address.
        let known = &*self.host;
        let other_machine = machine != known.machine && !machine.is_empty();
        let other_ip = ip != known.ip && !ip.is_empty();
        // Where machines do not say which one they are, their addresses have to do.
        let unsaid = machine.is_empty() && known.machine.is_empty();
        if other_machine && !known.machine.is_empty() || unsaid && other_ip && !known.ip.is_empty() {
            self.replaced();
        }
        if other_machine {
            let before = std::mem::replace(&mut self.host.machine, machine).to_text();
            self.note("", "machine", &before, &beat.machine_id);
        }
        if other_ip {
            let before = std::mem::replace(&mut self.host.ip, ip).to_text();
            self.host.answer.forget();
            self.note("", "ip", &before, &beat.ip);
        }
    }

    /// A machine set up anew takes its name once; where that happens twice within a short time, several want it.
    fn replaced(&mut self) {
        let (host, now) = (&mut *self.host, super::secs(self.now));
        let late = host.heard().late_secs();
        let (replaced, contested) =
            host.rival.as_deref().map_or((0, 0), |rival| (rival.replaced, rival.contested));
        let again = i64::from(now.saturating_sub(replaced)) <= late;
        host.rival = Some(Box::new(Rival {
            machine: host.machine.clone(),
            ip: host.ip.clone(),
            replaced: now,
            contested: if again { now } else { contested },
        }));
    }

    fn facts(&mut self, facts: std::sync::Arc<Facts>) {
        let before = std::mem::replace(&mut self.host.facts, facts);
        self.host.answer.forget();
        self.changed = true;
        if before.updater_version != self.host.facts.updater_version {
            let after = self.host.facts.updater_version.clone();
            self.note("", "updater", &before.updater_version, &after);
        }
    }

    fn agents(&mut self, agents: std::sync::Arc<Agents>) {
        let before = std::mem::replace(&mut self.host.agents, agents.clone());
        self.changed = true;
        for real in &agents.0 {
            self.agent(before.find(&real.name), real);
        }
        for gone in before.0.iter().filter(|real| agents.find(&real.name).is_none()) {
            self.note(&gone.name, "version", &gone.version, "");
        }
    }

    /// Phases come and go; what is told is what an operator would ask for later.
    fn agent(&mut self, before: Option<&Real>, after: &Real) {
        let texts = |real: Option<&Real>| {
            real.map_or([""; 3], |real| [&real.version, real.status.as_str(), &real.error_code])
                .map(str::to_owned)
        };
        let (before, now) = (texts(before), texts(Some(after)));
        for ((what, before), now) in ["version", "status", "error"].iter().zip(&before).zip(&now) {
            if before != now {
                self.note(&after.name, what, before, now);
            }
        }
    }

    fn looks(&mut self, agents: &[RealAgent]) {
        if self.host.looks.len() != agents.len() {
            self.host.looks = agents.iter().map(Look::at).collect();
        }
        for (look, agent) in self.host.looks.iter_mut().zip(agents) {
            *look = Look::at(agent);
        }
    }

    fn report(&mut self, beat: &Heartbeat) {
        let hash = report_hash(beat);
        self.changed |= hash != self.host.report;
        self.host.report = hash;
    }

    fn note(&mut self, agent: &str, what: &str, before: &str, after: &str) {
        self.changed = true;
        self.lines.push(line(self.now, agent, what, before, after));
    }
}

fn line(at: i64, agent: &str, what: &str, before: &str, after: &str) -> HostChange {
    let cut = |text: &str| text[..text.floor_char_boundary(LINE_BYTES_MAX)].into();
    HostChange { at, agent: agent.into(), what: what.into(), before: cut(before), after: cut(after) }
}

/// Of what stands in the report only; what is kept in memory is compared. Never 0. The same after a restart, so that
/// nothing is written anew, unless another release of Rust hashes otherwise: then each host is written once more.
fn report_hash(beat: &Heartbeat) -> u64 {
    let mut hasher = DefaultHasher::new();
    for agent in &beat.real_agents {
        (&agent.error, agent.attempt, agent.next_try, agent.steps.len()).hash(&mut hasher);
        for step in &agent.steps {
            (&step.step, step.at, step.ms, &step.code).hash(&mut hasher);
        }
    }
    for error in &beat.errors {
        (&error.agent, &error.code, &error.error).hash(&mut hasher);
    }
    for action in &beat.actions_done {
        (action.id, &action.code).hash(&mut hasher);
    }
    hasher.finish().max(1)
}
