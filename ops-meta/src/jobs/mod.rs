//! Jobs as this server carries them out: what hosts are told beside what is wanted of them, and what they answer.
//!
//! A beat looks into memory only. What changes is written behind by `work::jobs`; what is not written when this process is
//! killed costs that a host is told again, and it answers without doing it again.

mod ending;
mod making;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Guard};
use bytes::Bytes;
use ops_wire::{Action, ActionDone};
use tokio::sync::Notify;

use crate::domain::job::{Host, Job, Progress, Tell};
use crate::store::NewJob;
pub use making::{Made, NotMade, ToMake};

/// The longest code that is kept, in bytes.
const CODE_BYTES_MAX: usize = 64;

/// All that run.
#[derive(Default)]
pub struct Jobs {
    running: ArcSwap<Running>,
    turn: tokio::sync::Mutex<()>,
    /// There is one more, or one less.
    pub moved: Notify,
}

/// Those that run at a moment.
#[derive(Clone, Default)]
pub struct Running {
    jobs: BTreeMap<u64, Arc<One>>,
    /// The places of a host in jobs, which it hears of in the order in which they were made.
    by_host: HashMap<Box<str>, Vec<(Arc<One>, usize)>>,
}

/// One that runs.
pub struct One {
    pub job: Job,
    moving: Mutex<Moving>,
}

struct Moving {
    progress: Progress,
    /// Places of hosts that are not written as they are.
    unwritten: Vec<usize>,
    /// It is being ended: nothing changes any more.
    is_ending: bool,
}

impl Jobs {
    /// Those that ran when the last process ended.
    pub fn of(rows: Vec<NewJob>) -> Self {
        let jobs = rows.into_iter().map(|row| (row.job.id, Arc::new(One::new(row.job, row.hosts)))).collect();
        Self { running: ArcSwap::from_pointee(Running::of(jobs)), ..Self::default() }
    }

    pub fn running(&self) -> Guard<Arc<Running>> {
        self.running.load()
    }

    /// For whoever writes what is in memory: what is older is not to be written over what is newer.
    pub async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<u64, Arc<One>>)) {
        let mut jobs = self.running().jobs.clone();
        change(&mut jobs);
        self.running.store(Arc::new(Running::of(jobs)));
        self.moved.notify_one();
    }

    /// The answer to a host that beats at `now`, Unix milliseconds, with what it is to do once. Hosts without a job pay for
    /// one look.
    pub fn told(&self, hostname: &str, answer: Bytes, now: i64) -> Bytes {
        let running = self.running();
        let Some(places) = running.by_host.get(hostname) else { return answer };
        let actions: Vec<Action> = places.iter().filter_map(|(one, at)| one.told(*at, now)).collect();
        if actions.is_empty() { answer } else { with_actions(answer, &actions) }
    }

    /// What a host has done, as it says at `now`, Unix milliseconds.
    pub fn heard(&self, hostname: &str, done: &[ActionDone], now: i64) {
        if done.is_empty() {
            return;
        }
        let running = self.running();
        let Some(places) = running.by_host.get(hostname) else { return };
        for (one, at) in places {
            let answered = done.iter().find(|it| it.id == one.job.id);
            if let Some(answered) = answered {
                one.heard(*at, &answered.code, now);
            }
        }
    }
}

impl Running {
    fn of(jobs: BTreeMap<u64, Arc<One>>) -> Self {
        let mut by_host = HashMap::<Box<str>, Vec<(Arc<One>, usize)>>::new();
        for one in jobs.values() {
            for (at, host) in one.moving().progress.hosts().iter().enumerate() {
                by_host.entry(host.hostname.clone()).or_default().push((one.clone(), at));
            }
        }
        Self { jobs, by_host }
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<One>> {
        self.jobs.values()
    }

    pub fn get(&self, id: u64) -> Option<&Arc<One>> {
        self.jobs.get(&id)
    }
}

impl One {
    fn new(job: Job, hosts: Vec<Host>) -> Self {
        let progress = Progress::new(hosts, job.max_in_flight);
        Self { job, moving: Mutex::new(Moving { progress, unwritten: Vec::new(), is_ending: false }) }
    }

    fn moving(&self) -> MutexGuard<'_, Moving> {
        self.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at how far it is.
    pub fn look<T>(&self, look: impl FnOnce(&Progress) -> T) -> T {
        look(&self.moving().progress)
    }

    fn told(&self, at: usize, now: i64) -> Option<Action> {
        let mut moving = self.moving();
        if moving.is_ending || now >= self.job.expires {
            return None;
        }
        match moving.progress.tell(at, now) {
            Tell::Nothing => return None,
            Tell::First => moving.unwritten.push(at),
            Tell::Again => {}
        }
        let Job { id, kind, agent, .. } = &self.job;
        Some(Action { id: *id, kind: kind.to_string(), agent: agent.clone() })
    }

    fn heard(&self, at: usize, code: &str, now: i64) {
        let mut moving = self.moving();
        let code = code.get(..code.floor_char_boundary(CODE_BYTES_MAX)).unwrap_or_default();
        if !moving.is_ending && moving.progress.answered(at, code, now) {
            moving.unwritten.push(at);
        }
    }

    /// Hosts that are not written as they are; from now on they count as written.
    pub fn take_unwritten(&self) -> Vec<Host> {
        let mut moving = self.moving();
        let mut places = std::mem::take(&mut moving.unwritten);
        places.sort_unstable();
        places.dedup();
        places.into_iter().filter_map(|at| moving.progress.get(at).cloned()).collect()
    }

    /// They were not written.
    pub fn give_back(&self, hosts: &[Host]) {
        let mut moving = self.moving();
        let all = moving.progress.hosts();
        let place = |host: &Host| all.binary_search_by(|it| it.hostname.cmp(&host.hostname)).ok();
        let places: Vec<usize> = hosts.iter().filter_map(place).collect();
        moving.unwritten.extend(places);
    }
}

/// The body of an answer, with these beside what is in it: whether agents are in it is another question.
fn with_actions(answer: Bytes, actions: &[Action]) -> Bytes {
    // An action is numbers and checked words. An answer that is no object has nothing beside it.
    let (Ok(actions), Some(open)) = (serde_json::to_string(actions), answer.strip_suffix(b"}")) else {
        return answer;
    };
    let comma = if open.ends_with(b"{") { "" } else { "," };
    [open, comma.as_bytes(), br#""actions":"#, actions.as_bytes(), b"}"].concat().into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::domain::job::{Kind, State};

    fn action() -> Action {
        Action { id: 7, kind: "restart".to_owned(), agent: "a".to_owned() }
    }

    #[test]
    fn actions_stand_beside_what_is_in_the_answer() {
        for answer in [
            r#"{"errorMessage":"","desiredAgents":[]}"#,
            r#"{"errorMessage":"","desiredAgents":[{"name":"a","version":"1"}],"generation":3}"#,
            "{}",
        ] {
            let with = with_actions(Bytes::from(answer), &[action()]);
            let (mut with, before): (serde_json::Value, serde_json::Value) =
                (serde_json::from_slice(&with).unwrap(), serde_json::from_str(answer).unwrap());
            let actions = with.as_object_mut().unwrap().remove("actions").unwrap();
            assert_eq!(actions, serde_json::json!([{"id": 7, "kind": "restart", "agent": "a"}]));
            assert_eq!(with, before);
        }
    }

    fn one(hosts: &[&str]) -> One {
        let job = Job {
            id: 7,
            kind: Kind::Report,
            agent: String::new(),
            max_in_flight: None,
            note: String::new(),
            actor: String::new(),
            created: 0,
            expires: 1000,
        };
        One::new(job, hosts.iter().map(|name| Host::new(*name)).collect())
    }

    fn names(hosts: &[Host]) -> Vec<&str> {
        hosts.iter().map(|host| &*host.hostname).collect()
    }

    #[test]
    fn what_was_not_written_is_written_later_and_once() {
        let one = one(&["a", "b", "c"]);
        one.told(0, 1);
        one.told(2, 2);
        one.heard(2, "", 3);
        let taken = one.take_unwritten();
        assert_eq!((names(&taken), one.take_unwritten().len()), (vec!["a", "c"], 0));
        one.heard(0, &"x".repeat(100), 4);
        one.give_back(&taken);
        let taken = one.take_unwritten();
        assert_eq!(names(&taken), ["a", "c"]);
        assert_eq!(taken.first().map(|host| host.code.len()), Some(CODE_BYTES_MAX), "as it is by now");
    }

    #[test]
    fn one_that_ends_changes_nothing_more_unless_it_goes_on() {
        let one = one(&["a", "b", "c"]);
        one.told(0, 1);
        let end = one.ends(State::Stopped);
        assert_eq!((names(&end.hosts), end.outcome.counts.sent), (vec!["a"], 1));
        one.heard(0, "", 2);
        assert!(one.told(1, 2).is_none() && one.take_unwritten().is_empty());
        one.goes_on(&end);
        assert!(one.told(1, 3).is_some() && one.told(2, 1000).is_none(), "its time is over");
        assert_eq!(names(&one.take_unwritten()), ["a", "b"]);
        assert_eq!((one.end_at(999), one.end_at(1000)), (None, Some(State::Expired)));
        let end = one.ends(State::Expired);
        assert_eq!((names(&end.hosts), end.outcome.counts.expired), (vec!["a", "b", "c"], 3));
        one.goes_on(&end);
        assert_eq!(one.end_at(1000), Some(State::Expired), "it is tried again");
    }

    #[test]
    fn what_is_no_object_stays_as_it_is() {
        let answer = Bytes::from_static(b"[]");
        assert_eq!(with_actions(answer.clone(), &[action()]), answer);
    }
}
