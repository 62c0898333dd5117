//! What a change would do: every known host is asked what it is told now, and what it would be told.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ops_wire::{AgentName, DesiredAgent};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::current::{Current, Wanted};
use crate::domain::compile::Withheld;
use crate::fleet::Fleet;

/// Hosts that are named, of each move.
const NAMED_MAX: usize = 10;
/// Moves that are told.
const MOVES_MAX: usize = 200;
/// Kinds of hosts that are kept in mind.
const KINDS_MAX: usize = 10_000;

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
    fields: Vec<String>,
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

/// Asks every host that is known.
pub fn simulate(fleet: &Fleet, before: &Current, after: &Current, warnings: Vec<String>) -> Simulated {
    let mut looked = Looked::default();
    fleet.visit(|hostname, host| {
        let facts = host.stable(hostname);
        let now = before.wanted_of(&facts, &host.answer);
        looked.note(hostname, now, after.wanted_instead(&facts, &host.answer));
    });
    looked.finish(warnings)
}

/// Hosts, and the names of some.
#[derive(Default, Clone)]
struct Hosts {
    count: usize,
    some: Vec<String>,
}

/// Hosts that are told the same before, and the same after. Both are held, so that nothing else comes to their address.
struct Kind {
    before: Arc<Wanted>,
    after: Arc<Wanted>,
    hosts: Hosts,
}

/// One agent, from and to what, and the other fields that differ.
type Step = (AgentName, Option<Told>, Option<Told>, Vec<String>);

#[derive(Default)]
struct Looked {
    hosts: usize,
    changed: usize,
    kinds: HashMap<(usize, usize), Kind>,
    moves: BTreeMap<Step, Hosts>,
    withheld: BTreeMap<(AgentName, String, String), Hosts>,
}

impl Looked {
    fn note(&mut self, hostname: &str, before: Arc<Wanted>, after: Arc<Wanted>) {
        self.hosts += 1;
        let key = (Arc::as_ptr(&before).addr(), Arc::as_ptr(&after).addr());
        let kind = self.kinds.entry(key).or_insert_with(|| Kind { before, after, hosts: Hosts::default() });
        kind.hosts.count += 1;
        if kind.hosts.some.len() < NAMED_MAX {
            kind.hosts.some.push(hostname.to_owned());
        }
        if self.kinds.len() > KINDS_MAX {
            self.sum_up();
        }
    }

    fn sum_up(&mut self) {
        for Kind { before, after, hosts } in std::mem::take(&mut self.kinds).into_values() {
            let steps = steps(&before.agents, &after.agents);
            if !steps.is_empty() {
                self.changed += hosts.count;
            }
            for step in steps {
                self.moves.entry(step).or_default().add(&hosts);
            }
            for (agent, why) in after.withheld.iter().filter(|it| !before.withheld.contains(it)) {
                let key = (agent.clone(), version_of(why), why.to_string());
                self.withheld.entry(key).or_default().add(&hosts);
            }
        }
    }

    fn finish(mut self, warnings: Vec<String>) -> Simulated {
        self.sum_up();
        let moves = self.moves.into_iter().map(|((agent, from, to, fields), hosts)| {
            let Hosts { count, some } = hosts;
            Move { agent: agent.to_string(), from, to, fields, hosts: count, some }
        });
        let mut moves: Vec<_> = moves.collect();
        moves.sort_by_key(|it| std::cmp::Reverse(it.hosts));
        moves.truncate(MOVES_MAX);
        let withheld = self.withheld.into_iter().map(|((agent, version, why), hosts)| {
            let Hosts { count, some } = hosts;
            Held { agent: agent.to_string(), version, why, hosts: count, some }
        });
        let withheld = withheld.take(MOVES_MAX).collect();
        Simulated { hosts: self.hosts, changed: self.changed, moves, withheld, warnings }
    }
}

impl Hosts {
    fn add(&mut self, others: &Self) {
        self.count += others.count;
        self.some.extend_from_slice(&others.some);
        self.some.sort();
        self.some.truncate(NAMED_MAX);
    }
}

fn version_of(why: &Withheld) -> String {
    match why {
        Withheld::NoVersion => String::new(),
        Withheld::NoPackage(_, version)
        | Withheld::NoBuild(_, version, ..)
        | Withheld::Requires(_, version, ..) => version.to_string(),
    }
}

/// What differs for each agent. Both are sorted by name.
fn steps(before: &[DesiredAgent], after: &[DesiredAgent]) -> Vec<Step> {
    let by_name = |all: &[DesiredAgent]| -> BTreeMap<AgentName, DesiredAgent> {
        all.iter().map(|it| (it.name.clone(), it.clone())).collect()
    };
    let (mut before, after) = (by_name(before), by_name(after));
    let mut steps = Vec::new();
    for (name, to) in after {
        match before.remove(&name) {
            Some(from) if from == to => {}
            from => steps.push((name, from.as_ref().map(told), Some(told(&to)), fields(from.as_ref(), &to))),
        }
    }
    steps.extend(before.into_iter().map(|(name, from)| (name, Some(told(&from)), None, Vec::new())));
    steps
}

fn told(agent: &DesiredAgent) -> Told {
    let version = agent.version.as_ref().map_or("", |version| version.as_str()).to_owned();
    Told { version, cmd: agent.cmd.as_str().to_owned() }
}

/// Those beside version and cmd that are there on both sides, and not the same: with another version much else changes.
fn fields(from: Option<&DesiredAgent>, to: &DesiredAgent) -> Vec<String> {
    let as_json = |agent: &DesiredAgent| serde_json::to_value(agent).unwrap_or_default();
    let Some(from) = from.filter(|from| from.version == to.version) else { return Vec::new() };
    let (Value::Object(mut from), Value::Object(to)) = (as_json(from), as_json(to)) else {
        return Vec::new();
    };
    let mut fields = Vec::new();
    for (field, value) in to {
        if from.remove(&field).as_ref() != Some(&value) {
            fields.push(field);
        }
    }
    fields.extend(from.into_iter().map(|(field, _)| field));
    fields.retain(|field| field != "cmd");
    fields
}
