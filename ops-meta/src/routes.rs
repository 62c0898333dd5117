//! Every URL.

use std::sync::Arc;

use axum::Router;
use axum::routing::{any, delete, get, post};

use crate::http::{events, files, health, heartbeat, legacy, openapi, problem, tokens};
use crate::running::App;

/// `get` answers HEAD too.
pub fn router(app: Arc<App>) -> Router {
    Router::new().merge(api()).merge(of_2015()).with_state(app)
}

/// What is not here is refused in JSON.
fn api() -> Router<Arc<App>> {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/api/openapi.json", get(openapi::document))
        .route("/api/v1/events", get(events::list))
        .route("/api/v1/tokens", get(tokens::list).post(tokens::create))
        .route("/api/v1/tokens/{id}", delete(tokens::revoke))
        .route("/api/v1/whoami", get(tokens::whoami))
        .route("/api", any(problem::no_such_path))
        .route("/api/", any(problem::no_such_path))
        .route("/api/{*path}", any(problem::no_such_path))
        .method_not_allowed_fallback(problem::wrong_method)
}

fn of_2015() -> Router<Arc<App>> {
    Router::new()
        .route("/heartbeat", post(heartbeat::beat))
        .route("/api/heartbeat", post(heartbeat::beat))
        .route("/status/json/{agent}", get(legacy::status_json))
        .route("/status/text/{agent}", get(legacy::status_text))
        .route("/status/json/", get(legacy::status_of_nothing))
        .route("/status/text/", get(legacy::status_of_nothing))
        .route("/config/reload", get(legacy::reload))
        .route("/health", get(legacy::health))
        .route("/version", get(legacy::version))
        .route("/workdir", get(legacy::workdir))
        .fallback(get(files::file))
}
