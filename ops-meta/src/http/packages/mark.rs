//! What is said of a package after it came: that nobody should use it any more, that it has to stay.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::super::asked::{self, Nothing, Query, Segment};
use super::super::auth::{Publisher, With};
use super::super::problem::{Problem, Problems};
use super::super::whole::whole;
use super::builds;
use super::detail::PackageDetail;
use crate::packages::NotDone;
use crate::running::App;
use crate::store::PackageChange;

/// The longest reason for which a package is deprecated, in bytes.
const DEPRECATED_BYTES_MAX: usize = 1024;

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
