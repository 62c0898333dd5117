//! `GET /metrics`: for Prometheus.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use crate::clock::now_ms;
use crate::domain::host::State as Standing;
use crate::metrics::{Hosts, Looked};
use crate::running::App;

const CONTENT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// For so long a count of all hosts is good for everybody: anybody may ask.
const COUNTED: Duration = Duration::from_secs(5);

/// Counts of hosts, heartbeats and writes; nothing of any one host.
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses((status = 200, body = String, content_type = "application/openmetrics-text")))]
pub async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let hosts = counted(&app).await;
    let looked = hosts.map(|hosts| Looked {
        hosts,
        generation: app.current().generation,
        pending_bytes: app.fleet.pending_bytes() as u64,
        texts_bytes: app.fleet.texts_bytes() as u64,
    });
    let broken = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written");
    let text = looked.and_then(|looked| app.metrics.text(&looked)).map_err(broken)?;
    Ok(([(CONTENT_TYPE, CONTENT)], text).into_response())
}

/// Those who come while the hosts are counted wait for the same count, though who began it may be gone.
async fn counted(app: &Arc<App>) -> Result<Hosts, std::fmt::Error> {
    let mut last = app.metrics.counted.clone().lock_owned().await;
    if let Some((_, hosts)) = last.as_ref().filter(|(at, _)| at.elapsed() < COUNTED) {
        return Ok(hosts.clone());
    }
    let turn = app.scans.clone().acquire_owned().await;
    let counting = app.clone();
    let count = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let hosts = count(&counting);
        *last = Some((Instant::now(), hosts.clone()));
        hosts
    });
    count.await.map_err(|_| std::fmt::Error)
}

fn count(app: &App) -> Hosts {
    let mut hosts = Standing::ALL.map(|state| (state, 0_u64));
    let now = now_ms() / 1000;
    app.fleet.visit(|_, host| {
        let state = app.fleet.state(host, now);
        hosts.iter_mut().filter(|(counted, _)| *counted == state).for_each(|(_, count)| *count += 1);
    });
    hosts.iter().map(|(state, count)| (state.as_str(), *count)).collect()
}
