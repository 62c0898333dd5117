//! What became of the hosts of a job: how many stand how, and what failed.

use std::collections::BTreeMap;

use ops_wire::ErrorCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Host, HostState, Kind};
use crate::domain::failures::Failures;

/// Of codes beyond those that are told apart.
const OTHER_CODES: &str = "other";

/// How many hosts stand how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = JobCounts)]
pub struct Counts {
    pub pending: u32,
    pub sent: u32,
    pub done: u32,
    pub failed: u32,
    pub expired: u32,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    pub counts: Counts,
    /// By code.
    pub failures: BTreeMap<String, Failures>,
}

impl Counts {
    pub fn all(&self) -> u32 {
        let Self { pending, sent, done, failed, expired } = self;
        pending + sent + done + failed + expired
    }

    fn of(&mut self, state: HostState) -> &mut u32 {
        match state {
            HostState::Pending => &mut self.pending,
            HostState::Sent => &mut self.sent,
            HostState::Done => &mut self.done,
            HostState::Failed => &mut self.failed,
            HostState::Expired => &mut self.expired,
        }
    }

    /// Of all hosts those that have answered, rounded down: 100 are all of them.
    pub fn percent(&self) -> u32 {
        let answered = u64::from(self.done) + u64::from(self.failed);
        // A part of all is at most 100 %.
        (answered * 100).checked_div(self.all().into()).unwrap_or_default() as u32
    }
}

impl Outcome {
    pub fn of<'a>(hosts: impl IntoIterator<Item = &'a Host>) -> Self {
        let mut outcome = Self::default();
        for host in hosts {
            *outcome.counts.of(host.state) += 1;
            if host.state == HostState::Failed {
                Failures::note(&mut outcome.failures, &host.code, OTHER_CODES, &host.hostname);
            }
        }
        outcome
    }
}

/// What a code means that a host answers an action with, where it means something there.
pub fn meaning(kind: Kind, code: &str) -> Option<&'static str> {
    match (kind, ErrorCode::parse(code)?) {
        (Kind::Restart, ErrorCode::BadName) => Some("there is no such agent on this host"),
        (Kind::Restart, ErrorCode::Held) => Some("it is held on this host, or an upgrade of it is under way"),
        (Kind::Restart, ErrorCode::UnknownCmd) => {
            Some("it is not ordered to run on this host, or the updater is too old for it")
        }
        (Kind::Restart, ErrorCode::ControlMissing) => Some("it is ordered, and not installed yet"),
        (Kind::Report, ErrorCode::UnknownCmd) => Some("the updater is too old for it"),
        _ => None,
    }
}

impl Host {
    /// What a host waits for, or why it did not do it.
    pub fn why(&self, kind: Kind) -> Option<&'static str> {
        match (self.state, self.told) {
            (HostState::Failed, _) => meaning(kind, &self.code),
            (HostState::Expired, Some(_)) => Some("it was told, and did not answer before the job was over"),
            (HostState::Expired, None) => Some("it could not be told before the job was over"),
            _ => None,
        }
    }
}
