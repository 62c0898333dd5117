//! All groups and policies, ranked.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

use ops_wire::{AgentName, Version};

use super::{Decision, Group, Policy, Scope};
use crate::domain::selector::HostFacts;

/// Groups and policies that nowhere contradict each other. In which order they were given does not matter.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    default: Vec<Policy>,
    /// The weakest first, each with its policies.
    groups: Vec<(Group, Vec<Policy>)>,
    hosts: HashMap<Box<str>, Vec<Policy>>,
}

/// Why rules are none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    GroupTwice(Box<str>),
    PolicyTwice(AgentName, Scope),
    /// The policy of this agent is for a group that is not there.
    NoGroup(AgentName, Box<str>),
}

impl Rules {
    /// # Errors
    /// Every fault.
    pub fn new(mut groups: Vec<Group>, policies: Vec<Policy>) -> Result<Self, BTreeSet<Fault>> {
        let faults = faults(&groups, &policies);
        if !faults.is_empty() {
            return Err(faults);
        }
        groups.sort_by(|a, b| (a.priority, &a.name).cmp(&(b.priority, &b.name)));
        let mut scopes: HashMap<Scope, Vec<Policy>> = HashMap::new();
        for policy in policies {
            scopes.entry(policy.scope.clone()).or_default().push(policy);
        }
        let mut of = |scope| scopes.remove(&scope).unwrap_or_default();
        let default = of(Scope::Default);
        let groups = groups.into_iter().map(|group| {
            let policies = of(Scope::Group(group.name.clone()));
            (group, policies)
        });
        let groups = groups.collect();
        let host = |(scope, policies)| match scope {
            Scope::Host(hostname) => Some((hostname, policies)),
            _ => None,
        };
        Ok(Self { default, groups, hosts: scopes.into_iter().filter_map(host).collect() })
    }

    /// The weakest first.
    pub fn groups(&self) -> impl DoubleEndedIterator<Item = &Group> {
        self.groups.iter().map(|(group, _)| group)
    }

    pub fn has_policies(&self, name: &str) -> bool {
        self.groups.iter().any(|(group, policies)| *group.name == *name && !policies.is_empty())
    }

    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().map(|(group, _)| group).find(|group| *group.name == *name)
    }

    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        let groups = self.groups.iter().flat_map(|(_, policies)| policies);
        self.default.iter().chain(groups).chain(self.hosts.values().flatten())
    }

    /// Of whom some policy is.
    pub fn agents(&self) -> HashSet<&AgentName> {
        self.policies().map(|policy| &policy.agent).collect()
    }

    /// Whether some policy names this version.
    pub fn orders(&self, agent: &AgentName, version: &Version) -> bool {
        self.policies().any(|it| it.agent == *agent && it.order.version.as_ref() == Some(version))
    }

    /// The groups that a host is in, the weakest first.
    pub fn groups_of(&self, host: &HostFacts<'_>) -> impl Iterator<Item = &Group> {
        self.groups.iter().map(|(group, _)| group).filter(|group| group.selector.matches(host))
    }

    pub fn deciding_groups(&self, host: &HostFacts<'_>) -> Vec<u32> {
        let all = self.groups.iter().enumerate().rev();
        let all = all.filter(|(_, (group, policies))| !policies.is_empty() && group.selector.matches(host));
        all.map(|(n, _)| n as u32).collect()
    }

    pub fn has_own(&self, hostname: &str) -> bool {
        self.hosts.contains_key(hostname)
    }

    pub fn decide_in(&self, groups: &[u32], hostname: &str) -> Vec<Decision<'_>> {
        let own = self.hosts.get(hostname).into_iter();
        let groups = groups.iter().filter_map(|n| self.groups.get(*n as usize)).map(|(_, policies)| policies);
        let mut agents: BTreeMap<&AgentName, Vec<&Policy>> = BTreeMap::new();
        for policy in own.chain(groups).chain([&self.default]).flatten() {
            agents.entry(&policy.agent).or_default().push(policy);
        }
        agents.into_iter().map(|(agent, policies)| Decision::of(agent, policies)).collect()
    }

    /// What should run on a host, by the names of the agents. Looks at every group with policies, and at no policy but
    /// the host's.
    pub fn decide(&self, host: &HostFacts<'_>) -> Vec<Decision<'_>> {
        let own = self.hosts.get(host.hostname).into_iter();
        let groups = self.groups.iter().rev();
        let groups = groups.filter(|(group, policies)| !policies.is_empty() && group.selector.matches(host));
        let strongest_first = own.chain(groups.map(|(_, policies)| policies)).chain([&self.default]);
        let mut agents: BTreeMap<&AgentName, Vec<&Policy>> = BTreeMap::new();
        for policy in strongest_first.flatten() {
            agents.entry(&policy.agent).or_default().push(policy);
        }
        agents.into_iter().map(|(agent, policies)| Decision::of(agent, policies)).collect()
    }
}

fn faults(groups: &[Group], policies: &[Policy]) -> BTreeSet<Fault> {
    let mut faults = BTreeSet::new();
    let mut names = BTreeSet::new();
    for Group { name, .. } in groups {
        if !names.insert(name) {
            faults.insert(Fault::GroupTwice(name.clone()));
        }
    }
    let mut scopes = BTreeSet::new();
    for Policy { agent, scope, .. } in policies {
        if !scopes.insert((agent, scope)) {
            faults.insert(Fault::PolicyTwice(agent.clone(), scope.clone()));
        }
        match scope {
            Scope::Group(name) if !names.contains(name) => {
                faults.insert(Fault::NoGroup(agent.clone(), name.clone()));
            }
            _ => {}
        }
    }
    faults
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GroupTwice(name) => write!(f, "there are two groups {name}; call one otherwise"),
            Self::PolicyTwice(agent, scope) => {
                write!(f, "there are two policies of {agent} for {scope}; make them one")
            }
            Self::NoGroup(agent, name) => {
                write!(
                    f,
                    "a policy of {agent} is for group {name}, which is not there; make it, or name another"
                )
            }
        }
    }
}
