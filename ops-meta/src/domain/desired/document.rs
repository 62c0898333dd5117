//! The whole desired state as a document: what fleet.yaml, the API and the database say of it, field by field.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::bounded;
use super::object_only::ObjectOnly;
use crate::domain::rollout::WindowText;

/// What should run where. It is whole: what is not in it is not wanted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = Fleet)]
pub struct Document {
    #[serde(deserialize_with = "object")]
    pub settings: SettingsText,
    /// Words that selectors name: `hostname in @NAME`.
    #[serde(deserialize_with = "bounded::lists")]
    pub lists: BTreeMap<String, Vec<String>>,
    #[serde(deserialize_with = "bounded::groups")]
    pub groups: BTreeMap<String, GroupText>,
    #[serde(deserialize_with = "bounded::policies")]
    pub policies: Vec<PolicyText>,
}

/// What counts for all hosts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[schema(as = Settings)]
pub struct SettingsText {
    /// Where hosts fetch what a policy names without a tarball: a URL prefix. Unless it is given, this server, where it
    /// listens on one address only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packages_url: Option<String>,
    /// A change that touches more of all hosts wants to be confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 100, default = 25)]
    pub confirm_above_percent: Option<u8>,
}

/// Hosts that have something in common.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = GroupFields)]
pub struct GroupText {
    /// Which hosts, in the language of docs/selectors.md: `env=prod and not ip in 10.3.0.0/16`.
    pub select: String,
    /// The larger is the stronger.
    #[serde(default, skip_serializing_if = "is_default")]
    pub priority: i32,
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
    /// Its hosts begin with what a rollout brings only while one of them is open; left out: at any time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<WindowText>,
}

/// What one agent should be on some hosts: on all, on those of `group`, or on `host` alone. A field that is empty is
/// inherited from the next weaker policy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[schema(as = PolicyFields)]
pub struct PolicyText {
    #[serde(skip_serializing_if = "is_default")]
    pub agent: String,
    #[serde(skip_serializing_if = "is_default")]
    pub group: String,
    #[serde(skip_serializing_if = "is_default")]
    pub host: String,
    #[serde(skip_serializing_if = "is_default")]
    pub version: String,
    /// `start`, `stop`, `uninstall`; empty: left alone.
    #[serde(skip_serializing_if = "is_default")]
    #[schema(pattern = "^(start|stop|uninstall)?$")]
    pub cmd: String,
    /// A URL prefix; empty: that of `packagesUrl`.
    #[serde(skip_serializing_if = "is_default")]
    pub tarball: String,
    /// A URL prefix, or a digest.
    #[serde(skip_serializing_if = "is_default")]
    pub md5: String,
    #[serde(skip_serializing_if = "is_default")]
    pub sha256: String,
    /// The text of a minisign signature file.
    #[serde(skip_serializing_if = "is_default")]
    pub signature: String,
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unpacked_size: Option<u64>,
    /// URL prefixes, tried before `tarball`.
    #[serde(skip_serializing_if = "is_default")]
    pub mirrors: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial_secs: Option<u32>,
    /// The account the agent runs as.
    #[serde(skip_serializing_if = "is_default")]
    pub run_user: String,
    #[serde(skip_serializing_if = "is_default")]
    pub config_file_name: String,
    #[serde(skip_serializing_if = "is_default")]
    pub config_remote_url: String,
    #[serde(skip_serializing_if = "is_default")]
    pub config_sha256: String,
    /// In which it was written: in answers only, and not looked at in what is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    ObjectOnly::deserialize(from).map(|it| it.0)
}
