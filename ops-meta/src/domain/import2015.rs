//! The `agents` of a 2015 cfg.json as groups and policies that answer every hostname alike.
//!
//! There the later entry wins, here the stronger group. All prefixes of one hostname are prefixes of each other, so that
//! "the longer is the stronger" is a rank that holds for every agent: one group for each prefix is enough, whatever order
//! the entries of each agent had. What an entry said in vain, as a later one for more hosts says otherwise, is left out:
//! the weaker group says it.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::ops::Bound;

use ops_wire::{AgentName, Hostname};
use serde_json::{Map, Value, json};

use super::policy2015;
use super::precedence::{Field, Order, Policy, Scope};
use super::selector::{Lists, Selector};

/// Between a prefix and a longer one, so that there is room for groups of people's own.
const PRIORITY_STEP: i32 = 10;
/// Of a prefix in the name of its group: with what is put around it a name has 64 at most.
const SPELLED_CHARS_MAX: usize = 48;

#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// By their prefixes.
    pub groups: Vec<ImportedGroup>,
    pub policies: Vec<Policy>,
    pub left_out: Vec<LeftOut>,
}

/// The hosts whose name begins with a prefix.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedGroup {
    pub name: String,
    /// As [`Selector`] writes it.
    pub select: String,
    pub priority: i32,
}

/// An entry that is for nobody: no hostname begins with its prefix, as with a blank in it.
#[derive(Debug, Clone, PartialEq)]
pub struct LeftOut {
    pub agent: AgentName,
    pub prefix: String,
}

pub fn imported(policies: &[policy2015::Policy]) -> Imported {
    let agents: Vec<_> = policies.iter().map(|policy| (&policy.name, lasting(policy))).collect();
    let prefixes = agents.iter().flat_map(|(_, orders)| orders.keys().copied());
    let groups = groups(&prefixes.filter(|prefix| !prefix.is_empty()).collect());
    let (mut policies, mut left_out) = (Vec::new(), Vec::new());
    for (agent, orders) in agents {
        for (prefix, order) in orders {
            let group = || groups.get(prefix).map(|group| Scope::Group(group.name.as_str().into()));
            let scope = if prefix.is_empty() { Some(Scope::Default) } else { group() };
            match scope {
                Some(scope) => policies.push(Policy { agent: agent.clone(), scope, order }),
                None => left_out.push(LeftOut { agent: agent.clone(), prefix: prefix.to_owned() }),
            }
        }
    }
    Imported { groups: groups.into_values().collect(), policies, left_out }
}

/// As fleet.yaml and `PUT /api/v1/fleet` have it: the policies by agent, of each the one for all hosts first.
pub fn document(imported: &Imported) -> Value {
    let group = |it: &ImportedGroup| (it.name.clone(), json!({"select": it.select, "priority": it.priority}));
    let groups: Map<String, Value> = imported.groups.iter().map(group).collect();
    let mut policies: Vec<&Policy> = imported.policies.iter().collect();
    policies.sort_by_key(|policy| (&policy.agent, &policy.scope));
    let policies: Vec<Value> = policies.into_iter().map(written).collect();
    json!({"groups": groups, "policies": policies})
}

fn written(policy: &Policy) -> Value {
    let wire = json!(policy.order.desired(policy.agent.clone()));
    let set = Field::ALL.iter().filter(|field| field.is_set(&policy.order)).map(|field| field.as_str());
    let mut written: Map<String, Value> =
        set.filter_map(|name| Some((name.to_owned(), wire.get(name)?.clone()))).collect();
    written.insert("agent".to_owned(), json!(policy.agent));
    match &policy.scope {
        Scope::Default => None,
        Scope::Group(name) => written.insert("group".to_owned(), json!(name)),
        Scope::Host(name) => written.insert("host".to_owned(), json!(name)),
    };
    Value::Object(written)
}

/// What the last entry that says something of a field says, by its prefix. The default is the first of all, and for the
/// empty one.
fn lasting(policy: &policy2015::Policy) -> BTreeMap<&str, Order> {
    let others = policy.others.iter().map(|other| (other.prefix.as_str(), &other.order));
    let mut orders = BTreeMap::<&str, Order>::new();
    for (prefix, said) in std::iter::once(("", &policy.default)).chain(others) {
        let said = order(said);
        let said_fields = || Field::ALL.iter().filter(|field| field.is_set(&said));
        let from_here_on = orders.range_mut::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        for (_, earlier) in from_here_on.take_while(|(it, _)| it.starts_with(prefix)) {
            said_fields().for_each(|field| field.take(&Order::default(), earlier));
        }
        let own = orders.entry(prefix).or_default();
        said_fields().for_each(|field| field.take(&said, own));
    }
    // A default that says nothing says that there is such an agent.
    orders.retain(|prefix, order| prefix.is_empty() || *order != Order::default());
    orders
}

fn order(order: &policy2015::Order) -> Order {
    let policy2015::Order { version, tarball, md5, cmd } = order.clone();
    Order { version, tarball, md5, cmd, ..Order::default() }
}

/// None for a prefix that is nobody's. The longer one is behind those it begins with, which is all that it has to beat.
fn groups<'a>(prefixes: &BTreeSet<&'a str>) -> BTreeMap<&'a str, ImportedGroup> {
    let mut within: Vec<(&str, i32)> = Vec::new();
    let mut names = HashSet::new();
    let mut groups = BTreeMap::new();
    for &prefix in prefixes {
        let Some(select) = select(prefix) else { continue };
        while within.pop_if(|(shorter, _)| !prefix.starts_with(*shorter)).is_some() {}
        let priority = within.last().map_or(0, |(_, priority)| *priority) + PRIORITY_STEP;
        within.push((prefix, priority));
        let name = name(prefix, &names);
        names.insert(name.clone());
        groups.insert(prefix, ImportedGroup { name, select, priority });
    }
    groups
}

/// `None` where no hostname begins so.
fn select(prefix: &str) -> Option<String> {
    Hostname::check(prefix).ok()?;
    // Quotes do not take the power of these.
    let text = match prefix.contains(['*', '?']) {
        true => format!("hostname~{}", quoted(&format!("^{}", regex::escape(prefix)))),
        false => format!("hostname={}", quoted(&format!("{prefix}*"))),
    };
    Selector::parse(&text, &Lists::new()).ok().map(|selector| selector.to_string())
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}

/// `prefix-bj` for `bj-`; with what it ends with where that is another's, and with a number where nothing else helps.
fn name(prefix: &str, taken: &HashSet<String>) -> String {
    let whole = format!("prefix-{}", spelled(prefix));
    let short = whole.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    let numbered = (2..u32::MAX).map(|n| format!("{whole}-{n}"));
    let mut names = [short.to_owned(), whole.clone()].into_iter().chain(numbered);
    names.find(|name| name != "prefix" && !taken.contains(name)).unwrap_or_default()
}

/// With what a name may have in it.
fn spelled(prefix: &str) -> String {
    let mut text = String::new();
    for c in prefix.chars().take(SPELLED_CHARS_MAX) {
        let first_dot = c == '.' && !text.ends_with('.');
        let fits = c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '~' | '-') || first_dot;
        text.push(if fits { c } else { '_' });
    }
    text
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { agent, prefix } = self;
        write!(f, "what {agent} should be on hosts that begin with {prefix:?} is left out: no hostname does")
    }
}
