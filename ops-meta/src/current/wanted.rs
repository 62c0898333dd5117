//! What is wanted of hosts that get the same answer, as prepared bytes.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use ops_wire::{AgentName, Answer, DesiredAgent};

use super::Reports;
use crate::domain::compile::{Need, Ordered, Withheld};

/// So many ways in which hosts lack what packages require are kept.
const LACKING_MAX: usize = 64;

#[derive(Debug)]
pub struct Wanted {
    pub agents: Vec<DesiredAgent>,
    /// What was decided, too, and is not told.
    pub withheld: Vec<(AgentName, Withheld)>,
    /// The body of the answer; cheap to clone.
    pub answer: Bytes,
    generation: u64,
    /// What has to run on a host before it is told of some of the agents.
    needs: Box<[Need]>,
    /// What is wanted of hosts that lack some of it, by its places in `needs`.
    lacking: RwLock<HashMap<Box<[usize]>, Arc<Wanted>>>,
}

impl Wanted {
    pub(super) fn of(ordered: Vec<Ordered<'_>>, generation: u64) -> Arc<Self> {
        let (mut agents, mut withheld, mut needs) = (Vec::new(), Vec::new(), Vec::new());
        for Ordered { decision, told, needs: need } in ordered {
            match told {
                Ok(agent) => agents.push(agent),
                Err(why) => withheld.push((decision.agent.clone(), why)),
            }
            needs.extend(need);
        }
        Arc::new(Self { needs: needs.into(), ..Self::prepared(agents, withheld, generation) })
    }

    pub(super) fn prepared(
        agents: Vec<DesiredAgent>,
        withheld: Vec<(AgentName, Withheld)>,
        generation: u64,
    ) -> Self {
        let answer = Answer { desired_agents: agents, generation: Some(generation), ..Answer::default() };
        // Nothing in it is what JSON has not; an empty object would mean "no change".
        let bytes = serde_json::to_vec(&answer).unwrap_or_else(|_| b"{}".to_vec()).into();
        let (needs, lacking) = (Box::default(), RwLock::default());
        Self { agents: answer.desired_agents, withheld, answer: bytes, generation, needs, lacking }
    }

    /// What is told now: without what has to wait on this host until something else runs there.
    pub fn where_it_runs(self: Arc<Self>, reports: Reports<'_>) -> Arc<Self> {
        let real = |agent: &str| reports(agent).map(|it| it.real);
        let unmet = self.needs.iter().enumerate();
        let unmet: Vec<_> = unmet.filter_map(|(n, need)| Some((n, need.unmet(real)?))).collect();
        if unmet.is_empty() {
            return self;
        }
        let key: Box<[usize]> = unmet.iter().map(|(n, _)| *n).collect();
        let known = self.lacking.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        known.unwrap_or_else(|| {
            let lacks = |agent: &AgentName| {
                key.iter().any(|n| self.needs.get(*n).is_some_and(|need| need.agent() == agent))
            };
            let agents = self.agents.iter().filter(|it| !lacks(&it.name)).cloned().collect();
            let waits =
                unmet.into_iter().filter_map(|(n, why)| Some((self.needs.get(n)?.agent().clone(), why)));
            let withheld = self.withheld.iter().cloned().chain(waits).collect();
            let wanted = Arc::new(Self::prepared(agents, withheld, self.generation));
            let mut all = self.lacking.write().unwrap_or_else(PoisonError::into_inner);
            if all.len() < LACKING_MAX {
                all.insert(key, wanted.clone());
            }
            wanted
        })
    }
}
