//! Lists of packages.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::asked::Query;
use super::super::auth::{Viewer, With};
use super::super::page::{self, Page};
use super::super::problem::{Problem, Problems};
use super::shown::Shown;
use super::uses::Uses;
use crate::running::App;
use crate::store::{Package, PackageState};

/// Some packages, the newest first.
#[derive(Serialize, ToSchema)]
pub struct PackageList {
    packages: Vec<Shown>,
    /// For `cursor`, where there are more.
    next: Option<String>,
    /// How many the filters admit, where it was asked for.
    total: Option<usize>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListAsked {
    /// How many at most.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000, default = 50)]
    limit: page::Limit,
    /// `next` of the answer before.
    #[param(value_type = Option<i64>, minimum = 0)]
    cursor: Option<page::Cursor>,
    /// Whether to count all that the filters admit.
    #[serde(default)]
    #[param(value_type = Option<bool>)]
    total: bool,
    /// Whether to count the hosts of each, which looks at every host.
    #[serde(default)]
    #[param(value_type = Option<bool>)]
    hosts: bool,
    name: Option<String>,
    /// A part of the name, the version or the description.
    q: Option<String>,
    /// `ready`, `deleting` or `delete_failed`.
    #[param(pattern = "^(ready|deleting|delete_failed)$")]
    state: Option<String>,
    deprecated: Option<bool>,
    protected: Option<bool>,
}

impl ListAsked {
    fn state(&self) -> Result<Option<PackageState>, Problem> {
        let Some(text) = &self.state else { return Ok(None) };
        let wrong = |_| Problem::field("state", "`state` has to be ready, deleting or delete_failed");
        text.parse().map(Some).map_err(wrong)
    }

    fn admits(&self, package: &Package, state: Option<PackageState>) -> bool {
        let has = |text: &str| self.q.as_deref().is_none_or(|q| text.contains(q));
        let description = package.content.said("description").as_str().unwrap_or_default();
        let build = &package.build;
        self.name.as_deref().is_none_or(|name| name == build.name.as_str())
            && (has(build.name.as_str()) || has(build.version.as_str()) || has(description))
            && state.is_none_or(|state| state == package.state)
            && self.deprecated.is_none_or(|it| it == package.deprecated.is_some())
            && self.protected.is_none_or(|it| it == package.protected)
    }
}

/// Packages, filtered, a page at a time.
#[utoipa::path(get, path = "/api/v1/packages", operation_id = "listPackages", tag = "packages", security(("token" = [])), params(ListAsked),
    responses((status = 200, body = PackageList), Problems))]
pub async fn list(
    State(app): State<Arc<App>>,
    _: With<Viewer>,
    Query(asked): Query<ListAsked>,
) -> Result<Json<PackageList>, Problem> {
    let state = asked.state()?;
    let mut all = app.packages.all();
    all.retain(|package| asked.admits(package, state));
    all.sort_unstable_by_key(|package| std::cmp::Reverse(package.id));
    let total = asked.total.then_some(all.len());
    let rest = all.into_iter().filter(|package| asked.cursor.is_none_or(|cursor| package.id < cursor.0));
    let page = Page::of(rest, asked.limit, |package| package.id);
    let uses = match asked.hosts {
        true => Some(Uses::of(&app, page.items.iter().map(|it| it.build.name.clone())).await?),
        false => None,
    };
    let running = |package: &Package| uses.as_ref().map(|uses| uses.of_version(&package.build).running);
    let shown = |package: &Arc<Package>| Shown::of(package).on(running(package));
    let packages = page::fitting(page.items.iter().map(shown));
    // The page may be full before it has as many as were asked for.
    let last = page.items.get(..packages.len()).filter(|fitting| fitting.len() < page.items.len());
    let next = last.and_then(|fitting| fitting.last()).map(|it| it.id.to_string()).or(page.next);
    Ok(Json(PackageList { packages, next, total }))
}
