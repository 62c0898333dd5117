//! What every host said last, in memory: sharded, so that a beat waits for few others, and with names and versions
//! interned, since a million hosts have the same few.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ops_wire::{RealAgent, Status};

/// A scan holds one shard at a time: with a million hosts that is 4,000 of them, well below a millisecond.
const SHARDS: usize = 256;

/// All hosts.
pub struct Fleet {
    shards: Box<[Mutex<Shard>]>,
    count: AtomicUsize,
    hasher: RandomState,
    /// What `Host::seen_secs` counts from: the clock of the machine may step, this one does not.
    start: Instant,
}

#[derive(Default)]
struct Shard {
    hosts: HashMap<Box<str>, Host>,
    words: Words,
}

struct Host {
    seen_secs: u32,
    agents: Box<[Real]>,
}

/// One agent as a host reported it.
#[derive(Clone)]
pub struct Real {
    pub name: Arc<str>,
    pub version: Arc<str>,
    pub status: Status,
    /// Unix seconds, by the host's clock.
    pub timestamp: i64,
}

/// What became of a beat.
#[derive(Debug, PartialEq, Eq)]
pub enum Recorded {
    Known,
    New,
    /// There are as many hosts as may be; this one is answered, but not remembered.
    Full,
}

impl Fleet {
    pub fn new() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, count: AtomicUsize::new(0), hasher: RandomState::new(), start: Instant::now() }
    }

    /// Replaces what is known of a host: an agent that is no longer reported is gone.
    pub fn record(&self, hostname: &str, agents: &[RealAgent], hosts_max: usize) -> Recorded {
        let Some(mut shard) = self.shard_of(hostname) else { return Recorded::Full };
        let known = shard.hosts.contains_key(hostname);
        if !known && !self.count_one_more(hosts_max) {
            return Recorded::Full;
        }
        let agents = agents.iter().map(|agent| shard.words.real(agent)).collect();
        let host = Host { seen_secs: self.now_secs(), agents };
        match shard.hosts.get_mut(hostname) {
            Some(slot) => *slot = host,
            None => drop(shard.hosts.insert(hostname.into(), host)),
        }
        if known { Recorded::Known } else { Recorded::New }
    }

    /// Forgets the hosts that have said nothing for so long, and says how many they were.
    pub fn forget(&self, unheard: Duration) -> usize {
        let forgotten = self.shards.iter().map(|shard| self.forget_in(&mut locked(shard), unheard)).sum();
        self.count.fetch_sub(forgotten, Ordering::Relaxed);
        forgotten
    }

    fn forget_in(&self, shard: &mut Shard, unheard: Duration) -> usize {
        let (before, now) = (shard.hosts.len(), self.now_secs());
        shard.hosts.retain(|_, host| u64::from(now - host.seen_secs) < unheard.as_secs());
        before - shard.hosts.len()
    }

    fn now_secs(&self) -> u32 {
        u32::try_from(self.start.elapsed().as_secs()).unwrap_or(u32::MAX)
    }

    fn count_one_more(&self, hosts_max: usize) -> bool {
        let more = |count| (count < hosts_max).then_some(count + 1);
        self.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// What the hosts of one shard say of `agent`; `None` for a host that does not report it. The end of the shards
    /// is the end of the list.
    pub fn scan(&self, shard: usize, agent: &str) -> Option<Vec<(Box<str>, Option<Real>)>> {
        let shard = locked(self.shards.get(shard)?);
        let of_agent = |host: &Host| host.agents.iter().find(|real| &*real.name == agent).cloned();
        Some(shard.hosts.iter().map(|(name, host)| (name.clone(), of_agent(host))).collect())
    }

    fn shard_of(&self, hostname: &str) -> Option<MutexGuard<'_, Shard>> {
        let index = self.hasher.hash_one(hostname) as usize % SHARDS;
        self.shards.get(index).map(locked)
    }
}

/// Nothing panics while a shard is locked; if it did, one host's last words would be old, and no more.
fn locked(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Names and versions, each kept once.
struct Words {
    words: HashSet<Arc<str>>,
    /// At this size the words that nobody uses are thrown away.
    sweep_at: usize,
}

impl Default for Words {
    fn default() -> Self {
        Self { words: HashSet::new(), sweep_at: 256 }
    }
}

impl Words {
    fn real(&mut self, agent: &RealAgent) -> Real {
        let version = agent.version.as_ref().map_or("", |version| version.as_str());
        Real {
            name: self.word(agent.name.as_str()),
            version: self.word(version),
            status: agent.status.clone(),
            timestamp: agent.timestamp,
        }
    }

    fn word(&mut self, text: &str) -> Arc<str> {
        if let Some(word) = self.words.get(text) {
            return word.clone();
        }
        if self.words.len() >= self.sweep_at {
            self.words.retain(|word| Arc::strong_count(word) > 1);
            self.sweep_at = 256.max(2 * self.words.len());
        }
        let word: Arc<str> = text.into();
        self.words.insert(word.clone());
        word
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn agent(version: &str) -> RealAgent {
        RealAgent::new("a".parse().unwrap(), version.parse().ok(), Status::Started, 1)
    }

    fn seen(fleet: &Fleet) -> Vec<(String, Option<String>)> {
        let rows = (0..SHARDS).flat_map(|shard| fleet.scan(shard, "a").unwrap());
        let mut rows: Vec<_> =
            rows.map(|(host, real)| (host.into(), real.map(|real| real.version.to_string()))).collect();
        rows.sort();
        rows
    }

    #[test]
    fn a_beat_replaces_the_one_before() {
        let fleet = Fleet::new();
        assert_eq!(fleet.record("h", &[agent("1")], 10), Recorded::New);
        assert_eq!(fleet.record("h", &[agent("2")], 10), Recorded::Known);
        assert_eq!(seen(&fleet), [("h".to_owned(), Some("2".to_owned()))]);
        fleet.record("h", &[], 10);
        assert_eq!(seen(&fleet), [("h".to_owned(), None)]);
    }

    #[test]
    fn known_hosts_are_recorded_when_the_fleet_is_full() {
        let fleet = Fleet::new();
        assert_eq!(fleet.record("a", &[], 1), Recorded::New);
        assert_eq!(fleet.record("b", &[], 1), Recorded::Full);
        assert_eq!(fleet.record("a", &[agent("1")], 1), Recorded::Known);
        assert_eq!(seen(&fleet).len(), 1);
    }

    #[test]
    fn silent_hosts_are_forgotten_and_make_room() {
        let fleet = Fleet::new();
        fleet.record("a", &[], 1);
        assert_eq!(fleet.forget(Duration::from_secs(3600)), 0);
        assert_eq!(fleet.forget(Duration::ZERO), 1);
        assert_eq!(fleet.record("b", &[], 1), Recorded::New);
    }

    #[test]
    fn words_that_nobody_uses_are_thrown_away() {
        let fleet = Fleet::new();
        for version in 0..10_000 {
            fleet.record("h", &[agent(&version.to_string())], 1);
        }
        let words = fleet.shard_of("h").unwrap().words.words.len();
        assert!(words <= 257, "{words} words");
    }
}
