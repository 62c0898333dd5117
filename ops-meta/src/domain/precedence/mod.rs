//! Which policies a host has, and which of them wins.
//!
//! Policies are ranked, and the order is total: the default is weaker than any group's, a group's weaker than that of a
//! group with a larger priority (of equal priority: with a later name), and one host's own is the strongest. A field that
//! a policy leaves empty is inherited from the next weaker one that has it, as in `others` of 2015.
//!
//! One exception: what describes a content ([`Field::describes`]) counts only where the policy that says it, with those
//! below it, means the content that is decided: a digest of version 1 is none of version 2. `md5` is inherited whatever it
//! is: 2015 did so.

mod carry;
mod index;
mod order;
mod rules;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use ops_wire::{AgentName, DesiredAgent};

use super::rollout::Window;
use super::selector::Selector;

pub use carry::Carry;
pub use order::{Field, Order};
pub use rules::{Fault, Rules};

/// A named selector.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    pub name: Box<str>,
    pub selector: Selector,
    /// The larger is the stronger.
    pub priority: i32,
    /// When its hosts may begin with what a rollout brings; of none, at any time.
    pub windows: Vec<Window>,
}

/// What one agent should be, for some hosts.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    pub agent: AgentName,
    pub scope: Scope,
    pub order: Order,
}

/// The hosts of a policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    Default,
    /// By its name.
    Group(Box<str>),
    /// One host, by its name.
    Host(Box<str>),
}

/// What one agent should be on one host, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision<'a> {
    pub agent: &'a AgentName,
    /// All that apply, the strongest first.
    pub policies: Vec<&'a Policy>,
    /// For each field that is not empty, the policy that gave it.
    pub givers: BTreeMap<Field, &'a Policy>,
    pub order: Order,
}

impl<'a> Decision<'a> {
    /// Of policies of this agent, the strongest first.
    fn of(agent: &'a AgentName, policies: Vec<&'a Policy>) -> Self {
        let givers: BTreeMap<_, _> =
            Field::ALL.iter().filter_map(|&field| Some((field, giver(&policies, field)?))).collect();
        let mut order = Order::default();
        for (field, policy) in &givers {
            field.take(&policy.order, &mut order);
        }
        Self { agent, policies, givers, order }
    }

    /// What the host is told.
    pub fn desired(&self) -> DesiredAgent {
        self.order.desired(self.agent.clone())
    }
}

/// The strongest that says something of the field; and means what is decided, where the field describes something.
fn giver<'a>(policies: &[&'a Policy], field: Field) -> Option<&'a Policy> {
    let means_it = |from: usize| {
        field.describes().is_none_or(|content| {
            let said = |from: usize| policies.iter().skip(from).find(|it| content.is_set(&it.order));
            match (said(from), said(0)) {
                (Some(meant), Some(decided)) => content.is_same(&meant.order, &decided.order),
                (meant, decided) => meant.is_none() && decided.is_none(),
            }
        })
    };
    let mut ranked = policies.iter().enumerate();
    ranked.find(|(n, it)| field.is_set(&it.order) && means_it(*n)).map(|(_, policy)| *policy)
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("all hosts"),
            Self::Group(name) => write!(f, "group {name}"),
            Self::Host(hostname) => write!(f, "host {hostname}"),
        }
    }
}
