//! Every URL.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::http::{files, heartbeat, legacy};
use crate::running::App;

/// `get` answers HEAD too.
pub fn router(app: Arc<App>) -> Router {
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
        .with_state(app)
}
