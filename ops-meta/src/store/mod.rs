//! The one door to what survives a restart. `change` is the only way to write what operators decided: rows, the
//! generation and the event in one transaction. Hosts are written behind, by `flush`.
//!
//! A second database would stand beside `sqlite`, behind the same methods and the same `contract`.

mod admin;
#[cfg(test)]
mod contract;
mod copy;
mod desired;
mod error;
mod freezes;
mod holder;
mod hosts;
mod jobs;
mod orders;
mod packages;
mod rollouts;
mod sqlite;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::domain::desired::Difference;
use crate::domain::freeze::Frozen;
use crate::domain::host::Run;
use crate::domain::role::Role;
use crate::readiness::Readiness;
pub use copy::{Existing, back_up, restore};
pub use desired::Row as DesiredRow;
pub use error::{StoreError, Unopened};
pub use jobs::{JobEnd, JobHostsAsked, JobRow, JobsAsked, NewJob};
pub use orders::without_passwords;
pub use packages::{Content, NewPackage, Package, PackageChange, PackageState};
pub use rollouts::{MoveTold, NewRollout, RolloutMove, RolloutRow, RolloutsAsked};
use sqlite::Sqlite;
pub use sqlite::{FILE, LOCK, Turn};

/// The database of one data folder; cheap to clone.
#[derive(Clone)]
pub struct Store {
    sqlite: Arc<Sqlite>,
}

impl Store {
    /// Opens what is there or makes it new. Blocks on the disk.
    pub fn open(folder: &Path) -> Result<Self, Unopened> {
        Ok(Self { sqlite: Arc::new(Sqlite::open(folder)?) })
    }

    /// The right to change something: until it is dropped nobody else does.
    pub async fn turn(&self) -> Result<Turn, StoreError> {
        self.sqlite.turn().await
    }

    /// Where it stands whether the last write was done, as `database`.
    pub fn readiness(&self) -> Arc<Readiness> {
        self.sqlite.readiness.clone()
    }
}

/// Who changed something: `token 3 (alice)`, `cfg.json`, `ops-meta`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor(pub String);

/// What operators decide.
#[derive(Debug, Clone)]
pub enum Change {
    CreateToken(NewToken),
    RevokeToken {
        id: i64,
        last_admin: LastAdmin,
    },
    /// So many hosts were silent for too long, these among them. Their rows go with the next batch.
    ForgetHosts {
        count: usize,
        some: Vec<String>,
    },
    CreatePackage(Box<NewPackage>),
    /// Of the package with this number.
    Package {
        id: i64,
        change: PackageChange,
    },
    /// What should run where is to be otherwise; and these rollouts, which were stopped, tell hosts no more of it.
    Desired {
        differences: Vec<Difference>,
        ended: Vec<u64>,
    },
    StartRollout(Box<NewRollout>),
    Rollout(Box<RolloutMove>),
    /// Its history: it tells nobody anything.
    DeleteRollout(u64),
    Freeze {
        of: Frozen,
        why: String,
    },
    Unfreeze(u64),
    CreateJob(Box<NewJob>),
    EndJob(Box<JobEnd>),
    /// Its history, once it is over.
    DeleteJob(u64),
    /// cfg.json orders these agents, perhaps others than before.
    Orders {
        digest: String,
        agents: serde_json::Value,
    },
}

/// What becomes of the only token of an admin that counts: without it nobody gives or revokes tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastAdmin {
    Stays,
    MayGo,
}

/// What became of a change.
#[derive(Debug, Clone)]
pub struct Changed {
    pub generation: u64,
    /// `None` where all was as wanted already.
    pub event: Option<Event>,
    /// Of what was created.
    pub id: Option<i64>,
}

/// A token that is to be.
#[derive(Debug, Clone)]
pub struct NewToken {
    pub name: String,
    pub role: Role,
    /// Of a host's token: the only host that may use it.
    pub hostname: Option<String>,
    pub hash: TokenHash,
    /// Unix milliseconds.
    pub expires: Option<i64>,
}

/// sha256 of a token's text.
pub type TokenHash = [u8; 32];

/// A token as it is kept. Times are Unix milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub id: i64,
    pub name: String,
    pub role: Role,
    pub hostname: Option<String>,
    pub hash: TokenHash,
    pub created: i64,
    pub expires: Option<i64>,
    pub revoked: Option<i64>,
    /// To about a minute.
    pub last_used: Option<i64>,
}

impl Token {
    pub fn has_expired(&self, now_ms: i64) -> bool {
        self.expires.is_some_and(|expires| expires <= now_ms)
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub id: i64,
    /// Unix milliseconds.
    pub at: i64,
    pub generation: u64,
    pub actor: String,
    /// `token.created`, `host.dropped` ...
    pub kind: String,
    /// `token 3`, `host web01` ...
    pub object: String,
    pub before: Option<serde_json::Value>,
    pub after: Option<serde_json::Value>,
}

/// Which events are asked for; the newest come first.
#[derive(Debug, Clone, Default)]
pub struct EventsAsked {
    /// Only those older than this one.
    pub before_id: Option<i64>,
    /// Only those newer than this one.
    pub after_id: Option<i64>,
    pub kind: Option<String>,
    pub actor: Option<String>,
    pub object: Option<String>,
    /// Unix milliseconds.
    pub since: Option<i64>,
    pub until: Option<i64>,
    pub limit: usize,
}

/// What the database knows a host by. The fleet gives each host one, and never the same again while it runs.
pub type HostId = u32;

/// A host as it is kept: what lists and filters ask for. Times are Unix milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRow<Text = Box<str>> {
    pub id: HostId,
    pub hostname: Box<str>,
    pub first_seen: i64,
    /// May be as old as `fleet::LAST_SEEN_SLACK`, and an interval of the host's.
    pub last_seen: i64,
    /// When it was last heard again after it had been gone; 0: never.
    pub revived: i64,
    /// See `fleet::record`.
    pub report_hash: u64,
    pub ip: String,
    pub machine_id: String,
    /// JSON; see `fleet`.
    pub facts: Text,
    pub agents: Text,
}

/// What one host changed in the last second.
#[derive(Debug, Clone)]
pub struct HostWrite {
    pub row: HostRow,
    /// The beat as it was sent.
    pub report: Option<Bytes>,
    pub history: Vec<HostChange>,
}

/// One line of a host's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostChange {
    /// Unix milliseconds.
    pub at: i64,
    /// Empty: the host itself.
    pub agent: Box<str>,
    /// `version`, `status`, `error` ...
    pub what: Box<str>,
    pub before: Box<str>,
    pub after: Box<str>,
}

/// What the fleet has to write.
#[derive(Debug, Default)]
pub struct Batch {
    pub changed: Vec<HostWrite>,
    /// Only when they were last heard, in Unix milliseconds.
    pub seen: Vec<(HostId, Box<str>, i64)>,
    pub forgotten: Vec<HostId>,
    /// Since when and until when hosts were listened to.
    pub listened: Option<Run>,
    /// Tokens, and when they were last used.
    pub used: Vec<(i64, i64)>,
}

/// What a host said in full, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Unix milliseconds.
    pub at: i64,
    pub body: Bytes,
}
