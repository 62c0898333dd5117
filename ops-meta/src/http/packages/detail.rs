//! One version, whole.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderName;
use axum::http::header::CONTENT_TYPE;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::asked::{Nothing, Query, Segment};
use super::super::auth::{Viewer, With};
use super::super::problem::{Problem, Problems};
use super::shown::{self, Shown};
use super::uses::{self, Uses};
use super::{OneBuild, builds};
use crate::running::App;
use crate::store::Package;

/// One version: all its builds, and who has to do with it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PackageDetail {
    name: String,
    version: String,
    builds: Vec<Shown>,
    /// Packages whose manifest requires this agent: `NAME VERSION`.
    required_by: Vec<String>,
    /// Who would miss it, in a sentence each. It cannot be deleted while there is one.
    used_by: Vec<String>,
    hosts: uses::Hosts,
}

impl PackageDetail {
    pub async fn of(app: &Arc<App>, builds: &[Arc<Package>]) -> Result<Self, Problem> {
        let Some(first) = builds.first() else { return Err(Problem::missing("such package")) };
        let build = &first.build;
        let uses = Uses::of(app, [build.name.clone()]).await?;
        let requires = |it: &Arc<Package>| it.content.said("requires").get(build.name.as_str()).is_some();
        let requiring = app.packages.all().into_iter().filter(requires);
        let mut required_by: Vec<String> =
            requiring.map(|it| format!("{} {}", it.build.name, it.build.version)).collect();
        required_by.dedup();
        Ok(Self {
            name: build.name.to_string(),
            version: build.version.to_string(),
            builds: builds.iter().map(|it| Shown::of(it)).collect(),
            required_by,
            used_by: uses.sentences(app, build),
            hosts: uses.of_version(build),
        })
    }
}

/// One version.
#[utoipa::path(get, path = "/api/v1/packages/{name}/{version}", operation_id = "showPackage", tag = "packages", security(("token" = [])),
    params(("name" = String, Path), ("version" = String, Path)), responses((status = 200, body = PackageDetail), Problems))]
pub async fn show(
    State(app): State<Arc<App>>,
    _: With<Viewer>,
    Segment((name, version)): Segment<(String, String)>,
    _: Query<Nothing>,
) -> Result<Json<PackageDetail>, Problem> {
    let builds = builds(&app, &name, &version)?;
    PackageDetail::of(&app, &builds).await.map(Json)
}

/// What is in it.
#[utoipa::path(get, path = "/api/v1/packages/{name}/{version}/entries", operation_id = "listPackageEntries", tag = "packages",
    security(("token" = [])), params(("name" = String, Path), ("version" = String, Path), OneBuild),
    responses((status = 200, body = shown::EntryList), Problems))]
pub async fn entries(
    State(app): State<Arc<App>>,
    _: With<Viewer>,
    Segment((name, version)): Segment<(String, String)>,
    Query(asked): Query<OneBuild>,
) -> Result<([(HeaderName, &'static str); 1], String), Problem> {
    let package = asked.find(&app, &name, &version)?;
    // Each may be large.
    let _turn = app.event_lists.clone().acquire_owned().await;
    let listing = app.store.package_entries(package.id).await?;
    let listing = listing.ok_or_else(|| Problem::missing(format!("list of package {}", package.build)))?;
    Ok(([(CONTENT_TYPE, "application/json")], listing))
}
