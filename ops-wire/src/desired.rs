//! The response: what should run on the host.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::names::{AgentName, HexDigest, Version};
use crate::tarball_name;
use crate::tolerant::{Refused, absent, any_version, null_is_default, objects};

/// The answer to a beat.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// Not empty: nothing else in the answer counts.
    #[serde(default, deserialize_with = "null_is_default")]
    pub error_message: String,
    /// Empty means "no change", never "stop".
    #[serde(default, deserialize_with = "objects")]
    pub desired_agents: Vec<DesiredAgent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// A hint for the next beat, 1 to 3600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_interval_secs: Option<u32>,
    #[serde(default, deserialize_with = "objects", skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Action>,
    /// What could not be read, filled by the tolerant reading; not on the wire.
    #[serde(skip)]
    pub refused: Vec<Refused>,
}

/// What one agent should be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DesiredAgent {
    pub name: AgentName,
    /// `Err` says why it is none: only `start` needs one, `stop` and `uninstall` ignore it.
    #[serde(default = "no_version", with = "any_version")]
    pub version: Result<Version, String>,
    /// A URL prefix; the file is `{tarball}/{name}-{version}.tar.gz`.
    #[serde(default, deserialize_with = "null_is_default")]
    pub tarball: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub md5: Md5,
    #[serde(default, deserialize_with = "null_is_default")]
    pub cmd: Cmd,
    /// Wins over md5.
    #[serde(default, deserialize_with = "absent", skip_serializing_if = "Option::is_none")]
    pub sha256: Option<HexDigest>,
    /// The text of a minisign signature file.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub signature: String,
    /// Bytes of the tarball.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Bytes below the version folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpacked_size: Option<u64>,
    /// URL prefixes, tried in order before `tarball`.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial_secs: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<u64>,
    /// The account the control script runs as.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub run_user: String,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub config_file_name: String,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub config_remote_url: String,
    #[serde(default, deserialize_with = "absent", skip_serializing_if = "Option::is_none")]
    pub config_sha256: Option<HexDigest>,
}

impl DesiredAgent {
    /// An agent with the 2015 fields that matter and nothing else.
    pub fn new(name: AgentName, version: Version, tarball: String, cmd: Cmd) -> Self {
        Self::with_any_version(name, Ok(version), tarball, cmd)
    }

    /// The same, where a version may be lacking (`Err` says why): `stop` and `uninstall` need none.
    pub fn with_any_version(
        name: AgentName,
        version: Result<Version, String>,
        tarball: String,
        cmd: Cmd,
    ) -> Self {
        Self {
            name,
            version,
            tarball,
            md5: Md5::default(),
            cmd,
            sha256: None,
            signature: String::new(),
            size: None,
            unpacked_size: None,
            mirrors: Vec::new(),
            trial_secs: None,
            rollout: None,
            run_user: String::new(),
            config_file_name: String::new(),
            config_remote_url: String::new(),
            config_sha256: None,
        }
    }

    /// The URL of `version`'s md5 file: below the md5 prefix, or below the tarball's when that is empty. `None` when
    /// the digest itself was sent.
    pub fn md5_url(&self, version: &Version) -> Option<String> {
        let prefix = match &self.md5 {
            Md5::Digest(_) => return None,
            Md5::Prefix(prefix) => prefix,
            Md5::TarballPrefix => &self.tarball,
        };
        Some(format!("{}.md5", below(prefix, &tarball_name(&self.name, version))))
    }

    /// Where `version`'s tarball may be had, in the order to try.
    pub fn tarball_urls(&self, version: &Version) -> Vec<String> {
        let file = tarball_name(&self.name, version);
        let prefixes = self.mirrors.iter().chain([&self.tarball]).filter(|prefix| !prefix.is_empty());
        prefixes.map(|prefix| below(prefix, &file)).collect()
    }

    /// The digest that was sent with the order, when one was: `sha256` wins over `md5`.
    pub fn digest(&self) -> Option<&HexDigest> {
        match (&self.sha256, &self.md5) {
            (Some(sha256), _) => Some(sha256),
            (None, Md5::Digest(md5)) => Some(md5),
            (None, _) => None,
        }
    }
}

fn below(prefix: &str, file: &str) -> String {
    format!("{}/{file}", prefix.trim_end_matches('/'))
}

/// The `md5` field, whose three forms all occur.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Md5 {
    /// Empty: the tarball's prefix holds the md5 file.
    #[default]
    TarballPrefix,
    Prefix(String),
    Digest(HexDigest),
}

impl Md5 {
    /// 32 hexadecimal digits are the digest itself; whatever else is not empty is a prefix.
    pub fn read(text: &str) -> Self {
        match HexDigest::md5(text) {
            _ if text.is_empty() => Self::TarballPrefix,
            Some(digest) => Self::Digest(digest),
            None => Self::Prefix(text.to_owned()),
        }
    }
}

impl Serialize for Md5 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::TarballPrefix => "",
            Self::Prefix(prefix) => prefix,
            Self::Digest(digest) => digest.as_str(),
        })
    }
}

impl<'de> Deserialize<'de> for Md5 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(deserializer).map(|text| Self::read(&text))
    }
}

/// What to do with an agent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Cmd {
    /// Leave it alone.
    #[default]
    Blank,
    Start,
    Stop,
    Uninstall,
    /// Left alone, and reported.
    Unknown(String),
}

impl Cmd {
    pub fn read(text: &str) -> Self {
        match text {
            "" => Self::Blank,
            "start" => Self::Start,
            "stop" => Self::Stop,
            "uninstall" => Self::Uninstall,
            other => Self::Unknown(other.to_owned()),
        }
    }

    pub fn as_str(&self) -> &str {
        match self {
            Self::Blank => "",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Uninstall => "uninstall",
            Self::Unknown(text) => text,
        }
    }
}

impl Serialize for Cmd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Cmd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(deserializer).map(|text| Self::read(&text))
    }
}

/// Something to be done once per id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    pub id: u64,
    /// `restart` or `report`; an unknown kind is answered with `unknown_cmd`.
    #[serde(default, deserialize_with = "null_is_default")]
    pub kind: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub agent: String,
}

/// Absent, null and the empty string: none of them is a version.
pub(crate) fn no_version() -> Result<Version, String> {
    Err("there is none".to_owned())
}
