//! Every host, in memory: sharded, so that a beat waits for few others. What a beat changes is put on a list and
//! written behind (`pending`); a beat that says what was said before changes nothing but when the host was heard.

mod host;
mod list;
mod pending;
mod record;
mod repeat;
mod shared;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use crate::domain::host::{Listening, Run, State, state};
use crate::remembered::Remembered;
use crate::store::{HostId, HostRow};
pub use host::{Address, Agents, Compact, Facts, Host, Look, NO_PERCENT, Real};
pub use list::{Asked, Order, Position, TooLate};
use pending::Pending;
pub use record::{LAST_SEEN_SLACK, Most, Said};
use shared::{Room, Shared};

/// Of a million hosts a shard has some 250: a name is found by few comparisons, and whoever looks at all hosts keeps few
/// beats waiting.
const SHARDS: usize = 4096;
/// Of a host that was not written yet. Numbers are given in the order of writing, so that new rows come behind the others.
const UNWRITTEN: HostId = 0;
/// For so many seconds it is told that several machines want one name.
const CONTESTED_SECS: u32 = 3600;

/// How many of those that are forgotten are named.
const NAMED_MAX: usize = 20;
/// What machines are is looked at as long as there are no more kinds, in all shards.
const KINDS_MAX: usize = 200_000;

/// All hosts.
pub struct Fleet {
    shards: Box<[Mutex<Shard>]>,
    count: AtomicUsize,
    hasher: RandomState,
    listening: RwLock<Listening>,
    /// Hosts that the database still has.
    forgotten: Mutex<Vec<HostId>>,
    /// Of the host that is written next.
    next_id: AtomicU32,
    /// What waits to be written, in bytes.
    pending_bytes: AtomicUsize,
    /// What hosts said of themselves, in all shards.
    texts: Room,
    /// The shard whose turn it is to be written.
    turn: AtomicUsize,
}

#[derive(Default)]
struct Shard {
    /// By name, so that a list in this order needs not look at all of them.
    hosts: BTreeMap<Box<str>, Box<Host>>,
    facts: Shared<Facts>,
    agents: Shared<Agents>,
    pending: Vec<Pending>,
}

/// What became of a beat.
#[derive(Debug, PartialEq, Eq)]
pub enum Recorded {
    Known,
    New,
    /// What it said of itself or of its agents found no room, and is as it was before.
    InPart,
    /// There are as many hosts as may be; this one is answered, but not remembered.
    Full,
}

/// Hosts that said nothing for too long: how many, and the names of some.
#[derive(Debug, Default)]
pub struct Forgotten {
    pub count: usize,
    pub some: Vec<String>,
}

impl Forgotten {
    fn note(&mut self, hostname: &str) {
        self.count += 1;
        if self.some.len() < NAMED_MAX {
            self.some.push(hostname.to_owned());
        }
    }
}

/// One agent of one host, as it was reported.
#[derive(Clone)]
pub struct Reported {
    agents: Arc<Agents>,
    index: usize,
    /// Unix seconds, by the host's clock.
    pub timestamp: u32,
}

impl Reported {
    pub fn real(&self) -> Option<&Real> {
        self.agents.0.get(self.index)
    }
}

impl Fleet {
    pub fn new(listening: Listening) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            count: AtomicUsize::new(0),
            hasher: RandomState::new(),
            listening: RwLock::new(listening),
            forgotten: Mutex::default(),
            next_id: AtomicU32::new(1),
            pending_bytes: AtomicUsize::new(0),
            texts: Room::default(),
            turn: AtomicUsize::new(0),
        }
    }

    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// How a host stands at `now`, Unix seconds.
    pub fn state(&self, host: &Host, now: i64) -> State {
        state(&host.heard(), &self.listening(), now)
    }

    /// Notes that hosts are listened to at `now`, Unix seconds; says since when without a break.
    pub fn listen(&self, now: i64) -> Run {
        self.listening.write().unwrap_or_else(PoisonError::into_inner).goes_on(now)
    }

    pub fn listening(&self) -> RwLockReadGuard<'_, Listening> {
        self.listening.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of what is known of a host.
    pub fn find(&self, hostname: &str) -> Option<Host> {
        self.shard_of(hostname).hosts.get(hostname).map(|host| Host::clone(host))
    }

    /// Looks at a host that is known.
    pub fn look<T>(&self, hostname: &str, look: impl FnOnce(&Host) -> T) -> Option<T> {
        self.shard_of(hostname).hosts.get(hostname).map(|host| look(host))
    }

    /// Forgets the hosts that have said nothing for so long at `now` (Unix seconds). A host that speaks seldom has as long
    /// again as it takes to be late.
    pub fn forget(&self, unheard: Duration, now: i64) -> Forgotten {
        let most = i64::try_from(unheard.as_secs()).unwrap_or(i64::MAX);
        // Where the machine has just slept, nobody was silent meanwhile.
        self.listen(now);
        let listening = self.listening().clone();
        let mut forgotten = Forgotten::default();
        for shard in &self.shards {
            let mut shard = locked(shard);
            let silent = |host: &Host| {
                let most = most.max(2 * host.heard().late_secs());
                listening.silence(host.last.into(), now) >= most
            };
            for (name, host) in shard.hosts.extract_if(.., |_, host| silent(host)).collect::<Vec<_>>() {
                self.let_go(&mut shard, &host);
                forgotten.note(&name);
            }
        }
        self.count.fetch_sub(forgotten.count, Ordering::Relaxed);
        forgotten
    }

    /// Forgets one host. Whether it was there.
    pub fn drop_host(&self, hostname: &str) -> bool {
        let mut shard = self.shard_of(hostname);
        let Some(host) = shard.hosts.remove(hostname) else { return false };
        self.let_go(&mut shard, &host);
        self.count.fetch_sub(1, Ordering::Relaxed);
        true
    }

    /// What the hosts of one shard say of `agent`; `None` for a host that does not report it. The end of the shards
    /// is the end of the list.
    pub fn scan(&self, shard: usize, agent: &str) -> Option<Vec<(Box<str>, Option<Reported>)>> {
        let shard = locked(self.shards.get(shard)?);
        Some(shard.hosts.iter().map(|(name, host)| (name.clone(), host.reported(agent))).collect())
    }

    /// Calls `each` for every host.
    pub fn visit(&self, mut each: impl FnMut(&str, &Host)) {
        self.visit_until(|hostname, host| {
            each(hostname, host);
            false
        });
    }

    /// Calls `is_enough` for every host until it is.
    pub fn visit_until(&self, mut is_enough: impl FnMut(&str, &Host) -> bool) {
        for shard in &self.shards {
            let mut ended = false;
            let mut each = |hostname: &str, host: &Host| {
                ended = is_enough(hostname, host);
                !ended
            };
            // Nobody said until when.
            let _ = list::walk(shard, Order::Ascending, None, None, &mut each);
            if ended {
                return;
            }
        }
    }

    /// Whether it is so of the machines of all hosts. Where they are of too many kinds to look at quickly: no.
    pub fn all_are(&self, is: impl Fn(&Facts) -> bool) -> bool {
        let mut kinds = 0;
        self.shards.iter().all(|shard| {
            let shard = locked(shard);
            kinds += shard.facts.len();
            kinds <= KINDS_MAX && shard.facts.all().all(&is)
        })
    }

    /// What all hosts said of themselves and of their agents takes so much, in bytes.
    pub fn texts_bytes(&self) -> usize {
        self.texts.taken()
    }

    /// A host is no more.
    fn let_go(&self, shard: &mut Shard, host: &Host) {
        self.pend_forgotten(shard, host);
        shard.facts.leave(&host.facts, &self.texts);
        shard.agents.leave(&host.agents, &self.texts);
    }

    fn shard_of(&self, hostname: &str) -> MutexGuard<'_, Shard> {
        // The remainder is below the number of shards.
        let index = self.hasher.hash_one(hostname) as usize % SHARDS;
        #[allow(clippy::indexing_slicing, reason = "there are SHARDS of them")]
        locked(&self.shards[index])
    }
}

impl Host {
    fn reported(&self, agent: &str) -> Option<Reported> {
        let index = self.agents.0.iter().position(|real| &*real.name == agent)?;
        let timestamp = self.looks.get(index).map_or(0, |look| look.at);
        Some(Reported { agents: self.agents.clone(), index, timestamp })
    }

    /// The machine that had this name before, when it changed hands twice of late (`now` in Unix seconds).
    pub fn rival(&self, now: i64) -> Option<(&Compact, &Address)> {
        let rival = self.rival.as_deref()?;
        let contested = rival.contested > 0 && now - i64::from(rival.contested) < CONTESTED_SECS.into();
        contested.then_some((&rival.machine, &rival.ip))
    }
}

/// Puts what the database has into memory.
pub struct Loader<'a> {
    fleet: &'a Fleet,
    facts: Read<Facts>,
    agents: Read<Agents>,
}

/// Texts that were read already: a million hosts share a few.
type Read<T> = HashMap<Box<str>, Arc<T>>;

/// Above this, texts are as many as hosts, and looking for them is in vain.
const TEXTS_MAX: usize = 10_000;

impl<'a> Loader<'a> {
    pub fn new(fleet: &'a Fleet) -> Self {
        Self { fleet, facts: HashMap::new(), agents: HashMap::new() }
    }

    /// One host. Texts that cannot be read count as empty: the next beat brings them back.
    pub fn load(&mut self, row: HostRow<impl AsRef<str>>) {
        let facts = read(&mut self.facts, row.facts.as_ref());
        let agents = read(&mut self.agents, row.agents.as_ref());
        let last = secs(row.last_seen);
        let looks = agents.0.iter().map(|_| Look { at: last, percent: NO_PERCENT }).collect();
        let mut shard = self.fleet.shard_of(&row.hostname);
        shard.facts.adopt(&facts, &self.fleet.texts);
        shard.agents.adopt(&agents, &self.fleet.texts);
        let host = Host {
            first: secs(row.first_seen),
            last,
            last_written: last,
            id: row.id,
            revived: secs(row.revived),
            pending: 0,
            report: row.report_hash,
            body: 0,
            generation: 0,
            answer: Remembered::default(),
            facts,
            agents,
            looks,
            ip: Address::of(&row.ip),
            machine: Compact::of(&row.machine_id),
            rival: None,
        };
        self.fleet.next_id.fetch_max(row.id.saturating_add(1), Ordering::Relaxed);
        match shard.hosts.insert(row.hostname, Box::new(host)) {
            None => drop(self.fleet.count.fetch_add(1, Ordering::Relaxed)),
            // Nobody writes a name twice; if it is there, the newer one is the host.
            Some(older) => self.fleet.let_go(&mut shard, &older),
        }
    }
}

fn read<T: Default + for<'de> serde::Deserialize<'de>>(known: &mut Read<T>, text: &str) -> Arc<T> {
    if let Some(value) = known.get(text) {
        return value.clone();
    }
    let value: Arc<T> = Arc::new(serde_json::from_str(text).unwrap_or_default());
    if known.len() < TEXTS_MAX {
        known.insert(text.into(), value.clone());
    }
    value
}

/// Unix milliseconds to Unix seconds, as they are kept in memory (to 2106).
fn secs(ms: i64) -> u32 {
    u32::try_from((ms / 1000).max(0)).unwrap_or(u32::MAX)
}

/// Nothing panics while a shard is locked; if it did, one host's last words would be old, and no more.
fn locked<T>(shard: &Mutex<T>) -> MutexGuard<'_, T> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
