//! `manifest.json` at a package's root: what the package says of itself. Every field may be missing, and so may the file.

use std::collections::BTreeMap;
use std::fmt;

use ops_wire::{AgentName, Version};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::platform::Platform;
use crate::refusal::shown;
use crate::requirement::Requirement;

mod fields;

/// Where it lies in a package.
pub const MANIFEST: &str = "manifest.json";
/// Bytes of the file; a longer one is refused.
pub const MANIFEST_BYTES_MAX: usize = 64 << 10;

/// What a package says of itself. Only the reading makes one of foreign bytes, and it checks everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<AgentName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Other agents that have to be there, and in which versions.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub requires: BTreeMap<AgentName, Requirement>,
    /// The fields `os` and `arch`.
    #[serde(flatten, serialize_with = "fields::platform")]
    pub platform: Platform,
    /// How long after its start the version is on trial, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial_secs: Option<u32>,
    #[serde(skip_serializing_if = "Restart::is_agent")]
    pub restart: Restart,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<Deprecated>,
    /// Keys that this program does not know, escaped and bounded; perhaps a newer one does.
    #[serde(skip)]
    pub unknown: Vec<String>,
}

/// What has to start anew for the version to be in use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Restart {
    #[default]
    Agent,
    Reboot,
}

impl Restart {
    fn is_agent(&self) -> bool {
        *self == Self::Agent
    }
}

/// Nobody should begin to use this version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deprecated {
    /// `true`
    Unexplained,
    Because(String),
}

impl Serialize for Deprecated {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unexplained => serializer.serialize_bool(true),
            Self::Because(why) => serializer.serialize_str(why),
        }
    }
}

/// Why a manifest is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManifestError {
    /// A link, or a folder.
    NoFile,
    /// More than [`MANIFEST_BYTES_MAX`] bytes.
    TooLarge,
    /// No JSON in UTF-8, or a key stands in it twice.
    NoJson(String),
    NoObject,
    /// A field of a wrong type or an impossible value; in `requires` with the agent's name behind a dot.
    Field {
        field: String,
        why: String,
    },
}

impl ManifestError {
    /// The code on the wire.
    pub fn code(&self) -> &'static str {
        "manifest_invalid"
    }

    fn field(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Field { field: field.into(), why: why.into() }
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFile => write!(f, "`{MANIFEST}` is refused: it has to be a regular file"),
            Self::TooLarge => {
                write!(f, "`{MANIFEST}` is refused: it has more than {MANIFEST_BYTES_MAX} bytes")
            }
            Self::NoJson(why) => write!(f, "failed to read `{MANIFEST}` as JSON: {why}"),
            Self::NoObject => write!(f, "`{MANIFEST}` is refused: a JSON object, `{{...}}`, is wanted"),
            Self::Field { field, why } => write!(f, "`{field}` in `{MANIFEST}` is refused: {why}"),
        }
    }
}

impl std::error::Error for ManifestError {}

impl Manifest {
    /// Reads and checks the file's bytes.
    pub fn read(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MANIFEST_BYTES_MAX {
            return Err(ManifestError::TooLarge);
        }
        let read = serde_json::from_slice(bytes);
        let value = read.map_err(|error| ManifestError::NoJson(shown(error.to_string().as_bytes())))?;
        match value {
            crate::strict_json::Strict(Value::Object(object)) => fields::read(object),
            _ => Err(ManifestError::NoObject),
        }
    }

    /// Whether it may be the manifest of this agent and version, whom the file's name or a URL say.
    pub fn fits(&self, name: &AgentName, version: &Version) -> Result<(), ManifestError> {
        let other = |field, own: &str, asked: &str| {
            Err(ManifestError::field(field, format!("it says `{own}`, and the package is called `{asked}`")))
        };
        match (&self.name, &self.version) {
            (Some(own), _) if own != name => other("name", own.as_str(), name.as_str()),
            (_, Some(own)) if own != version => other("version", own.as_str(), version.as_str()),
            _ if self.requires.contains_key(name) => Err(itself(name)),
            _ => Ok(()),
        }
    }

    /// For which hosts it is, from what it says and what is said of it elsewhere; `None`: they contradict each other.
    pub fn agreed_platform<'a>(&'a self, said: &'a Platform) -> Option<&'a Platform> {
        match (said.is_any(), self.platform.is_any()) {
            (true, _) => Some(&self.platform),
            (false, true) => Some(said),
            (false, false) => (self.platform == *said).then_some(said),
        }
    }

    /// As it may stand in the file.
    pub fn to_json(&self) -> String {
        // Text and numbers alone cannot fail to be written.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

fn itself(name: &AgentName) -> ManifestError {
    ManifestError::field(format!("requires.{name}"), "a package cannot require itself")
}
