//! Jobs as they are shown.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::failures::Failures;
use crate::domain::job::{Counts, Host, HostState, Job, Kind, Outcome, State};
use crate::running::App;
use crate::store::JobRow;

/// One job. Times are Unix milliseconds.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Job)]
pub struct JobShown {
    /// Of the action that hosts are told, too.
    id: u64,
    kind: Kind,
    /// Empty: of the host itself.
    agent: String,
    state: State,
    /// Of its hosts those that have answered, rounded down.
    percent: u32,
    /// How many.
    hosts: u32,
    counts: Counts,
    /// Of those that failed, by code.
    failures: BTreeMap<String, Failures>,
    max_in_flight: Option<u32>,
    created: i64,
    /// When it is over, whoever has not answered.
    expires: i64,
    finished: Option<i64>,
    /// Who made it.
    actor: String,
    note: String,
}

impl JobShown {
    /// Of one that runs, as memory has it: the database is a second behind.
    pub fn of(app: &App, row: JobRow) -> Self {
        let JobRow { job, state, finished, outcome } = row;
        let running = app.jobs.running().get(job.id).filter(|_| finished.is_none()).cloned();
        let Outcome { counts, failures } =
            running.map_or(outcome, |one| one.look(|progress| progress.outcome()));
        let Job { id, kind, agent, max_in_flight, note, actor, created, expires } = job;
        let (percent, hosts) = (counts.percent(), counts.all());
        Self {
            id,
            kind,
            agent,
            state,
            percent,
            hosts,
            counts,
            failures,
            max_in_flight,
            created,
            expires,
            finished,
            actor,
            note,
        }
    }
}

/// One host of a job. Times are Unix milliseconds.
#[derive(Serialize, ToSchema)]
#[schema(as = JobHost)]
pub struct HostShown {
    hostname: String,
    state: HostState,
    /// When it was told first.
    told: Option<i64>,
    /// When it answered.
    answered: Option<i64>,
    /// Why it failed.
    code: Option<String>,
    /// The same in words, where there are some.
    why: Option<&'static str>,
}

impl HostShown {
    pub fn of(kind: Kind, host: &Host) -> Self {
        Self {
            hostname: host.hostname.to_string(),
            state: host.state,
            told: host.told,
            answered: host.answered,
            code: Some(host.code.to_string()).filter(|code| !code.is_empty()),
            why: host.why(kind),
        }
    }
}
