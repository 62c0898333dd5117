//! Every URL.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{MethodRouter, any, delete, get, post, put};

use crate::http::{
    downloads, events, freezes, groups, health, heartbeat, hosts, idempotency, jobs, legacy, lists, metrics,
    openapi, packages, policies, problem, rollouts, settings, tokens, whole_state,
};
use crate::running::App;
use tower::Service;

/// `get` answers HEAD too.
pub fn router(app: Arc<App>) -> Router {
    let once = from_fn_with_state(app.clone(), idempotency::once);
    Router::new().merge(api().layer(once)).merge(of_2015()).with_state(app)
}

/// Heartbeats are nearly all that comes; they are not looked for among all the others.
pub async fn answer(app: &Arc<App>, router: &Router, request: Request) -> Result<Response, Infallible> {
    match (request.method(), request.uri().path()) {
        (&Method::POST, "/heartbeat" | "/api/heartbeat") => {
            Ok(heartbeat::beat.call(request, app.clone()).await)
        }
        // A router is always ready.
        _ => router.clone().call(request).await,
    }
}

/// What is not here is refused in JSON.
fn api() -> Router<Arc<App>> {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/api/openapi.json", get(openapi::document))
        .route("/api/v1/events", get(events::list))
        .route("/api/v1/fleet", get(whole_state::show).put(whole_state::put))
        .route("/api/v1/freezes", get(freezes::list).post(freezes::begin))
        .route("/api/v1/freezes/{id}", delete(freezes::end))
        .route("/api/v1/groups", get(groups::list))
        .route("/api/v1/groups/{name}", get(groups::show).put(groups::put).delete(groups::delete))
        .route("/api/v1/hosts", get(hosts::list))
        .route("/api/v1/hosts/{hostname}", get(hosts::show).delete(hosts::forget))
        .route("/api/v1/hosts/{hostname}/explain", get(hosts::explain))
        .route("/api/v1/hosts/{hostname}/install", post(hosts::install))
        .route("/api/v1/hosts/{hostname}/uninstall", post(hosts::uninstall))
        .route("/api/v1/jobs", get(jobs::list).post(jobs::create))
        .route("/api/v1/jobs/{id}", get(jobs::show).delete(jobs::delete))
        .route("/api/v1/jobs/{id}/hosts", get(jobs::hosts))
        .route("/api/v1/jobs/{id}/stop", post(jobs::stop))
        .route("/api/v1/lists", get(lists::list))
        .route("/api/v1/lists/{name}", get(lists::show).put(lists::put).delete(lists::delete))
        .route("/api/v1/packages", get(packages::list))
        .route("/api/v1/packages/gc", post(packages::gc))
        .route("/api/v1/packages/{name}/{version}", package())
        .route("/api/v1/packages/{name}/{version}/entries", get(packages::entries))
        .route("/api/v1/packages/{name}/{version}/verify", post(packages::verify))
        .route("/api/v1/policies", get(policies::list))
        .route("/api/v1/policies/{agent}", get(policies::show).put(policies::put).delete(policies::delete))
        .route("/api/v1/rollouts", get(rollouts::list).post(rollouts::start))
        .route(
            "/api/v1/rollouts/{id}",
            get(rollouts::show).delete(rollouts::delete).fallback(rollouts::does_not_change),
        )
        .route("/api/v1/rollouts/{id}/hosts", get(rollouts::hosts))
        .route("/api/v1/rollouts/{id}/{verb}", post(rollouts::go_on))
        .route("/api/v1/settings", get(settings::show).put(settings::put))
        .route("/api/v1/uploads/{sha256}", get(packages::upload_offset))
        .route("/api/v1/tokens", get(tokens::list).post(tokens::create))
        .route("/api/v1/tokens/{id}", delete(tokens::revoke))
        .route("/api/v1/whoami", get(tokens::whoami))
        .route("/api", any(problem::no_such_path))
        .route("/api/", any(problem::no_such_path))
        .route("/api/{*path}", any(problem::no_such_path))
        .method_not_allowed_fallback(problem::wrong_method)
}

fn package() -> MethodRouter<Arc<App>> {
    // What is uploaded is bounded by its handler, and written as it comes.
    let put = put(packages::put).layer(DefaultBodyLimit::disable());
    put.get(packages::show).patch(packages::mark).delete(packages::delete)
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
        .route("/packages/{*path}", get(downloads::package))
        // 2015's prefixes may end in a slash, which makes a path that begins with two.
        .fallback(get(downloads::package))
}
