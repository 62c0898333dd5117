//! Packages: brought, listed, looked into, marked, deleted, read again.

mod gc;
mod shown;
mod upload;
mod uses;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, StatusCode};
use ops_package::Platform;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::asked::{self, Nothing, Query, Segment};
use super::auth::{Publisher, Viewer, With};
use super::page::{self, Page};
use super::problem::{Problem, Problems};
use super::whole::whole;
use crate::domain::package::{Build, NoBuild};
use crate::packages::NotDone;
use crate::running::App;
use crate::store::{Package, PackageChange, PackageState};
pub use gc::{__path_gc, gc};
use shown::Shown;
pub use upload::{__path_put, __path_upload_offset, put, upload_offset};
use uses::{Uses, ordered};

/// The longest reason for which a package is deprecated, in bytes.
const DEPRECATED_BYTES_MAX: usize = 1024;

impl From<NoBuild> for Problem {
    fn from(why: NoBuild) -> Self {
        Self::field(why.field(), why.to_string())
    }
}

impl From<NotDone> for Problem {
    fn from(why: NotDone) -> Self {
        let status = match why {
            NotDone::Store(error) => return error.into(),
            NotDone::NotDeleted(..) => {
                return Self::new(StatusCode::INTERNAL_SERVER_ERROR, why.to_string()).code("delete_failed");
            }
            NotDone::HalfDeleted(..) | NotDone::Reading => {
                return Self::new(StatusCode::SERVICE_UNAVAILABLE, why.to_string()).retry_after(60);
            }
            NotDone::Differs(_) | NotDone::Leaving(_) | NotDone::Taken(..) | NotDone::InUse(..) => {
                StatusCode::CONFLICT
            }
            NotDone::Blob(_) | NotDone::Altered(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, why.to_string())
    }
}

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
    Ok(Json(PackageList { packages: page.items.iter().map(shown).collect(), next: page.next, total }))
}

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
    async fn of(app: &Arc<App>, builds: &[Arc<Package>]) -> Result<Self, Problem> {
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

/// Every build of a version, or why there is none.
fn builds(app: &App, name: &str, version: &str) -> Result<Vec<Arc<Package>>, Problem> {
    match app.packages.builds(name, version) {
        none if none.is_empty() => Err(Problem::missing(format!("package {name:?} {version:?}"))),
        builds => Ok(builds),
    }
}

/// Which of the builds of a version; the one for all hosts, unless said.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OneBuild {
    #[serde(default)]
    #[param(value_type = Option<String>, pattern = "^[a-z0-9_]{0,32}$")]
    os: String,
    #[serde(default)]
    #[param(value_type = Option<String>, pattern = "^[a-z0-9_]{0,32}$")]
    arch: String,
}

impl OneBuild {
    fn find(&self, app: &App, name: &str, version: &str) -> Result<Arc<Package>, Problem> {
        Platform::new(&self.os, &self.arch).map_err(NoBuild::Platform)?;
        let missing = || {
            let of_others = app.packages.builds(name, version);
            let others = of_others.iter().map(|it| it.build.to_string()).collect::<Vec<_>>().join(", ");
            let there = if others.is_empty() { String::new() } else { format!("; there is {others}") };
            Problem::missing(format!("package {name:?} {version:?} for these hosts{there}"))
        };
        let build = Build::check(name, version, &self.os, &self.arch).map_err(|_| missing())?;
        app.packages.find(&build).ok_or_else(missing)
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

/// What is to be changed; what is not given stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Marks {
    /// Why nobody should use it any more; null: it may be used.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 1024)]
    deprecated: Option<Option<String>>,
    /// Whether it cannot be deleted.
    protected: Option<bool>,
}

/// Null is something else than nothing.
fn given<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(value).map(Some)
}

/// Marks every build of a version.
#[utoipa::path(patch, path = "/api/v1/packages/{name}/{version}", operation_id = "markPackage", tag = "packages", security(("token" = [])),
    params(("name" = String, Path), ("version" = String, Path)), request_body = Marks,
    responses((status = 200, body = PackageDetail), Problems))]
pub async fn mark(
    State(app): State<Arc<App>>,
    publisher: With<Publisher>,
    Segment((name, version)): Segment<(String, String)>,
    _: Query<Nothing>,
    asked::Json(marks): asked::Json<Marks>,
) -> Result<Json<PackageDetail>, Problem> {
    let reason = marks.deprecated.as_ref().and_then(Option::as_ref);
    if reason.is_some_and(|it| it.trim().is_empty() || it.len() > DEPRECATED_BYTES_MAX) {
        let detail = format!("`deprecated` has to be a reason of 1 to {DEPRECATED_BYTES_MAX} bytes, or null");
        return Err(Problem::field("deprecated", detail));
    }
    let (marking, builds) = (app.clone(), builds(&app, &name, &version)?);
    let marked = whole(async move {
        let mut marked = Vec::new();
        for package in &builds {
            let Marks { deprecated, protected } = &marks;
            let change = PackageChange::Mark { deprecated: deprecated.clone(), protected: *protected };
            let actor = publisher.caller.actor();
            marked.push(marking.packages.mark(&marking.store, actor, package, change).await?);
        }
        Ok::<_, NotDone>(marked)
    });
    let marked = marked.await?;
    PackageDetail::of(&app, &marked).await.map(Json)
}

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
        for package in &chosen {
            let actor = publisher.caller.actor();
            app.packages.delete(&app.store, actor, package, |build| ordered(&app, build)).await?;
        }
        Ok::<_, NotDone>(())
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether the bytes of a package are what was brought.
#[derive(Serialize, ToSchema)]
pub struct Verified {
    /// `good`, `missing`, `altered` or `unreadable`.
    state: &'static str,
    /// What is wrong; and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// Reads the bytes of a package to their end.
#[utoipa::path(post, path = "/api/v1/packages/{name}/{version}/verify", operation_id = "verifyPackage", tag = "packages",
    security(("token" = [])), params(("name" = String, Path), ("version" = String, Path), OneBuild),
    responses((status = 200, body = Verified), Problems))]
pub async fn verify(
    State(app): State<Arc<App>>,
    _: With<Publisher>,
    Segment((name, version)): Segment<(String, String)>,
    Query(asked): Query<OneBuild>,
) -> Result<Json<Verified>, Problem> {
    let package = asked.find(&app, &name, &version)?;
    let verified = whole(async move { Ok::<_, Problem>(app.packages.verify(&app.store, &package).await) });
    let (state, why) = match verified.await? {
        Ok(()) => ("good", None),
        Err(NotDone::Blob(crate::blobs::BlobError::Missing)) => {
            ("missing", Some("its file is gone; push the package again".to_owned()))
        }
        Err(why @ NotDone::Altered(_)) => ("altered", Some(why.to_string())),
        Err(NotDone::Blob(why)) => ("unreadable", Some(format!("its file cannot be read: {why}"))),
        Err(why) => return Err(why.into()),
    };
    Ok(Json(Verified { state, why }))
}
