//! What a call says, as its handler wants it: the query, the JSON body, a part of the path. Each is refused with a
//! `Problem` that names the field.

use std::sync::Arc;
use std::time::Duration;

use axum::body::HttpBody;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::problem::Problem;
use super::{auth, body};
use crate::domain::desired::Fault;
use crate::domain::nearest::slips;
use crate::room::Room;
use crate::running::App;

/// The longest note, in bytes.
const NOTE_BYTES_MAX: usize = 1024;
/// The largest JSON body of an administrative call.
const BODY_BYTES_MAX: usize = 64 << 10;
/// The same where the body is a whole list of hosts, or the whole desired state.
const LARGE_BYTES_MAX: usize = 16 << 20;
/// How long it waits for another one.
const LARGE_WAIT: Duration = Duration::from_secs(5);
/// How far a field may be from a known one that is suggested for it.
const SLIPS_MAX: usize = 2;

/// The parameters behind `?`. `T` says `deny_unknown_fields`.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let pairs = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let read = serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs));
        read.map(Self)
            .map_err(|error| wrong("parameter", &error.path().to_string(), &error.inner().to_string()))
    }
}

/// No parameter at all.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// A JSON object. `T` says `deny_unknown_fields`.
pub struct Json<T>(pub T);

/// The same, of many: one at a time, until what is beside it is dropped.
pub struct Large<T>(pub T, pub OwnedSemaphorePermit);

/// Of a note, which is for whoever asks later why.
pub fn note_fits(note: &str) -> Result<(), Problem> {
    if note.len() > NOTE_BYTES_MAX {
        return Err(Problem::field("note", format!("`note` may have {NOTE_BYTES_MAX} bytes")));
    }
    Ok(())
}

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        read(&body_of(request, app, BODY_BYTES_MAX, &app.calls_room).await?).map(Self)
    }
}

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Large<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let bytes = body_of(request, app, LARGE_BYTES_MAX, &app.documents_room).await?;
        // Read, it takes many times as much.
        let busy = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "another large change is being read");
        let turn = timeout(LARGE_WAIT, app.documents.clone().acquire_owned()).await;
        let turn = turn.ok().and_then(Result::ok).ok_or_else(|| busy().retry_after(1))?;
        Ok(Self(read(&bytes)?, turn))
    }
}

/// The same, where there may be none.
pub struct Maybe<T>(pub T);

impl<T: DeserializeOwned + Default> FromRequest<Arc<App>> for Maybe<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        match request.body().size_hint().exact() {
            Some(0) => Ok(Self(T::default())),
            _ => read(&body_of(request, app, BODY_BYTES_MAX, &app.calls_room).await?).map(Self),
        }
    }
}

async fn body_of(request: Request, app: &App, bytes_max: usize, room: &Room) -> Result<Bytes, Problem> {
    if !is_json(request.headers()) {
        let detail = "the body has to be JSON, and `Content-Type` to say `application/json`";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let patience = app.running().config.limits.body;
    let room = room.at(auth::address(request.extensions()));
    Ok(body::read(request.into_body(), bytes_max, patience, room).await?)
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // What serde derives also takes an array for the fields in their order.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "the body has to be a JSON object"));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let read = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let (path, said) = (error.path().to_string(), error.inner().to_string());
        // Where it stands in the JSON is nothing to whoever wrote it otherwise.
        let why = said.rsplit_once(" at line ").map_or(said.as_str(), |(why, _)| why).to_owned();
        let fault = Fault { path: path.clone(), why };
        wrong("field", &path, &said).faults(vec![fault])
    })?;
    json.end().map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("after the JSON: {error}")))?;
    Ok(read)
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// The variable part of a path, decoded, or a tuple of several.
pub struct Segment<T = String>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Segment<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(parts) = Path::from_request_parts(parts, state).await.map_err(|_| {
            Problem::new(StatusCode::NOT_FOUND, "the path is no UTF-8, so there is nothing of that name")
        })?;
        Ok(Self(parts))
    }
}

/// What serde says of a field, as a problem. Some of its sentences name the field, others leave that to the path.
fn wrong(noun: &str, path: &str, said: &str) -> Problem {
    let mut quoted = said.split('`').skip(1).step_by(2);
    let own = ["unknown field", "missing field", "duplicate field"];
    let Some(begin) = own.into_iter().find(|begin| said.starts_with(begin)) else {
        return match path {
            "." | "?" => Problem::new(StatusCode::BAD_REQUEST, format!("this cannot be read: {said}")),
            path => Problem::field(path, format!("`{path}` is wrong: {said}")),
        };
    };
    let field = quoted.next().unwrap_or_default();
    let detail = match begin {
        "unknown field" => unknown(noun, field, &quoted.collect::<Vec<_>>()),
        "missing field" => format!("the {noun} `{field}` is missing"),
        _ => format!("the {noun} `{field}` is given more than once"),
    };
    Problem::field(field, detail)
}

fn unknown(noun: &str, field: &str, known: &[&str]) -> String {
    let slips = |known: &&str| slips(&known.to_ascii_lowercase(), &field.to_ascii_lowercase());
    let nearest = known.iter().map(|known| (slips(known).unwrap_or(usize::MAX), known)).min();
    let all = known.iter().map(|known| format!("`{known}`")).collect::<Vec<_>>().join(", ");
    match nearest {
        Some((slips, nearest)) if slips <= SLIPS_MAX => {
            format!("there is no {noun} `{field}`; `{nearest}`, perhaps?")
        }
        Some(_) => format!("there is no {noun} `{field}`; there are {all}"),
        None => format!("there is no {noun} `{field}`, and no other"),
    }
}
