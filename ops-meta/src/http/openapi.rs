//! The description of the API, made of what stands at each handler.

use axum::Json;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{events, health, problem, tokens};

#[derive(OpenApi)]
#[openapi(
    info(title = "ops-meta", description = "Knows every host, and says which agents should run on it."),
    paths(
        document,
        events::list,
        health::healthz,
        health::readyz,
        tokens::create,
        tokens::list,
        tokens::revoke,
        tokens::whoami,
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
