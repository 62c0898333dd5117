//! What a desired state is made of, one by one: for the database, for events, and for who asks what changed.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::{Document, PolicyText};

/// One thing that can be written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    Settings,
    List(String),
    Group(String),
    /// Agent, group, hostname; the last two may be empty.
    Policy(String, String, String),
}

/// One object that is to be, to be otherwise or to be no more. Values are as in a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    pub object: Object,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

impl Difference {
    pub fn what(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "created",
            (_, None) => "deleted",
            _ => "changed",
        }
    }
}

impl Object {
    pub fn of(policy: &PolicyText) -> Self {
        Self::Policy(policy.agent.clone(), policy.group.clone(), policy.host.clone())
    }

    /// Its name, if it is a group.
    pub fn as_group(&self) -> Option<&str> {
        match self {
            Self::Group(name) => Some(name),
            _ => None,
        }
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::List(_) => "list",
            Self::Group(_) => "group",
            Self::Policy(..) => "policy",
        }
    }

    /// Among those of its kind.
    pub fn name(&self) -> String {
        match self {
            Self::Settings => String::new(),
            Self::List(name) | Self::Group(name) => name.clone(),
            Self::Policy(agent, group, host) => match (group.as_str(), host.as_str()) {
                ("", "") => agent.clone(),
                ("", host) => format!("{agent} for host {host}"),
                (group, _) => format!("{agent} for group {group}"),
            },
        }
    }
}

/// `group prod`, `policy my-agent for group prod`.
impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.name())?;
        Ok(())
    }
}

impl Document {
    /// Everything that is in it.
    pub fn objects(&self) -> BTreeMap<Object, Value> {
        let lists = self.lists.iter().map(|(name, words)| (Object::List(name.clone()), value(words)));
        let groups = self.groups.iter().map(|(name, group)| (Object::Group(name.clone()), value(group)));
        let policies = self.policies.iter().map(|policy| (Object::of(policy), value(policy)));
        let settings = Some((Object::Settings, value(&self.settings)));
        let settings = settings.filter(|_| self.settings != Default::default());
        settings.into_iter().chain(lists).chain(groups).chain(policies).collect()
    }

    /// Puts one object in, of this kind and name, as `objects` gave it.
    pub fn put(&mut self, kind: &str, name: &str, value: Value) -> Result<(), serde_json::Error> {
        match kind {
            "settings" => self.settings = serde_json::from_value(value)?,
            "list" => drop(self.lists.insert(name.to_owned(), serde_json::from_value(value)?)),
            "group" => drop(self.groups.insert(name.to_owned(), serde_json::from_value(value)?)),
            "policy" => self.policies.push(serde_json::from_value(value)?),
            other => return Err(serde::de::Error::custom(format!("{other} is no kind"))),
        }
        Ok(())
    }
}

/// None of these types has what JSON has not.
fn value(of: impl Serialize) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}

/// Everything that is not the same in both.
pub fn differences(before: &Document, after: &Document) -> Vec<Difference> {
    let (mut before, after) = (before.objects(), after.objects());
    let mut all = Vec::new();
    for (object, value) in after {
        match before.remove(&object) {
            Some(same) if same == value => {}
            was => all.push(Difference { object, before: was, after: Some(value) }),
        }
    }
    all.extend(before.into_iter().map(|(object, was)| Difference { object, before: Some(was), after: None }));
    all.sort_by(|a, b| a.object.cmp(&b.object));
    all
}
