//! A version goes, when nobody would miss it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::super::asked::{Query, Segment};
use super::super::auth::{Publisher, With};
use super::super::problem::{Problem, Problems};
use super::super::whole::whole;
use super::uses::{Uses, ordered};
use super::{OneBuild, builds};
use crate::packages::NotDone;
use crate::running::App;
use crate::store::PackageState;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WhichBuilds {
    /// Only the build for these; all builds of the version, unless said. An empty text: the one for all hosts.
    #[param(value_type = Option<String>, pattern = "^[a-z0-9_]{0,32}$")]
    os: Option<String>,
    #[param(value_type = Option<String>, pattern = "^[a-z0-9_]{0,32}$")]
    arch: Option<String>,
}

/// Deletes what nobody uses. Asked again, it goes on with what failed.
#[utoipa::path(delete, path = "/api/v1/packages/{name}/{version}", operation_id = "deletePackage", tag = "packages", security(("token" = [])),
    params(("name" = String, Path), ("version" = String, Path), WhichBuilds), responses((status = 204), Problems))]
pub async fn delete(
    State(app): State<Arc<App>>,
    publisher: With<Publisher>,
    Segment((name, version)): Segment<(String, String)>,
    Query(asked): Query<WhichBuilds>,
) -> Result<StatusCode, Problem> {
    let chosen = match (asked.os, asked.arch) {
        (None, None) => builds(&app, &name, &version)?,
        (os, arch) => {
            let one = OneBuild { os: os.unwrap_or_default(), arch: arch.unwrap_or_default() };
            vec![one.find(&app, &name, &version)?]
        }
    };
    let Some(build) = chosen.first().map(|it| it.build.clone()) else {
        return Err(Problem::missing(format!("package {name:?} {version:?}")));
    };
    if let Some(protected) = chosen.iter().find(|it| it.protected && it.state == PackageState::Ready) {
        let detail = format!(
            "package {} is protected; `ops-meta package protect --off` lifts that; nothing was deleted",
            protected.build
        );
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    let used = Uses::of(&app, [build.name.clone()]).await?.sentences(&app, &build);
    if let Some(first) = used.first() {
        let more = if used.len() > 1 { format!(", and {} more", used.len() - 1) } else { String::new() };
        let detail = format!("package {name} {version} is in use: {first}{more}; nothing was deleted");
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    whole(async move {
        // Nobody orders it meanwhile.
        let _turn = app.deciding.turn().await;
        for package in &chosen {
            let actor = publisher.caller.actor();
            app.packages.delete(&app.store, actor, package, |build| ordered(&app, build)).await?;
        }
        Ok::<_, NotDone>(())
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
