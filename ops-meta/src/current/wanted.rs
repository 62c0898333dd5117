//! What is wanted of hosts that get the same answer, as prepared bytes.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use ops_wire::{AgentName, Answer, Cmd, DesiredAgent};

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
    /// What is told to hosts that lack some of it.
    lacking: RwLock<HashMap<Box<[Key]>, Arc<Wanted>>>,
}

/// A place in `needs`, and the version of the agent that the host has.
type Key = (usize, Box<str>);

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

    /// What is told now. What has to wait on this host until something else runs there stays at the version that it has, and
    /// is started again where that ends; `goes_back`: of what is taken back nothing waits.
    pub(super) fn where_it_runs(
        self: Arc<Self>,
        reports: Reports<'_>,
        goes_back: impl Fn(&AgentName) -> bool,
    ) -> Arc<Self> {
        let real = |agent: &str| reports(agent).map(|it| it.real);
        let unmet = self.needs.iter().enumerate().filter(|(_, need)| !goes_back(need.agent()));
        let unmet = unmet.filter_map(|(n, need)| {
            let has = real(need.agent().as_str()).map_or("", |it| it.version);
            Some(Lack { place: n, has: has.into(), why: need.unmet(real)? })
        });
        let unmet: Vec<Lack> = unmet.collect();
        if unmet.is_empty() {
            return self;
        }
        let key: Box<[Key]> = unmet.iter().map(|it| (it.place, it.has.clone())).collect();
        let known = self.lacking.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        known.unwrap_or_else(|| {
            let wanted = Arc::new(self.without(&unmet));
            let mut all = self.lacking.write().unwrap_or_else(PoisonError::into_inner);
            if all.len() < LACKING_MAX {
                all.insert(key, wanted.clone());
            }
            wanted
        })
    }

    fn without(&self, unmet: &[Lack]) -> Self {
        let lack = |agent: &AgentName| {
            unmet.iter().find(|it| self.needs.get(it.place).is_some_and(|need| need.agent() == agent))
        };
        let told = |agent: &DesiredAgent| match lack(&agent.name) {
            None => Some(agent.clone()),
            Some(lack) => kept(agent, &lack.has),
        };
        let agents = self.agents.iter().filter_map(told).collect();
        let waits =
            unmet.iter().filter_map(|it| Some((self.needs.get(it.place)?.agent().clone(), it.why.clone())));
        let withheld = self.withheld.iter().cloned().chain(waits).collect();
        Self::prepared(agents, withheld, self.generation)
    }
}

/// Something that a host lacks.
struct Lack {
    /// Among what is needed.
    place: usize,
    /// The version of the agent that has to wait; empty: none.
    has: Box<str>,
    why: Withheld,
}

/// Of an agent that waits, the version that the host has.
fn kept(agent: &DesiredAgent, has: &str) -> Option<DesiredAgent> {
    let (name, version) = (agent.name.clone(), has.parse().ok()?);
    let run_user = agent.run_user.clone();
    Some(DesiredAgent { run_user, ..DesiredAgent::new(name, version, agent.tarball.clone(), Cmd::Start) })
}
