//! The request: what a host says of itself.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::names::{AgentName, HexDigest, Version};
use crate::tolerant::{absent, blank_version, null_is_default, objects};

/// One beat of a host, `POST /heartbeat`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeat {
    pub hostname: String,
    #[serde(default, deserialize_with = "objects")]
    pub real_agents: Vec<RealAgent>,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub ip: String,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub updater_version: String,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub run_user: String,
    /// Tells two machines with one hostname apart.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub machine_id: String,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub os: String,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub arch: String,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Seconds between two beats of this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_secs: Option<u32>,
    /// The newest generation this host has acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    #[serde(default, deserialize_with = "objects", skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<HostError>,
    #[serde(default, deserialize_with = "objects", skip_serializing_if = "Vec::is_empty")]
    pub actions_done: Vec<ActionDone>,
}

/// One agent as it really is on the host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RealAgent {
    pub name: AgentName,
    /// `None`, on the wire the empty string: ordered, but not installed yet.
    #[serde(default, with = "blank_version")]
    pub version: Option<Version>,
    #[serde(default, deserialize_with = "null_is_default")]
    pub status: Status,
    /// When it was looked at, in Unix seconds.
    #[serde(default, deserialize_with = "null_is_default")]
    pub timestamp: i64,
    /// Digest of the tarball in use, when known.
    #[serde(default, deserialize_with = "absent", skip_serializing_if = "Option::is_none")]
    pub sha256: Option<HexDigest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    #[serde(default, with = "blank_version", skip_serializing_if = "Option::is_none")]
    pub desired_version: Option<Version>,
    /// An [`ErrorCode`](crate::ErrorCode), as text: a newer host may have codes that this reader does not know.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub error_code: String,
    /// A sentence. Of a held agent it has what failed before the hold, too; the code is `held` all the same.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub error: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_try: Option<i64>,
    /// Of the download, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "is_false")]
    pub reboot_required: bool,
    /// What the last upgrade did.
    #[serde(default, deserialize_with = "objects", skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepDone>,
    /// Echoed from the desired agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<u64>,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl RealAgent {
    /// An agent of which nothing more than the 2015 fields is known.
    pub fn new(name: AgentName, version: Option<Version>, status: Status, timestamp: i64) -> Self {
        Self {
            name,
            version,
            status,
            timestamp,
            sha256: None,
            phase: None,
            desired_version: None,
            error_code: String::new(),
            error: String::new(),
            attempt: None,
            next_try: None,
            percent: None,
            reboot_required: false,
            steps: Vec::new(),
            rollout: None,
        }
    }
}

/// What `./control status` said, in the spelling of 2015.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Status {
    Started,
    #[default]
    Stopped,
    /// A sentence saying what went wrong.
    Other(String),
}

impl Status {
    /// Compared, not searched: "not started" is not started. The correct spelling `stopped` is understood.
    pub fn read(text: &str) -> Self {
        match text {
            "started" => Self::Started,
            "stoped" | "stopped" => Self::Stopped,
            other => Self::Other(other.to_owned()),
        }
    }

    pub fn as_str(&self) -> &str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stoped",
            Self::Other(sentence) => sentence,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(deserializer).map(|text| Self::read(&text))
    }
}

/// What the updater is doing with an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Idle,
    Downloading,
    Unpacking,
    Stopping,
    Starting,
    Trial,
    RolledBack,
    Held,
    Failed,
    /// A phase of a newer host.
    #[serde(other)]
    Unknown,
}

impl Phase {
    /// As it is spelled on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Downloading => "downloading",
            Self::Unpacking => "unpacking",
            Self::Stopping => "stopping",
            Self::Starting => "starting",
            Self::Trial => "trial",
            Self::RolledBack => "rolled_back",
            Self::Held => "held",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// One step of an upgrade: `fetch`, `verify`, `unpack`, `stop`, `start`, `flip`, `trial` or `take_back`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepDone {
    #[serde(default, deserialize_with = "null_is_default")]
    pub step: String,
    /// When it ended, in Unix seconds.
    #[serde(default, deserialize_with = "null_is_default")]
    pub at: i64,
    /// How long it took, in milliseconds.
    #[serde(default, deserialize_with = "null_is_default")]
    pub ms: u64,
    /// An error code; empty when it went well.
    #[serde(default, deserialize_with = "null_is_default")]
    pub code: String,
}

/// What belongs to no real agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostError {
    /// As it was sent, or empty; may be no agent's name at all.
    #[serde(default, deserialize_with = "null_is_default")]
    pub agent: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub code: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub error: String,
}

/// The outcome of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionDone {
    pub id: u64,
    /// An error code; empty when it went well.
    #[serde(default, deserialize_with = "null_is_default")]
    pub code: String,
}
