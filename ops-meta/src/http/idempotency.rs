//! `Idempotency-Key`: whoever did not hear the answer to a POST asks again with the same key, and gets that answer instead of
//! a second deed.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use sha2::{Digest, Sha256};

use super::auth::{self, Caller};
use super::body;
use super::problem::Problem;
use crate::keys::{Answer, Digested, Known};
use crate::running::App;

const KEY: &str = "idempotency-key";
/// A UUID has 36.
const KEY_BYTES_MAX: usize = 128;
/// No call with a key has a larger body.
const BODY_BYTES_MAX: usize = 64 << 10;

/// Of every call of the API.
pub async fn once(State(app): State<Arc<App>>, request: Request, next: Next) -> Result<Response, Problem> {
    let key = match request.headers().get(KEY) {
        Some(key) if request.method() == Method::POST => key.clone(),
        _ => return Ok(next.run(request).await),
    };
    let length = key.as_bytes().len();
    if !(1..=KEY_BYTES_MAX).contains(&length) || !key.as_bytes().iter().all(u8::is_ascii_graphic) {
        let detail = format!("`Idempotency-Key` has to be 1 to {KEY_BYTES_MAX} visible ASCII characters");
        return Err(Problem::field("Idempotency-Key", detail));
    }
    let (mut parts, body) = request.into_parts();
    // Whose token counts no longer hears no answer from before.
    Caller::from_request_parts(&mut parts, &app).await?;
    let patience = app.running().config.limits.body;
    let room = app.calls_room.at(auth::address(&parts.extensions));
    let body = body::read(body, BODY_BYTES_MAX, patience, room).await?;
    // Nobody hears the answer to another.
    let who = parts.headers.get(AUTHORIZATION).map_or(&[][..], HeaderValue::as_bytes);
    let key = digest(&[who, key.as_bytes()]);
    let path = parts.uri.path_and_query().map_or("", |it| it.as_str());
    match app.keys.begin(key, digest(&[path.as_bytes(), &body])) {
        Known::New => {}
        Known::Answered(answer) => return Ok(answer.into_response()),
        Known::UnderWay => {
            let detail = "the same call is under way; ask again for its answer";
            return Err(Problem::new(StatusCode::CONFLICT, detail).retry_after(1));
        }
        Known::OtherCall => {
            let detail = "another call was made with this `Idempotency-Key`; take a new one for each";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
        }
    }
    // Whoever asks again may have gone away before: it is done to its end.
    let asked = app.clone();
    let asking = tokio::spawn(async move {
        let response = next.run(Request::from_parts(parts, Body::from(body))).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map(|it| it.to_bytes()).unwrap_or_default();
        let content_type = parts.headers.get(CONTENT_TYPE).cloned();
        app.keys.end(key, Answer { status: parts.status, content_type, body: body.clone() });
        Response::from_parts(parts, Body::from(body))
    });
    asking.await.map_err(|_| {
        asked.keys.forget(key);
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the call was broken off")
    })
}

/// Each part with its length, so that no two can be taken for others.
fn digest(parts: &[&[u8]]) -> Digested {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.len().to_le_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = (self.status, Body::from(self.body)).into_response();
        if let Some(content_type) = self.content_type {
            response.headers_mut().insert(CONTENT_TYPE, content_type);
        }
        response
    }
}
