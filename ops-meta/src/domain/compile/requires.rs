//! What packages require of each other, on one host.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};

use ops_package::{Comparison, Requirement};
use ops_wire::{AgentName, Cmd, Phase, Status, Version};

use super::{Stocked, Withheld};
use crate::domain::conformity::Real;
use crate::domain::precedence::Decision;
use crate::domain::version_order;

type Found<'a> = (Decision<'a>, Result<Option<&'a Stocked>, Withheld>);

/// Withholds what requires something that is not ordered, and then what requires that.
pub fn checked(mut all: Vec<Found<'_>>) -> Vec<Found<'_>> {
    loop {
        let unmet: Vec<_> = {
            let started = all.iter().filter(|(it, found)| found.is_ok() && it.order.cmd == Cmd::Start);
            let versions: HashMap<&AgentName, &Version> =
                started.filter_map(|(it, _)| Some((it.agent, it.order.version.as_ref()?))).collect();
            all.iter().enumerate().filter_map(|(n, one)| Some((n, unmet(one, &versions)?))).collect()
        };
        if unmet.is_empty() {
            return all;
        }
        for (n, why) in unmet {
            if let Some((_, found)) = all.get_mut(n) {
                *found = Err(why);
            }
        }
    }
}

fn unmet((decision, found): &Found<'_>, started: &HashMap<&AgentName, &Version>) -> Option<Withheld> {
    let stocked = found.as_ref().ok().copied().flatten()?;
    stocked.requires.iter().find_map(|(agent, requirement)| {
        let version = started.get(agent).copied();
        if version.is_some_and(|version| meets(version.as_str(), requirement)) {
            return None;
        }
        Some(Withheld::Requires(
            decision.agent.clone(),
            decision.order.version.clone()?,
            agent.clone(),
            requirement.clone(),
            version.cloned(),
        ))
    })
}

/// What one agent's package requires to run before it is told to a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    agent: AgentName,
    version: Version,
    requires: Vec<(AgentName, Requirement)>,
    /// It requires others besides, which require it.
    is_mutual: bool,
}

impl Need {
    pub fn agent(&self) -> &AgentName {
        &self.agent
    }

    /// All that has to be ordered; `None`: some of it requires this, and can only come together with it.
    pub fn requires(&self) -> Option<&[(AgentName, Requirement)]> {
        (!self.is_mutual).then_some(&self.requires)
    }

    /// What a host lacks of it, by what it says of agents. One that has the version keeps it, whatever became of the
    /// others.
    pub fn unmet<'a>(&self, real: impl Fn(&str) -> Option<Real<'a>>) -> Option<Withheld> {
        if real(self.agent.as_str()).is_some_and(|it| it.version == self.version.as_str()) {
            return None;
        }
        let runs = |agent: &AgentName, requirement: &Requirement| {
            // On trial it may still be taken back.
            let lasts = |it: &Real<'_>| *it.status == Status::Started && it.phase != Some(Phase::Trial);
            real(agent.as_str()).filter(lasts).is_some_and(|it| meets(it.version, requirement))
        };
        let (required, requirement) = self.requires.iter().find(|(agent, it)| !runs(agent, it))?;
        let (agent, version) = (self.agent.clone(), self.version.clone());
        Some(Withheld::NotRunning(agent, version, required.clone(), requirement.clone()))
    }
}

/// For each of them what has to run before. Agents that require each other begin together: none could be the first.
pub fn needs(all: &[Found<'_>]) -> Vec<Option<Need>> {
    let mut edges = HashMap::new();
    for (decision, found) in all {
        if let Some(stocked) = found.as_ref().ok().copied().flatten().filter(|it| !it.requires.is_empty()) {
            edges.insert(decision.agent, &stocked.requires);
        }
    }
    let leads_to = |from: &AgentName, to: &AgentName| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(agent) = next.pop() {
            if agent == to {
                return true;
            }
            if seen.insert(agent) {
                next.extend(edges.get(agent).into_iter().flat_map(|it| it.keys()));
            }
        }
        false
    };
    let need = |(decision, _): &Found<'_>| {
        let (agent, version) = (decision.agent, decision.order.version.clone()?);
        let all = edges.get(agent)?;
        let requires = all.iter().filter(|(required, _)| !leads_to(required, agent));
        let requires: Vec<_> = requires.map(|(required, it)| (required.clone(), it.clone())).collect();
        let is_mutual = requires.len() < all.len();
        (!requires.is_empty()).then(|| Need { agent: agent.clone(), version, requires, is_mutual })
    };
    all.iter().map(need).collect()
}

/// Whether a version will do.
pub fn meets(version: &str, requirement: &Requirement) -> bool {
    let Requirement::Compared(comparison, wanted) = requirement else { return true };
    let order = version_order::compare(version, wanted.as_str());
    match comparison {
        Comparison::Is => order == Ordering::Equal,
        Comparison::Newer => order == Ordering::Greater,
        Comparison::NotOlder => order != Ordering::Less,
        Comparison::Older => order == Ordering::Less,
        Comparison::NotNewer => order != Ordering::Greater,
    }
}
