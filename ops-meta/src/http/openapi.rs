//! The description of the API, made of what stands at each handler.

use axum::Json;
use serde_json::Value;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};

use super::{
    downloads, events, freezes, groups, health, heartbeat, hosts, jobs, legacy, lists, metrics, packages,
    policies, problem, rollouts, settings, tokens, whole_state,
};

/// What a host says of itself. A field that is wrong is left out and told in the log; only the hostname must be there.
/// `POST /api/heartbeat` is the same.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "ops-wire has the types; it knows nothing of descriptions")]
pub struct Beat {
    #[schema(min_length = 1, max_length = 253, pattern = "^[!-~]+$")]
    hostname: String,
    /// An array of `{name, version, status, timestamp, ...}`, an object for each agent.
    real_agents: Option<Value>,
    /// An array of `{id, code}`: what was done of `actions`. Without a code it went well.
    actions_done: Option<Value>,
}

/// What is wanted of the host.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "the same")]
pub struct Answer {
    /// Always empty.
    error_message: String,
    /// `{name, version, tarball, md5, cmd}` for each agent.
    desired_agents: Vec<Value>,
    /// `{id, kind, agent}` for each thing that is to be done once.
    actions: Option<Vec<Value>>,
}

#[derive(OpenApi)]
#[openapi(
    info(title = "ops-meta", description = "Knows every host, and says which agents should run on it."),
    paths(
        document,
        events::list,
        health::healthz,
        health::readyz,
        metrics::metrics,
        freezes::begin,
        freezes::end,
        freezes::list,
        groups::delete,
        groups::list,
        groups::put,
        groups::show,
        hosts::explain,
        hosts::forget,
        hosts::install,
        hosts::list,
        hosts::show,
        hosts::uninstall,
        heartbeat::beat,
        jobs::create,
        jobs::delete,
        jobs::hosts,
        jobs::list,
        jobs::show,
        jobs::stop,
        legacy::health,
        legacy::reload,
        legacy::status_json,
        legacy::status_text,
        legacy::version,
        legacy::workdir,
        downloads::package,
        lists::delete,
        lists::list,
        lists::put,
        lists::show,
        packages::delete,
        packages::entries,
        packages::gc,
        packages::list,
        packages::mark,
        packages::put,
        packages::show,
        packages::upload_offset,
        packages::verify,
        policies::delete,
        policies::list,
        policies::put,
        policies::show,
        rollouts::delete,
        rollouts::go_on,
        rollouts::hosts,
        rollouts::list,
        rollouts::show,
        rollouts::start,
        settings::put,
        settings::show,
        tokens::create,
        tokens::list,
        tokens::revoke,
        tokens::whoami,
        whole_state::put,
        whole_state::show,
    ),
    components(schemas(problem::Told)),
    modifiers(&Token)
)]
struct Described;

/// How the token is sent.
struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("token", bearer);
    }
}

/// This description.
#[utoipa::path(get, path = "/api/openapi.json", tag = "health", responses((status = 200, body = Object)))]
pub async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(Described::openapi())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 2015's URLs each stands there once.
    const LEFT_OUT: [&str; 6] =
        ["/api", "/api/", "/api/{*path}", "/api/heartbeat", "/status/json/", "/status/text/"];

    #[test]
    fn every_url_is_described() {
        let described = Described::openapi().paths.paths;
        let routes = include_str!("../routes.rs").split(".route(\"").skip(1);
        for path in routes.filter_map(|rest| rest.split('"').next()) {
            let is_described = described.contains_key(&path.replace("{*", "{"));
            assert!(is_described || LEFT_OUT.contains(&path), "{path} is not described");
        }
    }
}
