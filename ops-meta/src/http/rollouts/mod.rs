//! Rollouts: a policy changed in waves.

mod hosts;
mod shown;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::asked::{self, Nothing, Query, Segment};
use super::auth::{Caller, Operator, Viewer, With};
use super::editing::{HowMeant, may_edit};
use super::page::{self, Page};
use super::problem::{Problem, Problems};
use super::whole::whole;
use crate::domain::rollout::{OnBreach, PlanText, State as RolloutState, Verb, WaveText, WindowText};
use crate::meant_hosts::MeantHosts;
use crate::rollouts::{Start, Started, ToStart, Tried};
use crate::running::App;
use crate::simulation::Simulated;
use crate::store::RolloutsAsked;
pub use hosts::*;
pub use shown::part;
use shown::{Detail, Head};

/// What is to change, and in which waves.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[schema(as = RolloutWanted)]
pub struct Wanted {
    /// Whose policy: with neither `group` nor `host` that for all hosts.
    agent: String,
    group: String,
    host: String,
    /// Or of each of these hosts, which need not have one yet: names, and lists as `@NAME`, which count as they are now.
    hosts: Vec<String>,
    /// Also the hosts that are selected now, by what is stable of them.
    select: String,
    /// Also hosts of these names that were never heard of.
    allow_unknown: bool,
    /// What its version is to be; left out: as it is.
    version: String,
    /// `start`, `stop` or `uninstall`; left out: as it is.
    #[schema(pattern = "^(start|stop|uninstall)?$")]
    cmd: String,
    /// The last one is 100 % of all hosts.
    waves: Vec<WaveText>,
    /// What it does when too many hosts fail; left out: it pauses.
    on_breach: OnBreach,
    /// Hosts begin only while one of them is open; left out: at any time.
    windows: Vec<WindowText>,
    /// Only written down; `approve` begins it.
    draft: bool,
    /// Also where no host, or none of a wave, is of it.
    allow_empty: bool,
    /// For whoever asks later why.
    #[schema(max_length = 1024)]
    note: String,
}

impl Wanted {
    fn checked(self) -> Result<ToStart, Problem> {
        let Self { agent, group, host, version, cmd, waves, on_breach, windows, .. } = self;
        let Self { hosts, select, allow_unknown, draft, allow_empty, note, .. } = self;
        asked::note_fits(&note)?;
        let meant = MeantHosts { hosts, select, allow_unknown };
        let hosts = Vec::new();
        let plan = PlanText { agent, group, host, hosts, version, cmd, waves, on_breach, windows };
        let allow_empty = allow_empty || allow_unknown;
        Ok(ToStart { plan, note, draft, allow_empty, meant })
    }
}

/// What began, or would.
#[derive(Serialize, ToSchema)]
#[schema(as = RolloutStarted)]
pub struct StartShown {
    /// Null: nothing was begun.
    id: Option<u64>,
    /// In which it counts.
    generation: u64,
    /// Of a dry run, what would come of it.
    tried: Option<TriedShown>,
    /// Why there is nothing to begin: what is wanted is ordered already, or this rollout brings it.
    already: Option<String>,
}

/// What would come of a rollout when all is done.
#[derive(Serialize, ToSchema)]
#[schema(as = RolloutTried)]
pub struct TriedShown {
    changed: Simulated,
    /// By wave, how many hosts it selects.
    selected: Vec<u32>,
    /// Of the hosts that are named, those of which nothing would change.
    there: usize,
    /// Hosts that the policy is for as well, and for which a stronger one says otherwise: the rollout passes them by.
    stronger: usize,
    /// Why it is done with `confirm=true` only; null: it need not be confirmed.
    unconfirmed: Option<String>,
}

impl From<Tried> for TriedShown {
    fn from(it: Tried) -> Self {
        let Tried { simulated, selected, there, stronger, unconfirmed } = it;
        Self { changed: simulated, selected, there, stronger, unconfirmed }
    }
}

/// Begins a rollout: a policy is changed for a few hosts, then for more, then for all.
#[utoipa::path(post, path = "/api/v1/rollouts", operation_id = "startRollout", tag = "rollouts", security(("token" = [])),
    params(HowMeant), request_body = Wanted,
    responses((status = 201, body = StartShown), (status = 200, body = StartShown, description = "a dry run, or nothing to begin"), Problems))]
pub async fn start(
    State(app): State<Arc<App>>,
    With { caller, .. }: With<Viewer>,
    Query(meant): Query<HowMeant>,
    asked::Large(wanted, _one_at_a_time): asked::Large<Wanted>,
) -> Result<(StatusCode, Json<StartShown>), Problem> {
    may_edit(&caller, meant)?;
    let wanted = wanted.checked()?;
    let started = whole(app.start_rollout(caller.actor(), meant.into(), wanted)).await?;
    let Started { generation, what } = started;
    let (id, tried, already) = match what {
        Start::Begun(id) => (Some(id), None, None),
        Start::Tried(tried) => (None, Some(tried.into()), None),
        Start::Already(why, by) => (by, None, Some(why)),
    };
    let is_new = id.is_some() && already.is_none();
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(StartShown { id, generation, tried, already })))
}

/// Newest first.
#[derive(Serialize, ToSchema)]
pub struct RolloutList {
    rollouts: Vec<Head>,
    /// For `cursor`, where there are more.
    next: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RolloutsWanted {
    /// How many at most.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000, default = 50)]
    limit: page::Limit,
    /// `next` of the answer before.
    #[param(value_type = Option<i64>, minimum = 0)]
    cursor: Option<page::Cursor>,
    /// Only those in this state.
    state: Option<RolloutState>,
    /// Only those of this agent.
    agent: Option<String>,
}

/// All rollouts, those that are over too.
#[utoipa::path(get, path = "/api/v1/rollouts", operation_id = "listRollouts", tag = "rollouts", security(("token" = [])),
    params(RolloutsWanted), responses((status = 200, body = RolloutList), Problems))]
pub async fn list(
    State(app): State<Arc<App>>,
    _: With<Viewer>,
    Query(asked): Query<RolloutsWanted>,
) -> Result<Json<RolloutList>, Problem> {
    let limit = asked.limit;
    let found = app.store.rollouts(RolloutsAsked {
        before_id: asked.cursor.map(|cursor| cursor.0),
        state: asked.state.map(RolloutState::as_str),
        agent: asked.agent,
        limit: limit.0 + 1,
    });
    let page = Page::of(found.await?, limit, |row| row.id as i64);
    let rollouts = page.items.into_iter().map(|row| Head::of(&app, row)).collect::<Result<_, _>>()?;
    Ok(Json(RolloutList { rollouts, next: page.next }))
}

/// One rollout: how far it is, and what it waits for.
#[utoipa::path(get, path = "/api/v1/rollouts/{id}", operation_id = "showRollout", tag = "rollouts", security(("token" = [])),
    params(("id" = u64, Path, minimum = 1)), responses((status = 200, body = Detail), Problems))]
pub async fn show(
    State(app): State<Arc<App>>,
    _: With<Viewer>,
    Segment(id): Segment,
    _: Query<Nothing>,
) -> Result<Json<Detail>, Problem> {
    detail(&app, number(&id)?).await
}

async fn detail(app: &Arc<App>, id: u64) -> Result<Json<Detail>, Problem> {
    let row = app.store.rollout(id).await?.ok_or_else(|| missing(id))?;
    Detail::of(app, row).map(Json)
}

/// Which wave is meant.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WaveMeant {
    /// The wave that `next` ends, or that `approve` begins, from 1: said a second time, it does not count for another.
    #[schema(minimum = 1)]
    wave: Option<usize>,
}

/// Does something with a rollout. What is done already is done again without harm.
#[utoipa::path(post, path = "/api/v1/rollouts/{id}/{verb}", operation_id = "moveRollout", tag = "rollouts", security(("token" = [])),
    params(("id" = u64, Path, minimum = 1), ("verb" = Verb, Path)), request_body = Option<WaveMeant>,
    responses((status = 200, body = Detail), Problems))]
pub async fn go_on(
    State(app): State<Arc<App>>,
    With { caller, .. }: With<Operator>,
    Segment((id, verb)): Segment<(String, String)>,
    _: Query<Nothing>,
    asked::Maybe(meant): asked::Maybe<WaveMeant>,
) -> Result<Json<Detail>, Problem> {
    let id = number(&id)?;
    let verb: Verb = verb.parse().map_err(Problem::missing_verb)?;
    let wave = match meant.wave {
        Some(0) => return Err(Problem::field("wave", "`wave` has to be 1 or more")),
        wave => wave.map(|wave| wave - 1),
    };
    moved(&app, &caller, id, verb, wave).await?;
    detail(&app, id).await
}

async fn moved(
    app: &Arc<App>,
    caller: &Caller,
    id: u64,
    verb: Verb,
    wave: Option<usize>,
) -> Result<(), Problem> {
    whole(app.clone().move_rollout(caller.actor(), id, verb, wave)).await
}

/// Deletes the history of a rollout that is over. What it decided stays.
#[utoipa::path(delete, path = "/api/v1/rollouts/{id}", operation_id = "deleteRollout", tag = "rollouts", security(("token" = [])),
    params(("id" = u64, Path, minimum = 1)), responses((status = 204), Problems))]
pub async fn delete(
    State(app): State<Arc<App>>,
    With { caller, .. }: With<Operator>,
    Segment(id): Segment,
    _: Query<Nothing>,
) -> Result<StatusCode, Problem> {
    let id = number(&id)?;
    whole(app.clone().delete_rollout(caller.actor(), id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whoever looks for a way to edit one is told what there is instead.
pub async fn does_not_change() -> Problem {
    let why = "a rollout does not change once it is written down: stop it, or take it back (`POST /api/v1/rollouts/ID/stop`, \
               `rollback`), and begin another";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, why)
}

fn number(id: &str) -> Result<u64, Problem> {
    id.parse().map_err(|_| Problem::missing(format!("rollout {id:?}")))
}

fn missing(id: u64) -> Problem {
    Problem::missing(format!("rollout {id}"))
}
