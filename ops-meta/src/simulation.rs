//! What a change would do: every known host is asked what it is told now, and what it would be told.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use ops_wire::{AgentName, DesiredAgent};
use serde::Serialize;
use utoipa::ToSchema;

use crate::current::{Current, Wanted};
use crate::domain::compile::Withheld;
use crate::domain::freeze::Freeze;
use crate::domain::nearest::nearest;
use crate::domain::precedence::Group;
use crate::fleet::{Facts, Fleet, Host};

/// Hosts that are named, of each move.
const NAMED_MAX: usize = 10;
/// Moves that are told.
const ROWS_MAX: usize = 200;
/// Kinds of hosts that are kept in mind.
const KINDS_MAX: usize = 100_000;

/// Changed groups whose hosts are looked for.
const GROUPS_MAX: usize = 20;

/// What a change would do, or did.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Simulated {
    /// All that are known.
    pub hosts: usize,
    /// Those that are told something else than before.
    pub changed: usize,
    /// What is told of agents, the most hosts first.
    pub moves: Vec<Move>,
    /// What would not be told, though policies say so; only where it was not so before.
    pub withheld: Vec<Held>,
    /// Freezes that the change would not heed.
    pub frozen: Vec<FrozenHosts>,
    /// What is odd about the change.
    pub warnings: Vec<String>,
}

/// Hosts on which one agent is moved in the same way.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Move {
    agent: String,
    /// Null: nothing was told of it.
    from: Option<Told>,
    /// Null: nothing is told of it any more, and hosts leave it as it is.
    to: Option<Told>,
    /// Other fields that differ, as on the wire.
    #[schema(value_type = Vec<String>)]
    fields: Vec<&'static str>,
    hosts: usize,
    some: Vec<String>,
}

/// What a host is told of an agent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub struct Told {
    version: String,
    cmd: String,
}

/// Hosts that are not told of an agent.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Held {
    pub agent: String,
    pub version: String,
    pub why: String,
    pub hosts: usize,
    some: Vec<String>,
}

/// Hosts whose agents somebody froze.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FrozenHosts {
    /// Its number.
    freeze: u64,
    /// What is frozen, since when, by whom and why.
    why: String,
    hosts: usize,
    some: Vec<String>,
}

impl Simulated {
    /// Why the change is not to be.
    pub fn frozen(&self) -> Option<String> {
        let FrozenHosts { why, hosts, .. } = self.frozen.first()?;
        let hosts = if *hosts == 1 { "1 host is".to_owned() } else { format!("{hosts} hosts are") };
        Some(format!("this changes what {hosts} told, and {why}"))
    }
}

/// Asks every host that is known. `groups`: those that are changed, which are asked, too, as long as they are few.
pub fn simulate<'a>(
    fleet: &Fleet,
    before: &Current,
    after: &Current,
    groups: impl Iterator<Item = &'a Group>,
    mut warnings: Vec<String>,
) -> Simulated {
    let mut looked = Looked::default();
    let mut asked: Vec<_> = groups.take(GROUPS_MAX).map(|group| (group, false)).collect();
    let mut labels = Labels::default();
    let mut frozen: BTreeMap<u64, (Freeze, Hosts)> = BTreeMap::new();
    fleet.visit(|hostname, host| {
        let facts = host.stable(hostname);
        for (group, has_hosts) in asked.iter_mut().filter(|(_, has_hosts)| !has_hosts) {
            *has_hosts = group.selector.matches(&facts);
        }
        if !asked.is_empty() {
            labels.note(host);
        }
        let says = |agent: &str| host.says(agent);
        let now = before.wanted_of(&facts, &host.answer, &says);
        let agents = looked.note(hostname, now, after.wanted_instead(&facts, &host.answer, &says));
        if !agents.is_empty() && !after.gates().freezes().is_empty() {
            // Of groups that it is in, and of those that it would be in.
            let (was, is) = (before.base_of(&facts, &host.answer), after.base_instead(&facts, &host.answer));
            let of = |agent| before.freeze_of(&was, agent).or_else(|| after.freeze_of(&is, agent));
            if let Some(freeze) = agents.iter().find_map(of) {
                frozen.entry(freeze.id).or_insert_with(|| (freeze.clone(), Hosts::default())).1.add(hostname);
            }
        }
    });
    if looked.hosts > 0 {
        warnings.extend(asked.iter().filter_map(|(group, has_hosts)| labels.warning(group, *has_hosts)));
    }
    let frozen = frozen.into_values().map(|(freeze, hosts)| {
        let (hosts, some) = hosts.named();
        FrozenHosts { freeze: freeze.id, why: freeze.to_string(), hosts, some }
    });
    Simulated { frozen: frozen.collect(), ..looked.finish(warnings) }
}

/// Every label that some host has, as far as they are not too many.
#[derive(Default)]
struct Labels {
    names: BTreeSet<String>,
    /// Those that were looked at, held so that no other comes to its address.
    facts: HashMap<usize, Arc<Facts>>,
}

impl Labels {
    fn note(&mut self, host: &Host) {
        let key = Arc::as_ptr(&host.facts).addr();
        if self.facts.len() < KINDS_MAX && self.facts.insert(key, host.facts.clone()).is_none() {
            self.names.extend(host.facts.labels.keys().cloned());
        }
    }

    fn warning(&self, group: &Group, has_hosts: bool) -> Option<String> {
        let unknown = group.selector.labels().into_iter().find(|label| !self.names.contains(*label));
        if let Some(label) = unknown {
            let near = nearest(label, self.names.iter().map(String::as_str));
            let near = near.map_or_else(String::new, |name| format!("; {name}, perhaps?"));
            return Some(format!("group {}: no known host has a label {label}{near}", group.name));
        }
        (!has_hosts).then(|| format!("group {}: no known host is in it", group.name))
    }
}

/// Hosts, and the names of some.
#[derive(Default)]
struct Hosts {
    count: usize,
    some: Vec<String>,
}

impl Hosts {
    fn add(&mut self, hostname: &str) {
        self.count += 1;
        if self.some.len() < NAMED_MAX {
            self.some.push(hostname.to_owned());
        }
    }

    fn named(mut self) -> (usize, Vec<String>) {
        self.some.sort();
        (self.count, self.some)
    }
}

/// One agent, from and to what, and the other fields that differ.
type Step = (AgentName, Option<Told>, Option<Told>, Vec<&'static str>);
type NotTold = (AgentName, String, String);

/// What hosts go through that are told the same before, and the same after. Both are held, so that nothing else comes to
/// their address.
struct Kind {
    _held: (Arc<Wanted>, Arc<Wanted>),
    /// Those that are told otherwise.
    agents: Arc<[AgentName]>,
    /// In the tables.
    steps: Box<[usize]>,
    withheld: Box<[usize]>,
}

#[derive(Default)]
struct Looked {
    hosts: usize,
    changed: usize,
    kinds: HashMap<(usize, usize), Kind>,
    moves: Table<Step>,
    withheld: Table<NotTold>,
}

/// Hosts by what they have in common.
struct Table<K> {
    places: BTreeMap<K, usize>,
    rows: Vec<(K, Hosts)>,
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self { places: BTreeMap::new(), rows: Vec::new() }
    }
}

impl<K: Ord + Clone> Table<K> {
    fn place(&mut self, key: K) -> usize {
        let next = self.rows.len();
        let place = *self.places.entry(key.clone()).or_insert(next);
        if place == next {
            self.rows.push((key, Hosts::default()));
        }
        place
    }

    fn add(&mut self, places: &[usize], hostname: &str) {
        for &place in places {
            if let Some((_, hosts)) = self.rows.get_mut(place) {
                hosts.add(hostname);
            }
        }
    }

    /// The most hosts first.
    fn most(mut self) -> impl Iterator<Item = (K, Hosts)> {
        self.rows.sort_by(|(a, one), (b, other)| (other.count, a).cmp(&(one.count, b)));
        self.rows.into_iter().take(ROWS_MAX)
    }
}

impl Looked {
    /// Which agents the host is told something else of.
    fn note(&mut self, hostname: &str, before: Arc<Wanted>, after: Arc<Wanted>) -> Arc<[AgentName]> {
        self.hosts += 1;
        let key = (Arc::as_ptr(&before).addr(), Arc::as_ptr(&after).addr());
        if !self.kinds.contains_key(&key) {
            // What is worked out again is the same again.
            if self.kinds.len() >= KINDS_MAX {
                self.kinds.clear();
            }
            let kind = self.kind(before, after);
            self.kinds.insert(key, kind);
        }
        let Some(kind) = self.kinds.get(&key) else { return Arc::default() };
        self.changed += usize::from(!kind.steps.is_empty());
        self.moves.add(&kind.steps, hostname);
        self.withheld.add(&kind.withheld, hostname);
        kind.agents.clone()
    }

    fn kind(&mut self, before: Arc<Wanted>, after: Arc<Wanted>) -> Kind {
        let steps = steps(&before.agents, &after.agents);
        let agents = steps.iter().map(|(agent, ..)| agent.clone()).collect();
        let steps = steps.into_iter().map(|step| self.moves.place(step)).collect();
        let withheld = after.withheld.iter().filter(|it| !before.withheld.contains(it));
        let withheld = withheld.map(|(agent, why)| (agent.clone(), version_of(why), why.to_string()));
        let withheld = withheld.map(|key| self.withheld.place(key)).collect();
        Kind { _held: (before, after), agents, steps, withheld }
    }

    fn finish(self, warnings: Vec<String>) -> Simulated {
        let moves = self.moves.most().map(|((agent, from, to, fields), hosts)| {
            let (hosts, some) = hosts.named();
            Move { agent: agent.to_string(), from, to, fields, hosts, some }
        });
        let withheld = self.withheld.most().map(|((agent, version, why), hosts)| {
            let (hosts, some) = hosts.named();
            Held { agent: agent.to_string(), version, why, hosts, some }
        });
        Simulated {
            hosts: self.hosts,
            changed: self.changed,
            moves: moves.collect(),
            withheld: withheld.collect(),
            frozen: Vec::new(),
            warnings,
        }
    }
}

fn version_of(why: &Withheld) -> String {
    match why {
        Withheld::NoVersion => String::new(),
        Withheld::NoPackage(_, version)
        | Withheld::NoBuild(_, version, ..)
        | Withheld::Requires(_, version, ..)
        | Withheld::NotRunning(_, version, ..) => version.to_string(),
    }
}

/// What differs for each agent. In a cfg.json they stand in any order.
fn steps(before: &[DesiredAgent], after: &[DesiredAgent]) -> Vec<Step> {
    let (before, after) = (by_name(before), by_name(after));
    let (mut before, mut after) = (before.into_iter().peekable(), after.into_iter().peekable());
    let mut steps = Vec::new();
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return steps,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(from), Some(to)) => from.name.cmp(&to.name),
        };
        let from = if order.is_le() { before.next() } else { None };
        let to = if order.is_ge() { after.next() } else { None };
        if let Some(agent) = from.or(to).filter(|_| from != to) {
            steps.push((agent.name.clone(), from.map(told), to.map(told), fields(from, to)));
        }
    }
}

fn by_name(agents: &[DesiredAgent]) -> Vec<&DesiredAgent> {
    let mut agents: Vec<_> = agents.iter().collect();
    agents.sort_by(|a, b| a.name.cmp(&b.name));
    agents
}

fn told(agent: &DesiredAgent) -> Told {
    let version = agent.version.as_ref().map_or("", |version| version.as_str()).to_owned();
    Told { version, cmd: agent.cmd.as_str().to_owned() }
}

/// Those beside version and cmd that are not the same; with another version much else changes.
fn fields(from: Option<&DesiredAgent>, to: Option<&DesiredAgent>) -> Vec<&'static str> {
    let Some((from, to)) = from.zip(to).filter(|(from, to)| from.version == to.version) else {
        return Vec::new();
    };
    let differing = [
        ("tarball", from.tarball != to.tarball),
        ("md5", from.md5 != to.md5),
        ("sha256", from.sha256 != to.sha256),
        ("signature", from.signature != to.signature),
        ("size", from.size != to.size),
        ("unpackedSize", from.unpacked_size != to.unpacked_size),
        ("mirrors", from.mirrors != to.mirrors),
        ("trialSecs", from.trial_secs != to.trial_secs),
        ("runUser", from.run_user != to.run_user),
        ("configFileName", from.config_file_name != to.config_file_name),
        ("configRemoteUrl", from.config_remote_url != to.config_remote_url),
        ("configSha256", from.config_sha256 != to.config_sha256),
    ];
    differing.into_iter().filter(|(_, differs)| *differs).map(|(field, _)| field).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use ops_wire::Cmd;

    use super::*;

    fn agent(name: &str, version: &str, trial_secs: u32) -> DesiredAgent {
        let version = version.parse().map_err(|_| String::new());
        let agent = DesiredAgent::with_any_version(name.parse().unwrap(), version, String::new(), Cmd::Start);
        DesiredAgent { trial_secs: Some(trial_secs), ..agent }
    }

    #[test]
    fn each_agent_that_differs_is_a_step() {
        let before = [agent("e", "1", 1), agent("a", "1", 1), agent("b", "1", 1), agent("d", "1", 1)];
        let after = [agent("b", "1", 2), agent("c", "1", 1), agent("d", "2", 3), agent("e", "1", 1)];
        let found: Vec<_> = steps(&before, &after)
            .into_iter()
            .map(|(name, from, to, fields)| {
                let version = |told: Option<Told>| told.map_or("-".to_owned(), |it| it.version);
                format!("{name} {} {} {}", version(from), version(to), fields.join(","))
            })
            .collect();
        assert_eq!(found, ["a 1 - ", "b 1 1 trialSecs", "c - 1 ", "d 1 2 "]);
        assert_eq!(steps(&before, &before), []);
    }
}
