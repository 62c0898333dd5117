//! All groups and policies, ranked.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

use ops_wire::{AgentName, Version};

use super::index::Index;
use super::{Decision, Group, Policy, Scope};
use crate::domain::selector::HostFacts;

/// Groups and policies that nowhere contradict each other. In which order they were given does not matter.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    default: Vec<Policy>,
    /// The strongest first, each with its policies. Its place is its number.
    groups: Vec<(Group, Vec<Policy>)>,
    index: Index,
    hosts: HashMap<Box<str>, Vec<Policy>>,
    /// Groups that make a difference without a policy: a freeze is of them.
    frozen: BTreeSet<u32>,
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
        groups.sort_by(|a, b| (b.priority, &b.name).cmp(&(a.priority, &a.name)));
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
        let groups: Vec<_> = groups.collect();
        let index = Index::new(groups.iter().map(|(group, _)| &group.selector));
        let host = |(scope, policies)| match scope {
            Scope::Host(hostname) => Some((hostname, policies)),
            _ => None,
        };
        let hosts = scopes.into_iter().filter_map(host).collect();
        Ok(Self { default, groups, index, hosts, frozen: BTreeSet::new() })
    }

    /// The same, where it makes a difference whether a host is in these groups.
    pub fn freezing<'a>(&self, groups: impl Iterator<Item = &'a str>) -> Self {
        let number = |name: &str| (0..).zip(&self.groups).find(|(_, (group, _))| *group.name == *name);
        let frozen = groups.filter_map(|name| number(name).map(|(number, _)| number)).collect();
        Self { frozen, ..self.clone() }
    }

    /// The strongest first.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter().map(|(group, _)| group)
    }

    pub fn has_policies(&self, name: &str) -> bool {
        self.groups.iter().any(|(group, policies)| *group.name == *name && !policies.is_empty())
    }

    pub fn group_called(&self, name: &str) -> Option<&Group> {
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

    pub fn policy(&self, agent: &AgentName, scope: &Scope) -> Option<&Policy> {
        self.policies().find(|policy| policy.agent == *agent && policy.scope == *scope)
    }

    /// How strong the policies of a scope are: the larger wins. All of single hosts are as strong as each other.
    pub fn strength(&self, scope: &Scope) -> usize {
        match scope {
            Scope::Default => 0,
            Scope::Group(name) => {
                let place = self.groups.iter().position(|(group, _)| group.name == *name);
                place.map_or(0, |place| self.groups.len() - place)
            }
            Scope::Host(_) => self.groups.len() + 1,
        }
    }

    /// Whether some policy names this version.
    pub fn orders(&self, agent: &AgentName, version: &Version) -> bool {
        self.policies().any(|it| it.agent == *agent && it.order.version.as_ref() == Some(version))
    }

    /// The groups that a host is in, the weakest first.
    pub fn groups_of(&self, host: &HostFacts<'_>) -> impl Iterator<Item = &Group> {
        let mut groups = Vec::new();
        self.find(host, |_| true, &mut groups);
        groups.into_iter().rev().filter_map(|number| self.group(number)).map(|(group, _)| group)
    }

    /// The numbers of the deciding groups that a host is in, the strongest first. Hosts with the same numbers, and
    /// with no policy of their own, should run the same. `into` is cleared; once it is large enough, nothing allocates.
    pub fn deciding_groups(&self, host: &HostFacts<'_>, into: &mut Vec<u32>) {
        self.find(host, |number| self.decides(number), into);
    }

    /// A group with policies, with windows, or of which a freeze is.
    fn decides(&self, number: u32) -> bool {
        let of_itself =
            |(group, policies): &(Group, Vec<Policy>)| !policies.is_empty() || !group.windows.is_empty();
        self.group(number).is_some_and(of_itself) || self.frozen.contains(&number)
    }

    /// Whether there is a policy for this host alone.
    pub fn has_own(&self, hostname: &str) -> bool {
        self.hosts.contains_key(hostname)
    }

    /// The policies for this host alone.
    pub fn own(&self, hostname: &str) -> impl Iterator<Item = &Policy> {
        self.hosts.get(hostname).into_iter().flatten()
    }

    /// The names of groups.
    pub fn names<'a>(&'a self, groups: &'a [u32]) -> impl Iterator<Item = &'a str> + Clone {
        groups.iter().filter_map(|&number| self.group(number)).map(|(group, _)| &*group.name)
    }

    /// What should run on a host that is in these of the deciding groups, by the names of the agents; `instead` take the
    /// place of policies of the same agent and scope. One for this host alone need not be in the place of another.
    pub fn decide_with<'a>(
        &'a self,
        groups: &[u32],
        hostname: &str,
        instead: &[&'a Policy],
    ) -> Vec<Decision<'a>> {
        let is_new = |it: &&&Policy| {
            let is_own = matches!(&it.scope, Scope::Host(name) if **name == *hostname);
            is_own && self.own(hostname).all(|own| own.agent != it.agent)
        };
        let new = instead.iter().filter(is_new).copied();
        let groups = groups.iter().filter_map(|&number| self.group(number));
        let groups = groups.flat_map(|(_, policies)| policies);
        let strongest_first = new.chain(self.own(hostname)).chain(groups).chain(&self.default);
        let mut agents: BTreeMap<&AgentName, Vec<&Policy>> = BTreeMap::new();
        for policy in strongest_first {
            let other = instead.iter().find(|it| it.agent == policy.agent && it.scope == policy.scope);
            let policy = other.copied().unwrap_or(policy);
            agents.entry(&policy.agent).or_default().push(policy);
        }
        agents.into_iter().map(|(agent, policies)| Decision::of(agent, policies)).collect()
    }

    /// What should run on a host, by the names of the agents. Looks at the groups that it can be in, and at no policy
    /// but the host's.
    #[allow(dead_code, reason = "tests and benches ask for one host; the server knows its kind")]
    pub fn decide(&self, host: &HostFacts<'_>) -> Vec<Decision<'_>> {
        let mut groups = Vec::new();
        self.deciding_groups(host, &mut groups);
        self.decide_with(&groups, host.hostname, &[])
    }

    /// The deciding groups, and their numbers.
    pub(super) fn deciding(&self) -> impl Iterator<Item = (u32, &Group)> {
        let numbered = (0..).zip(&self.groups);
        numbered.filter(|(number, _)| self.decides(*number)).map(|(number, (group, _))| (number, group))
    }

    pub(super) fn group(&self, number: u32) -> Option<&(Group, Vec<Policy>)> {
        self.groups.get(number as usize)
    }

    /// Those of a host that are asked for, the strongest first.
    fn find(&self, host: &HostFacts<'_>, asked: impl Fn(u32) -> bool, found: &mut Vec<u32>) {
        found.clear();
        self.index.find(host, found);
        found.retain(|&number| {
            asked(number) && self.group(number).is_some_and(|(group, _)| group.selector.matches(host))
        });
        found.sort_unstable();
        found.dedup();
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
