//! The hosts of one job, a page at a time.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::shown::HostShown;
use super::{missing, number};
use crate::domain::job::{Host, HostState, Progress};
use crate::domain::words::NoWord;
use crate::http::asked::{Query, Segment};
use crate::http::auth::{Viewer, With};
use crate::http::page;
use crate::http::problem::{Problem, Problems};
use crate::running::App;
use crate::store::JobHostsAsked;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HostsWanted {
    /// How many at most.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000, default = 50)]
    limit: page::Limit,
    /// `next` of the answer before.
    cursor: Option<String>,
    /// Only those that stand so; several with commas between: `failed,expired`.
    #[param(pattern = "^(pending|sent|done|failed|expired)(,(pending|sent|done|failed|expired))*$")]
    state: Option<String>,
}

/// By name.
#[derive(Serialize, ToSchema)]
pub struct JobHosts {
    hosts: Vec<HostShown>,
    /// For `cursor`, where there are more.
    next: Option<String>,
}

/// The hosts of a job: when each was told, when it answered, and what failed.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/hosts", operation_id = "listJobHosts", tag = "jobs",
    security(("token" = [])), params(("id" = u64, Path, minimum = 1), HostsWanted),
    responses((status = 200, body = JobHosts), Problems))]
pub async fn hosts(
    State(app): State<Arc<App>>,
    _: With<Viewer>,
    Segment(id): Segment,
    Query(asked): Query<HostsWanted>,
) -> Result<Json<JobHosts>, Problem> {
    let (id, limit) = (number(&id)?, asked.limit.0);
    let states = asked.state.as_deref().map(states).transpose()?.unwrap_or_default();
    let wanted = JobHostsAsked { id, after: asked.cursor, states, limit: limit + 1 };
    let running = app.jobs.running().get(id).cloned();
    let (kind, mut found) = match running {
        // The database is a second behind.
        Some(one) => (one.job.kind, one.look(|progress| of_running(progress, &wanted))),
        None => {
            let row = app.store.job(id).await?.ok_or_else(|| missing(id))?;
            (row.job.kind, app.store.job_hosts(wanted).await?)
        }
    };
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|host| host.hostname.to_string());
    Ok(Json(JobHosts { hosts: found.iter().map(|host| HostShown::of(kind, host)).collect(), next }))
}

fn states(text: &str) -> Result<Vec<HostState>, Problem> {
    let state = |text: &str| {
        text.parse().map_err(|why: NoWord| Problem::field("state", format!("`state` has {text:?}; {why}")))
    };
    text.split(',').map(state).collect()
}

fn of_running(progress: &Progress, asked: &JobHostsAsked) -> Vec<Host> {
    let fits = |host: &&Host| {
        asked.after.as_deref().is_none_or(|after| &*host.hostname > after)
            && (asked.states.is_empty() || asked.states.contains(&host.state))
    };
    progress.hosts().iter().filter(fits).take(asked.limit).cloned().collect()
}
