//! `GET /metrics`: for Prometheus.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use crate::clock::now_ms;
use crate::domain::host::State as Standing;
use crate::metrics::Looked;
use crate::running::App;

const CONTENT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Counts of hosts, heartbeats and writes; nothing of any one host.
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses((status = 200, body = String, content_type = "application/openmetrics-text")))]
pub async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let turn = app.scans.clone().acquire_owned().await;
    let looking = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        app.metrics.text(&looked(&app))
    });
    let broken = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written");
    let text = looking.await.map_err(|_| std::fmt::Error).flatten().map_err(broken)?;
    Ok(([(CONTENT_TYPE, CONTENT)], text).into_response())
}

fn looked(app: &App) -> Looked {
    let mut hosts = Standing::ALL.map(|state| (state, 0_u64));
    let now = now_ms() / 1000;
    app.fleet.visit(|_, host| {
        let state = app.fleet.state(host, now);
        hosts.iter_mut().filter(|(counted, _)| *counted == state).for_each(|(_, count)| *count += 1);
    });
    Looked {
        hosts: hosts.iter().map(|(state, count)| (state.as_str(), *count)).collect(),
        generation: app.running().current.generation,
        pending_bytes: app.fleet.pending_bytes() as u64,
    }
}
