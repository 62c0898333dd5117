//! What happened: who changed what, with what was before and what is now.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::asked::Query;
use super::auth::{Viewer, With};
use super::page::{self, Page};
use super::problem::{Problem, Problems};
use super::whole::whole;
use crate::running::App;
use crate::store::{Event as Kept, EventsAsked};

/// One change.
#[derive(Serialize, ToSchema)]
pub struct Event {
    id: i64,
    /// Unix milliseconds.
    at: i64,
    /// The integer that every change raises.
    generation: u64,
    /// Who did it: `token 3 (alice)`, `cfg.json`, `ops-meta`.
    actor: String,
    /// `token.created`, `host.dropped` ...
    kind: String,
    /// `token 3`, `host web01` ...
    object: String,
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    #[schema(value_type = Option<Object>)]
    after: Option<Value>,
}

impl From<Kept> for Event {
    fn from(kept: Kept) -> Self {
        let Kept { id, at, generation, actor, kind, object, before, after } = kept;
        Self { id, at, generation, actor, kind, object, before, after }
    }
}

/// Newest first.
#[derive(Serialize, ToSchema)]
pub struct EventList {
    events: Vec<Event>,
    /// For `cursor`, where there are more.
    next: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListAsked {
    /// How many at most.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000, default = 50)]
    limit: page::Limit,
    /// `next` of the answer before.
    #[param(value_type = Option<i64>, minimum = 0)]
    cursor: Option<page::Cursor>,
    kind: Option<String>,
    actor: Option<String>,
    object: Option<String>,
    /// Unix milliseconds; this one included.
    since: Option<i64>,
    /// Unix milliseconds; this one included.
    until: Option<i64>,
    /// Only those with a greater id.
    after: Option<i64>,
}

/// What happened.
#[utoipa::path(get, operation_id = "listEvents", path = "/api/v1/events", tag = "events", params(ListAsked), security(("token" = [])),
    responses((status = 200, body = EventList), Problems))]
pub async fn list(
    State(app): State<Arc<App>>,
    _: With<Viewer>,
    Query(asked): Query<ListAsked>,
) -> Result<Json<EventList>, Problem> {
    let limit = asked.limit;
    let turn = app.event_lists.clone().acquire_owned().await;
    let asked = EventsAsked {
        before_id: asked.cursor.map(|cursor| cursor.0),
        after_id: asked.after,
        kind: asked.kind,
        actor: asked.actor,
        object: asked.object,
        since: asked.since,
        until: asked.until,
        limit: limit.0 + 1,
    };
    // Its turn lasts as long as the work, though the client may go away.
    let found = whole(async move {
        let _turn = turn;
        app.store.events(asked).await
    });
    let page = Page::of(found.await?, limit, |event| event.id);
    let events = page.items.into_iter().map(Event::from).collect();
    Ok(Json(EventList { events, next: page.next }))
}
