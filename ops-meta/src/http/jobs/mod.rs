//! Jobs: something that each of some hosts does once.

mod hosts;
mod shown;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::asked::{self, Nothing, Query, Segment};
use super::auth::{Operator, Viewer, With};
use super::editing::{HowMeant, may_edit};
use super::page::{self, Page};
use super::problem::{Problem, Problems};
use super::whole::whole;
use crate::domain::job::{EXPIRES_SECS, Kind, State as JobState};
use crate::jobs::{Made, NotMade, ToMake};
use crate::meant_hosts::MeantHosts;
use crate::running::App;
use crate::store::JobsAsked;
pub use hosts::*;
use shown::JobShown;

/// What is to be done, and by whom.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = JobWanted)]
pub struct Wanted {
    kind: Kind,
    /// Which one is restarted.
    #[serde(default)]
    agent: String,
    /// Hostnames, and lists as `@NAME`, which count as they are now.
    #[serde(default)]
    hosts: Vec<String>,
    /// Also the hosts that are selected now, by what is stable of them.
    #[serde(default)]
    select: String,
    /// Also hosts that were never heard of: they are told once they come.
    #[serde(default)]
    allow_unknown: bool,
    /// So many hosts at most are told and have not answered; left out: any number.
    #[schema(minimum = 1)]
    max_in_flight: Option<u32>,
    /// After so long it is over, whoever has not answered; left out: a day.
    #[schema(minimum = 1, maximum = 2_592_000)]
    expires_secs: Option<u64>,
    /// For whoever asks later why.
    #[serde(default)]
    #[schema(max_length = 1024)]
    note: String,
}

impl Wanted {
    fn checked(self) -> Result<ToMake, Problem> {
        let Self { kind, agent, hosts, select, allow_unknown, max_in_flight, expires_secs, note } = self;
        asked::note_fits(&note)?;
        let expires_secs = expires_secs.unwrap_or(EXPIRES_SECS);
        let meant = MeantHosts { hosts, select, allow_unknown };
        Ok(ToMake { kind, agent, meant, max_in_flight, expires_secs, note })
    }
}

/// What was made, or would be.
#[derive(Serialize, ToSchema)]
#[schema(as = JobMade)]
pub struct MadeShown {
    /// Null: it was a dry run.
    id: Option<u64>,
    /// Everybody who is to do it, by name.
    hosts: Vec<String>,
}

/// Makes a job: some hosts do something, each once.
#[utoipa::path(post, path = "/api/v1/jobs", operation_id = "createJob", tag = "jobs", security(("token" = [])),
    params(HowMade), request_body = Wanted,
    responses((status = 201, body = MadeShown), (status = 200, body = MadeShown, description = "a dry run"), Problems))]
pub async fn create(
    State(app): State<Arc<App>>,
    With { caller, .. }: With<Viewer>,
    Query(HowMade { dry_run }): Query<HowMade>,
    asked::Large(wanted, _one_at_a_time): asked::Large<Wanted>,
) -> Result<(StatusCode, Json<MadeShown>), Problem> {
    may_edit(&caller, HowMeant { dry_run, ..HowMeant::default() })?;
    let Made { id, hosts } = whole(app.make_job(caller.actor(), dry_run, wanted.checked()?)).await?;
    let status = if id.is_some() { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(MadeShown { id, hosts })))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[into_params(parameter_in = Query)]
#[derive(Default)]
pub struct HowMade {
    /// Only say which hosts it would be; for this the role `viewer` is enough.
    #[param(value_type = Option<bool>)]
    dry_run: bool,
}

/// Newest first.
#[derive(Serialize, ToSchema)]
pub struct JobList {
    jobs: Vec<JobShown>,
    /// For `cursor`, where there are more.
    next: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct JobsWanted {
    /// How many at most.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000, default = 50)]
    limit: page::Limit,
    /// `next` of the answer before.
    #[param(value_type = Option<i64>, minimum = 0)]
    cursor: Option<page::Cursor>,
    /// Only those in this state.
    state: Option<JobState>,
}

/// All jobs, those that are over too.
#[utoipa::path(get, path = "/api/v1/jobs", operation_id = "listJobs", tag = "jobs", security(("token" = [])),
    params(JobsWanted), responses((status = 200, body = JobList), Problems))]
pub async fn list(
    State(app): State<Arc<App>>,
    _: With<Viewer>,
    Query(asked): Query<JobsWanted>,
) -> Result<Json<JobList>, Problem> {
    let before_id = asked.cursor.map(|cursor| cursor.0);
    let wanted = JobsAsked { before_id, state: asked.state, limit: asked.limit.0 + 1 };
    let page = Page::of(app.store.jobs(wanted).await?, asked.limit, |row| row.job.id as i64);
    let jobs = page.items.into_iter().map(|row| JobShown::of(&app, row)).collect();
    Ok(Json(JobList { jobs, next: page.next }))
}

/// One job: how far it is, and what failed.
#[utoipa::path(get, path = "/api/v1/jobs/{id}", operation_id = "showJob", tag = "jobs", security(("token" = [])),
    params(("id" = u64, Path, minimum = 1)), responses((status = 200, body = JobShown), Problems))]
pub async fn show(
    State(app): State<Arc<App>>,
    _: With<Viewer>,
    Segment(id): Segment,
    _: Query<Nothing>,
) -> Result<Json<JobShown>, Problem> {
    shown(&app, number(&id)?).await
}

async fn shown(app: &App, id: u64) -> Result<Json<JobShown>, Problem> {
    let row = app.store.job(id).await?.ok_or_else(|| missing(id))?;
    Ok(Json(JobShown::of(app, row)))
}

/// Ends a job: nobody else is told. One that is over stays as it is.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/stop", operation_id = "stopJob", tag = "jobs", security(("token" = [])),
    params(("id" = u64, Path, minimum = 1)), responses((status = 200, body = JobShown), Problems))]
pub async fn stop(
    State(app): State<Arc<App>>,
    With { caller, .. }: With<Operator>,
    Segment(id): Segment,
    _: Query<Nothing>,
) -> Result<Json<JobShown>, Problem> {
    let id = number(&id)?;
    whole(app.clone().stop_job(caller.actor(), id)).await?;
    shown(&app, id).await
}

/// Deletes the history of a job that is over.
#[utoipa::path(delete, path = "/api/v1/jobs/{id}", operation_id = "deleteJob", tag = "jobs", security(("token" = [])),
    params(("id" = u64, Path, minimum = 1)), responses((status = 204), Problems))]
pub async fn delete(
    State(app): State<Arc<App>>,
    With { caller, .. }: With<Operator>,
    Segment(id): Segment,
    _: Query<Nothing>,
) -> Result<StatusCode, Problem> {
    let id = number(&id)?;
    whole(app.clone().delete_job(caller.actor(), id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn number(id: &str) -> Result<u64, Problem> {
    id.parse().map_err(|_| Problem::missing(format!("job {id:?}")))
}

fn missing(id: u64) -> Problem {
    // Both are numbered from 1.
    Problem::missing(format!(
        "job {id}; what `job install` and `job uninstall` began is a rollout (`ops-meta rollout show {id}`)"
    ))
}

impl From<NotMade> for Problem {
    fn from(why: NotMade) -> Self {
        let detail = why.to_string();
        match why {
            NotMade::Field(field, _) => Self::field(field, detail),
            NotMade::TooMany(_) => Self::new(StatusCode::CONFLICT, detail),
            NotMade::Store(error) => error.into(),
            NotMade::BrokenOff => Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail),
        }
    }
}
