//! What counts for all hosts.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::asked::{self, Nothing, Query};
use super::auth::{Viewer, With};
use super::editing::{Edits, HowMeant, OnlyIf, Shown, Tagged, edit, tagged};
use super::problem::{Problem, Problems};
use crate::domain::desired::{Object, SettingsText};
use crate::running::App;

/// The settings, and what counts where they say nothing.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SettingsShown {
    packages_url: Option<String>,
    confirm_above_percent: Option<u8>,
    /// Where hosts fetch what a policy names without a tarball; null: nowhere.
    packages_url_in_force: Option<String>,
    confirm_above_percent_in_force: u8,
    /// Who says what should run: `policies`, or `cfg.json`, whose agents make groups and policies count for nothing.
    decided_by: &'static str,
    /// In which they were written; 0: never.
    generation: u64,
}

/// What counts for all hosts.
#[utoipa::path(get, path = "/api/v1/settings", operation_id = "showSettings", tag = "settings", security(("token" = [])),
    responses((status = 200, body = SettingsShown), Problems))]
pub async fn show(State(app): State<Arc<App>>, _: With<Viewer>, _: Query<Nothing>) -> Tagged<SettingsShown> {
    let standing = app.standing();
    let generation = standing.generation_of(&Object::Settings).unwrap_or_default();
    let packages_url_in_force = app.packages_url(&standing.desired);
    let confirm_above_percent_in_force = standing.desired.confirm_above_percent();
    let SettingsText { packages_url, confirm_above_percent } = standing.desired.document().settings.clone();
    let shown = SettingsShown {
        packages_url,
        confirm_above_percent,
        packages_url_in_force,
        confirm_above_percent_in_force,
        decided_by: if app.current().rules().is_some() { "policies" } else { "cfg.json" },
        generation,
    };
    tagged(generation, shown)
}

/// Changes all of them: what is not given is as if it had never been.
#[utoipa::path(put, path = "/api/v1/settings", operation_id = "putSettings", tag = "settings", security(("token" = [])),
    params(HowMeant), request_body = SettingsText, responses((status = 200, body = Shown), Problems))]
pub async fn put(
    State(app): State<Arc<App>>,
    With { caller, .. }: With<Viewer>,
    Query(meant): Query<HowMeant>,
    only_if: OnlyIf,
    asked::Json(settings): asked::Json<SettingsText>,
) -> Result<Edits, Problem> {
    edit(&app, &caller, meant, Some(Object::Settings), move |standing| {
        only_if.fits("settings", Some(standing.generation_of(&Object::Settings).unwrap_or_default()))?;
        Ok(crate::domain::desired::Document { settings, ..standing.desired.document().clone() })
    })
    .await
}
