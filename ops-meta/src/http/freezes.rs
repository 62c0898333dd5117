//! Freezes: times in which nothing may be changed.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use ops_wire::AgentName;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::asked::{self, Nothing, Query, Segment};
use super::auth::{Operator, Viewer, With};
use super::problem::{Problem, Problems};
use super::whole::whole;
use crate::domain::freeze::{Freeze, Frozen};
use crate::running::App;

/// The longest reason, in bytes.
const WHY_BYTES_MAX: usize = 1024;

/// What is to be frozen: all changes, those of one agent, or those on the hosts of one group.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FreezeWanted)]
pub struct Wanted {
    #[serde(default)]
    agent: String,
    #[serde(default)]
    group: String,
    /// Whoever is kept from a change reads it.
    #[schema(min_length = 1, max_length = 1024)]
    why: String,
}

#[derive(Serialize, ToSchema)]
pub struct FreezeList {
    freezes: Vec<FreezeShown>,
}

/// One that has not ended.
#[derive(Serialize, ToSchema)]
#[schema(as = Freeze)]
pub struct FreezeShown {
    id: u64,
    /// Empty, as `group`: all changes.
    agent: String,
    group: String,
    why: String,
    actor: String,
    /// Unix milliseconds.
    since: i64,
}

impl From<&Freeze> for FreezeShown {
    fn from(it: &Freeze) -> Self {
        let (agent, group) = match &it.of {
            Frozen::All => (String::new(), String::new()),
            Frozen::Agent(agent) => (agent.to_string(), String::new()),
            Frozen::Group(group) => (String::new(), group.to_string()),
        };
        Self { id: it.id, agent, group, why: it.why.clone(), actor: it.actor.clone(), since: it.since }
    }
}

impl Wanted {
    fn checked(self) -> Result<(Frozen, String), Problem> {
        let Self { agent, group, why } = self;
        if why.trim().is_empty() || why.len() > WHY_BYTES_MAX {
            let detail = format!("`why` has to say in 1 to {WHY_BYTES_MAX} bytes why nothing may be changed");
            return Err(Problem::field("why", detail));
        }
        let of = match (agent.as_str(), group.as_str()) {
            ("", "") => Frozen::All,
            ("", group) => Frozen::Group(group.into()),
            (agent, "") => {
                let agent: Result<AgentName, _> = agent.parse();
                let wrong = |why| Problem::field("agent", format!("`agent` is no name: {why}"));
                Frozen::Agent(agent.map_err(wrong)?)
            }
            _ => {
                let detail = "it is for an agent and for a group; make two of it".to_owned();
                return Err(Problem::field("group", detail));
            }
        };
        Ok((of, why))
    }
}

/// All that have not ended.
#[utoipa::path(get, path = "/api/v1/freezes", operation_id = "listFreezes", tag = "freezes", security(("token" = [])),
    responses((status = 200, body = FreezeList), Problems))]
pub async fn list(State(app): State<Arc<App>>, _: With<Viewer>, _: Query<Nothing>) -> Json<FreezeList> {
    Json(FreezeList { freezes: app.freezes().iter().map(FreezeShown::from).collect() })
}

/// From now on rollouts begin on no more hosts, and changes are refused, until somebody ends it. What is under way goes on,
/// and what goes wrong is taken back.
#[utoipa::path(post, path = "/api/v1/freezes", operation_id = "beginFreeze", tag = "freezes", security(("token" = [])),
    request_body = Wanted, responses((status = 201, body = FreezeShown), Problems))]
pub async fn begin(
    State(app): State<Arc<App>>,
    With { caller, .. }: With<Operator>,
    _: Query<Nothing>,
    asked::Json(wanted): asked::Json<Wanted>,
) -> Result<(StatusCode, Json<FreezeShown>), Problem> {
    let (of, why) = wanted.checked()?;
    let freeze = whole(app.freeze(caller.actor(), of, why)).await?;
    Ok((StatusCode::CREATED, Json(FreezeShown::from(&freeze))))
}

/// Ends a freeze.
#[utoipa::path(delete, path = "/api/v1/freezes/{id}", operation_id = "endFreeze", tag = "freezes", security(("token" = [])),
    params(("id" = u64, Path, minimum = 1)), responses((status = 204), Problems))]
pub async fn end(
    State(app): State<Arc<App>>,
    With { caller, .. }: With<Operator>,
    Segment(id): Segment,
    _: Query<Nothing>,
) -> Result<StatusCode, Problem> {
    let id = id.parse().map_err(|_| Problem::missing(format!("freeze {id:?}")))?;
    whole(app.unfreeze(caller.actor(), id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
