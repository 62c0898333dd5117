//! A package as the API shows it.

use ops_package::EntryKind;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::store::Package;

/// One build of one version.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Package)]
pub struct Shown {
    name: String,
    version: String,
    /// Empty: for all hosts.
    os: String,
    arch: String,
    /// Bytes.
    size: u64,
    unpacked_size: u64,
    /// Files, folders and links.
    entries: u64,
    sha256: String,
    md5: String,
    /// What hosts fetch, on this server.
    path: String,
    /// Whether a signature lies beside it.
    signed: bool,
    description: String,
    /// By agent, which versions of it have to be there: `*`, `1.2`, `>=1.2`.
    #[schema(value_type = Object)]
    requires: Value,
    /// How long a start of it is on trial, where the package says so.
    trial_secs: Option<u64>,
    /// `agent` or `reboot`.
    restart: String,
    /// Why nobody should use it any more.
    deprecated: Option<String>,
    /// It cannot be deleted.
    protected: bool,
    /// `ready`, `deleting` or `delete_failed`.
    state: &'static str,
    /// Of `delete_failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// Unix milliseconds.
    created: i64,
    /// Who brought it.
    actor: String,
    /// On how many it runs, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    hosts: Option<usize>,
}

impl Shown {
    pub fn of(package: &Package) -> Self {
        let (build, content) = (&package.build, &package.content);
        let object =
            |value: &Value| if value.is_object() { value.clone() } else { Value::Object(Default::default()) };
        Self {
            name: build.name.to_string(),
            version: build.version.to_string(),
            os: build.platform.os().to_owned(),
            arch: build.platform.arch().to_owned(),
            size: content.size,
            unpacked_size: content.unpacked_size,
            entries: content.entries,
            sha256: content.sha256.to_string(),
            md5: content.md5.to_string(),
            path: format!("/packages/{}", build.path()),
            signed: package.signature.is_some(),
            description: content.said("description").as_str().unwrap_or_default().to_owned(),
            requires: object(content.said("requires")),
            trial_secs: content.said("trialSecs").as_u64(),
            restart: content.said("restart").as_str().unwrap_or("agent").to_owned(),
            deprecated: package.deprecated.clone(),
            protected: package.protected,
            state: package.state.as_str(),
            why: package.why.clone(),
            created: package.created,
            actor: package.actor.clone(),
            hosts: None,
        }
    }

    /// With the number of hosts that it runs on.
    pub fn on(self, hosts: Option<usize>) -> Self {
        Self { hosts, ..self }
    }
}

/// What is in a package, in the order of the paths.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct EntryList {
    pub entries: Vec<Entry>,
    /// There are more.
    pub truncated: bool,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = PackageEntry)]
pub struct Entry {
    pub path: String,
    /// `file`, `folder`, `symlink` or `hardlink`.
    pub kind: String,
    /// Permissions, as a number.
    pub mode: u32,
    /// Bytes.
    pub size: u64,
    /// Of links.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub target: Option<String>,
}

impl From<ops_package::Entry> for Entry {
    fn from(entry: ops_package::Entry) -> Self {
        let ops_package::Entry { path, kind, mode, size, target } = entry;
        let kind = match kind {
            EntryKind::File => "file",
            EntryKind::Folder => "folder",
            EntryKind::Symlink => "symlink",
            EntryKind::Hardlink => "hardlink",
        };
        Self { path, kind: kind.to_owned(), mode, size, target }
    }
}
