//! Is the process there, and can it do all of its work?

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::running::App;

/// Whether this process serves.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, body = str)))]
pub async fn healthz() -> &'static str {
    "ok"
}

/// What is missing, by name, with a sentence each.
#[derive(Serialize, ToSchema)]
pub struct Ready {
    ready: bool,
    #[schema(value_type = BTreeMap<String, String>)]
    missing: BTreeMap<&'static str, String>,
}

/// Whether everything is there. Heartbeats are answered even where it is not.
#[utoipa::path(get, path = "/readyz", tag = "health",
    responses((status = 200, body = Ready), (status = 503, body = Ready)))]
pub async fn readyz(State(app): State<Arc<App>>) -> (StatusCode, Json<Ready>) {
    let missing = app.readiness.missing().clone();
    let ready = missing.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Ready { ready, missing }))
}
