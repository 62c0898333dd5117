//! What a rollout is to change, where, and how.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use ops_wire::{AgentName, Cmd, Hostname, Md5, Version};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::state::OnBreach;
use super::wave::{self, Wave, WaveText};
use super::window::{Window, WindowText};
use crate::domain::desired::{Fault, PolicyText};
use crate::domain::job::HOSTS_MAX;
use crate::domain::precedence::{Field, Order, Scope};
use crate::domain::selector::{HostFacts, Lists};

/// A plan as it is written, and kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[schema(as = RolloutPlan)]
pub struct PlanText {
    /// Whose policy: with neither `group` nor `host` that for all hosts.
    pub agent: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// Or of each of these hosts, which need not have one yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// What its version is to be; left out: as it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// `start`, `stop` or `uninstall`; left out: as it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(pattern = "^(start|stop|uninstall)?$")]
    pub cmd: String,
    pub waves: Vec<WaveText>,
    pub on_breach: OnBreach,
    /// Hosts begin only while one of them is open; left out: at any time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<WindowText>,
}

/// A plan without faults.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub agent: AgentName,
    pub whose: Whose,
    pub target: Target,
    pub waves: Vec<Wave>,
    pub on_breach: OnBreach,
    pub windows: Vec<Window>,
}

/// Which policies it changes.
#[derive(Debug, Clone, PartialEq)]
pub enum Whose {
    Policy(Scope),
    /// The own one of each of these hosts.
    Hosts(Arc<BTreeSet<Box<str>>>),
}

impl Whose {
    /// Those that are named.
    pub fn hosts(&self) -> Option<&BTreeSet<Box<str>>> {
        match self {
            Self::Policy(_) => None,
            Self::Hosts(hosts) => Some(hosts),
        }
    }
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(scope) => scope.fmt(f),
            Self::Hosts(hosts) if hosts.len() == 1 => {
                write!(f, "host {}", hosts.iter().next().map_or("", |it| it))
            }
            Self::Hosts(hosts) => write!(f, "{} hosts", hosts.len()),
        }
    }
}

/// What is different where the rollout admits. One of both is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub version: Option<Version>,
    pub cmd: Option<Cmd>,
}

impl Target {
    /// What a policy will say. Of another version it says nothing that described the old one.
    pub fn applied_to(&self, order: &Order) -> Order {
        let mut new = order.clone();
        if self.version.is_some() && self.version != order.version {
            let blank = Order::default();
            for field in Field::ALL.iter().filter(|field| field.describes() == Some(Field::Version)) {
                field.take(&blank, &mut new);
            }
            if matches!(new.md5, Md5::Digest(_)) {
                new.md5 = Md5::TarballPrefix;
            }
        }
        new.version = self.version.clone().or(new.version);
        new.cmd = self.cmd.clone().unwrap_or(new.cmd);
        new
    }
}

impl Target {
    /// The same, of a policy as it is written.
    pub fn written_into(&self, policy: &PolicyText) -> PolicyText {
        let mut new = PolicyText { generation: None, ..policy.clone() };
        if let Some(version) = self.version.as_ref().filter(|it| it.as_str() != policy.version) {
            new = PolicyText {
                version: version.to_string(),
                sha256: String::new(),
                signature: String::new(),
                size: None,
                unpacked_size: None,
                ..new
            };
            if matches!(Md5::read(&policy.md5), Md5::Digest(_)) {
                new.md5.clear();
            }
        }
        if let Some(cmd) = &self.cmd {
            cmd.as_str().clone_into(&mut new.cmd);
        }
        new
    }
}

impl Plan {
    /// Which waves select a host: bit `n` stands for wave `n`. Changes only with what is stable of the host.
    pub fn selected(&self, host: &HostFacts<'_>) -> u32 {
        let selects = |wave: &Wave| wave.select.as_ref().is_none_or(|select| select.matches(host));
        self.waves.iter().rev().fold(0, |bits, wave| (bits << 1) | u32::from(selects(wave)))
    }

    /// # Errors
    /// Every fault. That there is such a policy, and packages for its hosts, is not looked at.
    pub fn check(text: &PlanText, lists: &Lists) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut note = |path: &str, why: String| faults.push(Fault { path: path.to_owned(), why });
        let agent = text.agent.parse().map_err(|why| note("agent", format!("this is no name: {why}"))).ok();
        let whose = whose(text).map_err(|(path, why)| note(&path, why)).ok();
        let target = target(text, &mut note);
        let windows = Window::check_all(&text.windows, |field, why| note(&field, why));
        let waves = wave::check(&text.waves, lists, &mut faults);
        match (agent, whose, target) {
            (Some(agent), Some(whose), Some(target)) if faults.is_empty() => {
                Ok(Self { agent, whose, target, waves, on_breach: text.on_breach, windows })
            }
            _ => Err(faults),
        }
    }
}

fn whose(text: &PlanText) -> Result<Whose, (String, String)> {
    let hostname = |path: String, host: &str| match Hostname::check(host) {
        Ok(hostname) => Ok(Box::from(hostname.as_str())),
        Err(why) => Err((path, why.to_string())),
    };
    match (text.group.as_str(), text.host.as_str(), text.hosts.as_slice()) {
        ("", "", []) => Ok(Whose::Policy(Scope::Default)),
        (group, "", []) => Ok(Whose::Policy(Scope::Group(group.into()))),
        ("", host, []) => hostname("host".to_owned(), host).map(|it| Whose::Policy(Scope::Host(it))),
        ("", "", hosts) if hosts.len() > HOSTS_MAX => {
            let why = format!(
                "there are {}, and {HOSTS_MAX} are allowed; for more make a group, and roll its policy out",
                hosts.len()
            );
            Err(("hosts".to_owned(), why))
        }
        ("", "", hosts) => {
            let each = hosts.iter().enumerate().map(|(n, host)| hostname(format!("hosts[{n}]"), host));
            each.collect::<Result<_, _>>().map(|hosts| Whose::Hosts(Arc::new(hosts)))
        }
        _ => {
            let why = "it is for one of `group`, `host` and `hosts`; leave the others out";
            Err(("group".to_owned(), why.to_owned()))
        }
    }
}

fn target(text: &PlanText, note: &mut impl FnMut(&str, String)) -> Option<Target> {
    let version = match text.version.as_str() {
        "" => None,
        version => Some(version.parse().map_err(|why| note("version", format!("{why}"))).ok()?),
    };
    let cmd = match Cmd::read(&text.cmd) {
        Cmd::Blank => None,
        Cmd::Unknown(cmd) => {
            note("cmd", format!("{cmd:?} is none; it has to be start, stop or uninstall, or left out"));
            return None;
        }
        cmd => Some(cmd),
    };
    if version.is_none() && cmd.is_none() {
        note("version", "nothing would change; say which `version`, or which `cmd`".to_owned());
        return None;
    }
    Some(Target { version, cmd })
}
