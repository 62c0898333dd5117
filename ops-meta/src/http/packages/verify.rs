//! Whether the bytes are still what was brought.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::asked::{Query, Segment};
use super::super::auth::{Publisher, With};
use super::super::problem::{Problem, Problems};
use super::super::whole::whole;
use super::OneBuild;
use crate::blobs::BlobError;
use crate::packages::NotDone;
use crate::running::App;

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
        Err(NotDone::Blob(BlobError::Missing)) => {
            ("missing", Some("its file is gone; push the package again".to_owned()))
        }
        Err(why @ NotDone::Altered(_)) => ("altered", Some(why.to_string())),
        Err(NotDone::Blob(why)) => ("unreadable", Some(format!("its file cannot be read: {why}"))),
        Err(why) => return Err(why.into()),
    };
    Ok(Json(Verified { state, why }))
}
