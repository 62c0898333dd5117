//! An agent on one host.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::deciding::NotEdited;
use crate::http::asked::{self, Nothing, Query, Segment};
use crate::http::auth::{Operator, With};
use crate::http::problem::{Problem, Problems};
use crate::http::whole::whole;
use crate::rollouts::{Install, Start};
use crate::running::App;
use crate::store::Actor;

/// What is to run on the host.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = InstallWanted)]
pub struct InstallWanted {
    agent: String,
    #[schema(min_length = 1)]
    version: String,
    /// Also where it has to wait: it is held, frozen, has no build, or lacks what the package requires.
    #[serde(default)]
    force: bool,
    #[serde(default)]
    #[schema(max_length = 1024)]
    note: String,
}

/// What is to go from the host.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UninstallWanted)]
pub struct UninstallWanted {
    agent: String,
    /// Also where it has to wait: it is held, or frozen.
    #[serde(default)]
    force: bool,
    #[serde(default)]
    #[schema(max_length = 1024)]
    note: String,
}

/// It was accepted.
#[derive(Serialize, ToSchema)]
pub struct Accepted {
    /// The rollout that does it; its end writes a policy for this host. Null: there is nothing to do.
    rollout: Option<u64>,
    /// Why there is nothing to do: it is ordered already, or this rollout does it.
    already: Option<String>,
}

/// Installs an agent on one host, as a rollout of its own. 409 with `code` `held`, `excluded`, `requires` or `frozen`: why not.
#[utoipa::path(post, path = "/api/v1/hosts/{hostname}/install", operation_id = "installOnHost", tag = "jobs",
    security(("token" = [])), params(("hostname" = String, Path)), request_body = InstallWanted,
    responses((status = 201, body = Accepted), (status = 200, body = Accepted, description = "nothing to do"), Problems))]
pub async fn install(
    State(app): State<Arc<App>>,
    With { caller, .. }: With<Operator>,
    Segment(hostname): Segment,
    _: Query<Nothing>,
    asked::Json(wanted): asked::Json<InstallWanted>,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    let InstallWanted { agent, version, force, note } = wanted;
    if version.is_empty() {
        return Err(Problem::field("version", "`version` has to say which version is to be installed"));
    }
    accepted(app, caller.actor(), Install { hostname, agent, version, cmd: "start", force, note }).await
}

/// Uninstalls an agent on one host, in the same way.
#[utoipa::path(post, path = "/api/v1/hosts/{hostname}/uninstall", operation_id = "uninstallOnHost", tag = "jobs",
    security(("token" = [])), params(("hostname" = String, Path)), request_body = UninstallWanted,
    responses((status = 201, body = Accepted), (status = 200, body = Accepted, description = "nothing to do"), Problems))]
pub async fn uninstall(
    State(app): State<Arc<App>>,
    With { caller, .. }: With<Operator>,
    Segment(hostname): Segment,
    _: Query<Nothing>,
    asked::Json(wanted): asked::Json<UninstallWanted>,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    let UninstallWanted { agent, force, note } = wanted;
    let version = String::new();
    accepted(app, caller.actor(), Install { hostname, agent, version, cmd: "uninstall", force, note }).await
}

async fn accepted(
    app: Arc<App>,
    actor: Actor,
    wanted: Install,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    asked::note_fits(&wanted.note)?;
    match whole(app.install(actor, wanted)).await?.what {
        Start::Begun(id) => Ok((StatusCode::CREATED, Json(Accepted { rollout: Some(id), already: None }))),
        Start::Already(why, rollout) => Ok((StatusCode::OK, Json(Accepted { rollout, already: Some(why) }))),
        // It was none.
        Start::Tried(_) => Err(NotEdited::BrokenOff.into()),
    }
}
