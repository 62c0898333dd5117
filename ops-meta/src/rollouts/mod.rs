//! Rollouts as this server carries them out: which there are, how their hosts fare, and every change of them, by people
//! and by itself.

mod installing;
mod looking;
mod memory;
mod moving;
mod seen;
mod starting;
mod trying;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ops_wire::AgentName;
use tokio::sync::Notify;

use crate::domain::desired::{Desired, Difference, Fault, Object};
use crate::domain::precedence::Scope;
use crate::domain::rollout::{Plan, PlanText, Progress, Rollout, State, Whose};
use crate::domain::selector::Lists;
use crate::store::{RolloutRow, StoreError};
pub use installing::Install;
pub use looking::{Counted, Scanned, of_rollout, scan};
pub use memory::{Looked, Looking, Memory, One, Reported};
pub use seen::{Ended, Seen, WaveEnded};
pub use starting::{Start, Started, ToStart};
pub use trying::Tried;

/// Rollouts of which it is remembered how their hosts fared, the newest.
const SEEN_MAX: usize = 1000;

/// One rollout that tells hosts something, or will.
#[derive(Debug, Clone)]
pub struct Written {
    pub id: u64,
    pub text: PlanText,
    pub plan: Plan,
    pub progress: Progress,
}

/// All of them, by their ids.
#[derive(Debug, Clone, Default)]
pub struct Rollouts(BTreeMap<u64, Arc<Written>>);

/// What is seen of them, and what is remembered from one look to the next.
#[derive(Default)]
pub struct Looks {
    memories: Mutex<BTreeMap<u64, Memory>>,
    last: Mutex<BTreeMap<u64, Arc<Seen>>>,
    /// When each moved hosts last, in Unix seconds.
    moved_at: Mutex<BTreeMap<u64, i64>>,
    /// Somebody changed something: it is time to look.
    pub moved: Notify,
}

impl Written {
    /// What is in the database was checked before it came in.
    pub fn read(row: RolloutRow, lists: &Lists) -> Result<Self, StoreError> {
        let damaged = |why: &dyn fmt::Display| StoreError::Damaged(format!("rollout {}: {why}", row.id));
        let text: PlanText = serde_json::from_value(row.plan).map_err(|why| damaged(&why))?;
        let plan = Plan::check(&text, lists).map_err(|faults| match faults.first() {
            Some(first) => damaged(first),
            None => damaged(&"its plan is wrong"),
        })?;
        let progress = serde_json::from_value(row.progress).map_err(|why| damaged(&why))?;
        Ok(Self { id: row.id, text, plan, progress })
    }

    pub fn rollout(&self) -> Rollout {
        Rollout { id: self.id, plan: self.plan.clone(), progress: self.progress.clone() }
    }

    /// Whether it changes this policy.
    fn is_of(&self, object: &Object) -> bool {
        let Object::Policy(agent, group, host) = object else { return false };
        let PlanText { agent: of, group: of_group, host: of_host, .. } = &self.text;
        of == agent
            && match &self.plan.whose {
                Whose::Policy(_) => of_group == group && of_host == host,
                Whose::Hosts(hosts) => hosts.contains(host.as_str()),
            }
    }

    /// The policies that it changes: `policy my-agent for group prod`.
    pub fn changes(&self) -> String {
        let PlanText { agent, group, host, .. } = &self.text;
        match &self.plan.whose {
            Whose::Policy(_) => Object::Policy(agent.clone(), group.clone(), host.clone()).to_string(),
            whose => format!("{agent} on {whose}"),
        }
    }

    fn is_over(&self) -> bool {
        self.progress.state.is_over()
    }

    /// Hosts are led to what it is to change, or will be once somebody resumes it, or approves its next wave.
    fn brings_its_target(&self) -> bool {
        matches!(self.progress.state, State::Running | State::AwaitingApproval | State::Paused)
    }
}

impl Rollouts {
    pub fn read(rows: Vec<RolloutRow>, desired: &Desired) -> Result<Self, StoreError> {
        let read = rows.into_iter().map(|row| Written::read(row, desired.lists()));
        let all = read.map(|written| written.map(|it| (it.id, Arc::new(it))));
        all.collect::<Result<_, _>>().map(Self)
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<Written>> {
        self.0.values()
    }

    pub fn get(&self, id: u64) -> Option<&Arc<Written>> {
        self.0.get(&id)
    }

    /// Whether one is of this agent.
    pub fn are_of(&self, agent: &AgentName) -> bool {
        self.all().any(|it| it.plan.agent == *agent)
    }

    /// As the domain knows them.
    pub fn rollouts(&self) -> impl Iterator<Item = Rollout> {
        self.all().map(|it| it.rollout())
    }

    /// Those that change a policy that this one changes.
    fn like<'a>(&'a self, other: &'a Written) -> impl Iterator<Item = &'a Arc<Written>> {
        let is_like = |it: &&Arc<Written>| match (&it.plan.whose, &other.plan.whose) {
            _ if it.plan.agent != other.plan.agent => false,
            (Whose::Hosts(some), Whose::Hosts(others)) => !some.is_disjoint(others),
            (Whose::Policy(Scope::Host(host)), Whose::Hosts(hosts))
            | (Whose::Hosts(hosts), Whose::Policy(Scope::Host(host))) => hosts.contains(host),
            (one, other) => one == other,
        };
        self.all().filter(is_like)
    }

    pub fn with(&self, written: Written) -> Self {
        let mut new = self.clone();
        new.0.insert(written.id, Arc::new(written));
        new
    }

    pub fn without(&self, ids: &[u64]) -> Self {
        let mut new = self.clone();
        new.0.retain(|id, _| !ids.contains(id));
        new
    }

    /// What becomes of them by an edit: those that were stopped, and whose policy is edited, end. Why it cannot be
    /// edited, where one of them is not over.
    pub fn after(&self, differences: &[Difference], desired: &Desired) -> Result<(Self, Vec<u64>), String> {
        let edited = |it: &&Arc<Written>| differences.iter().any(|one| it.is_of(&one.object));
        let edited: Vec<_> = self.all().filter(edited).collect();
        if let Some(busy) = edited.iter().find(|it| !it.is_over()) {
            return Err(format!("{} is being changed by {busy}", busy.changes()));
        }
        let ended: Vec<u64> = edited.iter().map(|it| it.id).collect();
        let mut new = self.without(&ended);
        // Their waves may name lists.
        for written in new.0.values_mut() {
            match Plan::check(&written.text, desired.lists()) {
                Ok(plan) if plan == written.plan => {}
                // Hosts below a threshold would begin at once, whatever the limits are, and others go back midway.
                Ok(_) if !written.is_over() => return Err(format!("it would change the waves of {written}")),
                Ok(plan) => *written = Arc::new(Written { plan, ..(**written).clone() }),
                Err(faults) => {
                    let why = faults.first().map(Fault::to_string).unwrap_or_default();
                    return Err(format!("the waves of {written}; they would be wrong: {why}"));
                }
            }
        }
        Ok((new, ended))
    }
}

impl Looks {
    pub fn memories(&self) -> MutexGuard<'_, BTreeMap<u64, Memory>> {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was seen of a rollout when it was last looked at.
    pub fn of(&self, id: u64) -> Option<Arc<Seen>> {
        self.last().get(&id).cloned()
    }

    fn last(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Seen>>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on other hosts are told, `now` in Unix seconds.
    pub fn moves(&self, id: u64, now: i64) {
        self.moved_at.lock().unwrap_or_else(PoisonError::into_inner).insert(id, now);
    }

    pub fn moved_at(&self, id: u64) -> Option<i64> {
        self.moved_at.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied()
    }

    pub fn note(&self, id: u64, seen: Seen) {
        let mut last = self.last();
        last.insert(id, Arc::new(seen));
        if last.len() > SEEN_MAX {
            last.pop_first();
        }
    }
}

/// `rollout 3, which is running: stop or rollback ends it`
impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.progress.state;
        write!(f, "rollout {}, which is {state}", self.id)?;
        match state.is_over() {
            true => write!(f, "; take it back (`rollback`), or edit its policy"),
            false => write!(f, "; wait for its end, or end it (`stop`, `rollback`)"),
        }
    }
}
