//! What the 2015 ops-meta answered to operators.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body::Frame;
use ops_wire::AgentName;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use utoipa::{IntoParams, ToSchema};

use super::auth::Looker;
use super::error::{Refusal, Refusals};
use super::local::ThisMachine;
use crate::domain::one_line::one_line;
use crate::fleet::Reported;
use crate::running::App;
use crate::store::without_passwords;

/// What 2015 wrapped some of its answers in: `msg` is `success`, or what went wrong.
#[derive(Serialize, ToSchema)]
pub struct Said {
    msg: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    data: Option<Value>,
}

/// By hostname; null for a host that does not report the agent.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the list is written part by part")]
pub struct Hosts(HashMap<String, StatusOrNull>);

/// An agent as one host reported it, or null.
#[derive(ToSchema)]
#[schema(value_type = Option<StatusOfHost>)]
#[expect(dead_code, reason = "the same")]
pub struct StatusOrNull(Option<StatusOfHost<'static>>);

/// An agent as one host reported it.
#[derive(Serialize, ToSchema)]
pub struct StatusOfHost<'a> {
    name: &'a str,
    version: &'a str,
    status: &'a str,
    /// Unix seconds, by the host's clock.
    timestamp: i64,
}

impl Said {
    fn success(data: Value) -> Self {
        Self { msg: "success".to_owned(), data: Some(data) }
    }
}

/// Whether this process answers.
#[utoipa::path(get, path = "/health", tag = "2015", responses((status = 200, body = str)))]
pub async fn health() -> &'static str {
    "ok"
}

/// The version of this program.
#[utoipa::path(get, path = "/version", tag = "2015", responses((status = 200, body = str)))]
pub async fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// The folder this program lies in.
#[utoipa::path(get, path = "/workdir", tag = "2015", responses((status = 200, body = Said), Refusals))]
pub async fn workdir() -> Result<Json<Said>, Refusal> {
    let program = std::env::current_exe().map_err(|_| Refusal::NotFound)?;
    let folder = program.parent().ok_or(Refusal::NotFound)?;
    Ok(Json(Said::success(folder.display().to_string().into())))
}

/// Reads the configuration again; from this machine only. What it shows has no passwords in its addresses.
#[utoipa::path(get, path = "/config/reload", tag = "2015", responses((status = 200, body = Said), Refusals))]
pub async fn reload(State(app): State<Arc<App>>, _: ThisMachine) -> Result<Json<Said>, Refusal> {
    // It goes on where the client goes away.
    let outcome = tokio::spawn(app.clone().reload());
    Ok(Json(match outcome.await.map_err(|_| Refusal::Failed)? {
        Ok(()) => Said::success(without_passwords(&app.running().config.raw)),
        Err(why) => Said { msg: why.to_string(), data: None },
    }))
}

/// Without an agent's name.
pub async fn status_of_nothing() -> Refusal {
    Refusal::Bad("agent name is blank".to_owned())
}

/// Which agent.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "ops-wire checks the name")]
pub struct OfAgent {
    #[param(max_length = 64, pattern = r"^[A-Za-z0-9_](\.?[A-Za-z0-9_+~-])*\.?$")]
    agent: String,
}

/// `{HOST: AGENT}`, with null for a host that does not report the agent.
#[utoipa::path(get, path = "/status/json/{agent}", tag = "2015", params(OfAgent),
    security((), ("token" = [])),
    responses((status = 200, body = Hosts), Refusals))]
pub async fn status_json(
    State(app): State<Arc<App>>,
    _: Looker,
    Path(agent): Path<String>,
) -> Result<Response, Refusal> {
    Ok(status(app, &agent, Form::Json)?.into_response())
}

/// `HOST VERSION STATUS TIMESTAMP DATE` a line, or `HOST not found`.
#[utoipa::path(get, path = "/status/text/{agent}", tag = "2015", params(OfAgent),
    security((), ("token" = [])),
    responses((status = 200, body = str), Refusals))]
pub async fn status_text(
    State(app): State<Arc<App>>,
    _: Looker,
    Path(agent): Path<String>,
) -> Result<Response, Refusal> {
    Ok(status(app, &agent, Form::Text)?.into_response())
}

fn status(app: Arc<App>, agent: &str, form: Form) -> Result<impl IntoResponse + use<>, Refusal> {
    let agent = agent.parse().map_err(|why| Refusal::Bad(format!("this is no agent's name: {why}")))?;
    let list = List::of(app, agent, form).ok_or(Refusal::Busy)?;
    let content_type = HeaderValue::from_static(form.content_type());
    Ok(([(CONTENT_TYPE, content_type)], Body::new(list)))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Text,
}

impl Form {
    fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json; charset=UTF-8",
            Self::Text => "text/plain; charset=utf-8",
        }
    }
}

/// The list of all hosts, made shard by shard as the client reads it: no heartbeat waits for the whole of it, and
/// only a shard's share of it is in memory.
struct List {
    app: Arc<App>,
    agent: AgentName,
    form: Form,
    shard: usize,
    rows: usize,
    /// Between two parts others have their turn: a client that reads fast would never make this task wait.
    turn: Pin<Box<dyn Future<Output = ()> + Send>>,
    _place: OwnedSemaphorePermit,
}

impl http_body::Body for List {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        ready!(self.turn.as_mut().poll(cx));
        self.turn = Box::pin(tokio::task::yield_now());
        let text = self.next_part();
        Poll::Ready(text.map(|text| Ok(Frame::data(text.into()))))
    }
}

impl List {
    /// `None`: all places are taken.
    fn of(app: Arc<App>, agent: AgentName, form: Form) -> Option<Self> {
        let place = app.status_lists.clone().try_acquire_owned().ok()?;
        let turn = Box::pin(tokio::task::yield_now());
        Some(Self { app, agent, form, shard: 0, rows: 0, turn, _place: place })
    }

    /// The next part that is not empty.
    fn next_part(&mut self) -> Option<String> {
        loop {
            let rows = self.app.fleet.scan(self.shard, self.agent.as_str());
            let last = rows.is_none();
            let text = match self.form {
                Form::Json => self.json_part(rows),
                Form::Text => {
                    rows.unwrap_or_default().iter().map(|(host, real)| line(host, real.as_ref())).collect()
                }
            };
            self.shard = self.shard.saturating_add(1);
            match text.is_empty() {
                false => return Some(text),
                true if last => return None,
                true => {}
            }
        }
    }

    fn json_part(&mut self, rows: Option<Vec<(Box<str>, Option<Reported>)>>) -> String {
        let mut text = String::new();
        if self.shard == 0 {
            text.push('{');
        }
        for (host, real) in rows.iter().flatten() {
            let comma = if self.rows == 0 { "" } else { "," };
            let _ = write!(text, "{comma}{}:{}", json!(host), json_of(real.as_ref()));
            self.rows += 1;
        }
        if rows.is_none() && self.shard < usize::MAX {
            text.push('}');
            // The end is said once.
            self.shard = usize::MAX;
        }
        text
    }
}

fn json_of(real: Option<&Reported>) -> Value {
    let of_host =
        real.and_then(|it| Some((it.timestamp, it.real()?))).map(|(timestamp, real)| StatusOfHost {
            name: &real.name,
            version: &real.version,
            status: real.status.as_str(),
            timestamp: timestamp.into(),
        });
    json!(of_host)
}

fn line(host: &str, real: Option<&Reported>) -> String {
    let Some((at, real)) = real.and_then(|it| Some((it.timestamp, it.real()?))) else {
        return format!("{host} not found\n");
    };
    // A status is a sentence of the host's: it must not look like a line about another host.
    let status = one_line(real.status.as_str());
    format!("{host} {} {status} {at} {}\n", real.version, date(at.into()))
}

/// In this machine's time zone, as in 2015.
fn date(timestamp: i64) -> String {
    match jiff::Timestamp::from_second(timestamp) {
        Ok(time) => time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::future::poll_fn;

    use ops_wire::Heartbeat;

    use super::*;
    use crate::fleet::Said;

    #[tokio::test]
    async fn a_long_list_lets_others_have_their_turn() {
        let folder = tempfile::TempDir::new().unwrap();
        let app = Arc::new(App::for_test(folder.path()).await);
        let most = app.running().config.limits.fleet;
        for n in 0..1000 {
            let beat = Heartbeat { hostname: format!("host{n}"), ..Heartbeat::default() };
            app.fleet.record(&beat, &Said { body: b"", known_by: 0 }, 0, most);
        }
        let (mut list, mut parts, mut turns) =
            (Box::pin(List::of(app, "a".parse().unwrap(), Form::Text).unwrap()), 0, 0);
        let mut next = |cx: &mut Context<'_>| {
            let polled = http_body::Body::poll_frame(list.as_mut(), cx);
            turns += u32::from(polled.is_pending());
            polled
        };
        while poll_fn(&mut next).await.is_some() {
            parts += 1;
        }
        assert!(parts > 100 && turns >= parts, "{parts} parts, {turns} turns");
    }
}
