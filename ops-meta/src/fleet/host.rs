//! One host in memory. There are a million of them: what they have in common is kept once, and the rest is small.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ops_wire::{Heartbeat, Phase, RealAgent, Status};
use serde::{Deserialize, Serialize};

use crate::domain::conformity;
use crate::domain::hex::{hex, unhex};
use crate::domain::host::{Heard, INTERVAL_SECS, INTERVAL_SECS_MAX};
use crate::domain::rollout::Says;
use crate::domain::selector::HostFacts;
use crate::remembered::Remembered;
use crate::store::HostId;

/// What ops-meta knows of a host without asking the database. Times are Unix seconds.
#[derive(Debug, Clone)]
pub struct Host {
    pub first: u32,
    pub last: u32,
    pub id: HostId,
    /// The `last` that the database has.
    pub last_written: u32,
    pub revived: u32,
    /// Where it stands in the shard's list of what is to be written, counted from 1; 0: nowhere.
    pub pending: u32,
    /// Of what stands in the report only; 0: to be written with the next beat.
    pub report: u64,
    /// Of the last beat's bytes, see `repeat`; 0: unknown.
    pub body: u64,
    /// The newest that it has acted on; 0: it does not say.
    pub generation: u32,
    pub answer: Remembered,
    pub facts: Arc<Facts>,
    pub agents: Arc<Agents>,
    /// For each of the agents.
    pub looks: Box<[Look]>,
    pub ip: Address,
    pub machine: Compact,
    pub rival: Option<Box<Rival>>,
}

/// The allocator's next larger size is 160 bytes: of a million hosts that would be 32 MB.
const _: () = assert!(size_of::<Host>() <= 128);

impl Host {
    /// What groups and filters ask for.
    pub fn stable<'a>(&'a self, hostname: &'a str) -> HostFacts<'a> {
        let Facts { os, arch, labels, .. } = &*self.facts;
        HostFacts { hostname, os, arch, ip: self.ip.address(), labels }
    }

    /// What it says of an agent.
    pub fn says(&self, agent: &str) -> Option<Says<'_>> {
        self.agents.find(agent).map(Real::says)
    }

    pub fn heard(&self) -> Heard {
        Heard {
            first: self.first.into(),
            last: self.last.into(),
            revived: self.revived.into(),
            interval_secs: self.facts.interval_secs.unwrap_or(INTERVAL_SECS).clamp(1, INTERVAL_SECS_MAX),
        }
    }
}

/// What changes with every look at an agent, and is no news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look {
    /// Unix seconds, by the host's clock; what does not fit is cut to what does.
    pub at: u32,
    /// Of a download; above 100: none.
    pub percent: u8,
}

/// No download.
pub const NO_PERCENT: u8 = u8::MAX;

impl Look {
    pub fn at(agent: &RealAgent) -> Self {
        let at = u32::try_from(agent.timestamp.max(0)).unwrap_or(u32::MAX);
        Self { at, percent: agent.percent.unwrap_or(NO_PERCENT) }
    }
}

/// The other machine that says it is this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rival {
    pub machine: Compact,
    pub ip: Address,
    /// When the other one took its place, and when that happened so soon again that both want it; Unix seconds, 0: never.
    pub replaced: u32,
    pub contested: u32,
}

/// What the machine is and how it is set up: the same for many hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Facts {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub os: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub arch: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub updater_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub run_user: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_secs: Option<u32>,
}

impl Facts {
    pub fn are_of(&self, beat: &Heartbeat) -> bool {
        self.interval_secs == beat.interval_secs
            && self.updater_version == beat.updater_version
            && self.labels == beat.labels
            && self.os == beat.os
            && self.arch == beat.arch
            && self.run_user == beat.run_user
    }

    pub fn of(beat: &Heartbeat) -> Self {
        Self {
            os: beat.os.clone(),
            arch: beat.arch.clone(),
            updater_version: beat.updater_version.clone(),
            run_user: beat.run_user.clone(),
            labels: beat.labels.clone(),
            interval_secs: beat.interval_secs,
        }
    }
}

/// What really runs: the same on many hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Agents(pub Box<[Real]>);

impl Agents {
    pub fn are_of(&self, agents: &[RealAgent]) -> bool {
        self.0.len() == agents.len() && self.0.iter().zip(agents).all(|(known, said)| known.is_of(said))
    }

    pub fn of(agents: &[RealAgent]) -> Self {
        Self(agents.iter().map(Real::of).collect())
    }

    pub fn find(&self, name: &str) -> Option<&Real> {
        self.0.iter().find(|real| &*real.name == name)
    }
}

/// One agent, as far as lists and decisions need it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Real {
    pub name: Box<str>,
    /// Empty: ordered, but not installed yet.
    pub version: Box<str>,
    #[serde(skip_serializing_if = "is_started", default = "started")]
    pub status: Status,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub phase: Option<Phase>,
    #[serde(skip_serializing_if = "str::is_empty", default)]
    pub desired_version: Box<str>,
    #[serde(skip_serializing_if = "str::is_empty", default)]
    pub error_code: Box<str>,
    #[serde(skip_serializing_if = "str::is_empty", default)]
    pub sha256: Box<str>,
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub reboot_required: bool,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rollout: Option<u64>,
}

fn is_started(status: &Status) -> bool {
    *status == Status::Started
}

fn started() -> Status {
    Status::Started
}

impl Real {
    pub fn says(&self) -> Says<'_> {
        let Self { version, status, phase, error_code, .. } = self;
        Says { real: conformity::Real { version, status, phase: *phase, error_code }, rollout: self.rollout }
    }

    fn is_of(&self, said: &RealAgent) -> bool {
        *self.name == *said.name.as_str()
            && *self.version == *said.version.as_ref().map_or("", |it| it.as_str())
            && self.status == said.status
            && self.phase == said.phase
            && *self.error_code == *said.error_code
            && *self.desired_version == *said.desired_version.as_ref().map_or("", |it| it.as_str())
            && *self.sha256 == *said.sha256.as_ref().map_or("", |it| it.as_str())
            && self.reboot_required == said.reboot_required
            && self.rollout == said.rollout
    }

    fn of(said: &RealAgent) -> Self {
        Self {
            name: said.name.as_str().into(),
            version: said.version.as_ref().map_or("", |it| it.as_str()).into(),
            status: said.status.clone(),
            phase: said.phase,
            desired_version: said.desired_version.as_ref().map_or("", |it| it.as_str()).into(),
            error_code: said.error_code.as_str().into(),
            sha256: said.sha256.as_ref().map_or("", |it| it.as_str()).into(),
            reboot_required: said.reboot_required,
            rollout: said.rollout,
        }
    }
}

/// A text that is mostly 32 hexadecimal digits, in 16 bytes and a little.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compact {
    Hex([u8; 16]),
    Text(Box<str>),
}

impl Compact {
    pub fn of(text: &str) -> Self {
        unhex(text).map_or_else(|| Self::Text(text.into()), Self::Hex)
    }

    pub fn to_text(&self) -> String {
        match self {
            Self::Hex(bytes) => hex(bytes),
            Self::Text(text) => text.to_string(),
        }
    }

    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Text(text) if text.is_empty())
    }
}

/// What a host says its address is: mostly of IPv4. Twice boxed, another text has a thin pointer, and all of it 16 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    Unsaid,
    V4([u8; 4]),
    Text(Box<Box<str>>),
}

impl Address {
    pub fn of(text: &str) -> Self {
        match text.parse::<Ipv4Addr>() {
            Ok(address) => Self::V4(address.octets()),
            Err(_) if text.is_empty() => Self::Unsaid,
            Err(_) => Self::Text(Box::new(text.into())),
        }
    }

    pub fn to_text(&self) -> String {
        match self {
            Self::Unsaid => String::new(),
            Self::V4(octets) => Ipv4Addr::from(*octets).to_string(),
            Self::Text(text) => text.to_string(),
        }
    }

    /// As an address, where it is one.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Unsaid => None,
            Self::V4(octets) => Some(Ipv4Addr::from(*octets).into()),
            Self::Text(text) => text.parse().ok(),
        }
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::Unsaid
    }
}
