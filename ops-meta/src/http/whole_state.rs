//! The whole desired state at once: what a fleet.yaml says.

use std::sync::Arc;

use axum::extract::State;

use super::asked::{self, Nothing, Query};
use super::auth::{Viewer, With};
use super::editing::{Edits, HowMeant, OnlyIf, Shown, Tagged, edit, tagged};
use super::problem::{Problem, Problems};
use crate::domain::desired::Document;
use crate::running::App;

/// The whole desired state.
#[utoipa::path(get, path = "/api/v1/fleet", operation_id = "showFleet", tag = "fleet", security(("token" = [])),
    responses((status = 200, body = Document), Problems))]
pub async fn show(State(app): State<Arc<App>>, _: With<Viewer>, _: Query<Nothing>) -> Tagged<Document> {
    let standing = app.standing();
    tagged(standing.generation, standing.desired.document().clone())
}

/// Puts another in its place: what is not in it is deleted.
#[utoipa::path(put, path = "/api/v1/fleet", operation_id = "putFleet", tag = "fleet", security(("token" = [])),
    params(HowMeant), request_body = Document, responses((status = 200, body = Shown), Problems))]
pub async fn put(
    State(app): State<Arc<App>>,
    With { caller, .. }: With<Viewer>,
    Query(meant): Query<HowMeant>,
    only_if: OnlyIf,
    asked::Large(document, one_at_a_time): asked::Large<Document>,
) -> Result<Edits, Problem> {
    edit(&app, &caller, meant, None, move |standing| {
        let _one_at_a_time = one_at_a_time;
        only_if.fits("the desired state", Some(standing.generation))?;
        Ok(document)
    })
    .await
}
