//! Conditions on what stays: all that groups and policies may ask.

use std::fmt;

use super::expr::Shown;
use super::facts::HostFacts;
use super::net::Net;
use super::scan::is_key;
use super::text::{Test, list};
use super::word::Quoted;

#[derive(Debug, Clone, PartialEq)]
pub enum Stable {
    Text(Fact, Test),
    /// Sorted.
    Ip(Box<[Net]>),
    Has(Key),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    Hostname,
    Os,
    Arch,
    Label(Key),
}

/// Of a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(pub Box<str>);

impl Stable {
    pub fn ip(mut nets: Vec<Net>) -> Self {
        nets.sort();
        nets.dedup();
        Self::Ip(nets.into())
    }

    /// What a host does not have is neither equal to anything nor in any list.
    pub fn holds(&self, host: &HostFacts<'_>) -> bool {
        match self {
            Self::Text(fact, test) => fact.of(host).is_some_and(|text| test.holds(text)),
            Self::Ip(nets) => host.ip.is_some_and(|ip| nets.iter().any(|net| net.contains(ip))),
            Self::Has(Key(key)) => host.labels.contains_key(&**key),
        }
    }

    pub fn label(&self) -> Option<&str> {
        match self {
            Self::Text(Fact::Label(Key(key)), _) | Self::Has(Key(key)) => Some(key),
            _ => None,
        }
    }

    pub fn list(&self) -> Option<&str> {
        match self {
            Self::Text(_, Test::Listed(listed)) => Some(&listed.name),
            _ => None,
        }
    }

    /// What the host has of what is asked, in words.
    pub fn found(&self, host: &HostFacts<'_>) -> String {
        match self {
            Self::Text(fact, _) => fact.found(host),
            Self::Ip(_) => match host.ip {
                Some(ip) => format!("ip is {}", ip.to_canonical()),
                None => "the host's ip is not known".to_owned(),
            },
            Self::Has(key) => Fact::Label(key.clone()).found(host),
        }
    }
}

impl Fact {
    fn of<'a>(&self, host: &HostFacts<'a>) -> Option<&'a str> {
        match self {
            Self::Hostname => Some(host.hostname),
            Self::Os => Some(host.os),
            Self::Arch => Some(host.arch),
            Self::Label(Key(key)) => host.labels.get(&**key).map(String::as_str),
        }
    }

    fn found(&self, host: &HostFacts<'_>) -> String {
        let (kind, name) = match self {
            Self::Label(_) => ("label ", self.to_string()),
            _ => ("", self.to_string()),
        };
        match self.of(host) {
            None => format!("the host has no label {name}"),
            Some("") if kind.is_empty() => format!("the host does not say its {name}"),
            Some(text) => format!("{kind}{name} is {}", Quoted(text)),
        }
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hostname => f.write_str("hostname"),
            Self::Os => f.write_str("os"),
            Self::Arch => f.write_str("arch"),
            Self::Label(key) if is_key(&key.0) => f.write_str(&key.0),
            Self::Label(key) => write!(f, "label({key})"),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::word::Word(&self.0).fmt(f)
    }
}

impl Stable {
    fn write(&self, negated: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = if negated { "not " } else { "" };
        match self {
            Self::Text(fact, test) => test.write(fact, negated, f),
            Self::Ip(nets) => match &**nets {
                [net] => write!(f, "{not}ip in {net}"),
                nets => {
                    write!(f, "{not}ip in (")?;
                    list(nets, f)?;
                    f.write_str(")")
                }
            },
            Self::Has(key) => write!(f, "{not}has({key})"),
        }
    }
}

impl fmt::Display for Stable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(false, f)
    }
}

impl Shown for Stable {
    fn fmt_not(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(true, f)
    }
}
