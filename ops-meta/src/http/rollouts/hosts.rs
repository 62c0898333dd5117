//! The hosts of one rollout, a page at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::shown::part;
use super::{missing, number};
use crate::clock::now_ms;
use crate::domain::host::state;
use crate::domain::rollout::Class;
use crate::domain::words::NoWord;
use crate::fleet::{Asked, Host, Order, Position};
use crate::http::asked::{Query, Segment};
use crate::http::auth::{Viewer, With};
use crate::http::page;
use crate::http::problem::{Problem, Problems};
use crate::rollouts::{Looked, Looking, Memory, One, Reported, of_rollout};
use crate::running::App;

/// After so long a list is given up.
const LIST_SECS_MAX: u64 = 30;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HostsWanted {
    /// How many at most.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000, default = 50)]
    limit: page::Limit,
    /// `next` of the answer before.
    cursor: Option<String>,
    /// Only those that are so far; several with commas between: `failed,rolled_back`.
    class: Option<String>,
}

/// By name.
#[derive(Serialize, ToSchema)]
pub struct RolloutHosts {
    hosts: Vec<HostShown>,
    /// For `cursor`, where there are more.
    next: Option<String>,
}

/// One host of a rollout.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RolloutHost)]
pub struct HostShown {
    hostname: String,
    /// `pending`, `ordered`, `moving`, `trial`, `done`, `failed` ...
    class: String,
    /// The wave that admits it, from 1; null: none does yet.
    wave: Option<usize>,
    /// Waves that select it, from 1.
    waves: Vec<usize>,
    /// Where it stands, 0 to 1: a wave admits those below its threshold.
    position: f64,
    /// What it says is wrong.
    error: Option<String>,
}

/// The hosts of a rollout that is not over.
#[utoipa::path(get, path = "/api/v1/rollouts/{id}/hosts", operation_id = "listRolloutHosts", tag = "rollouts",
    security(("token" = [])), params(("id" = u64, Path, minimum = 1), HostsWanted),
    responses((status = 200, body = RolloutHosts), Problems))]
pub async fn hosts(
    State(app): State<Arc<App>>,
    _: With<Viewer>,
    Segment(id): Segment,
    Query(asked): Query<HostsWanted>,
) -> Result<Json<RolloutHosts>, Problem> {
    let id = number(&id)?;
    app.store.rollout(id).await?.ok_or_else(|| missing(id))?;
    let classes = asked.class.as_deref().map(classes).transpose()?;
    let (looking, turn) = (app.clone(), app.scans.clone().acquire_owned().await);
    let looked = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        page(&looking, id, classes.as_deref(), asked.cursor, asked.limit.0)
    });
    let broken = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the look at the hosts broke off");
    looked.await.map_err(broken)?.map(Json)
}

fn classes(text: &str) -> Result<Vec<Class>, Problem> {
    let class = |text: &str| {
        text.parse().map_err(|why: NoWord| {
            Problem::field("class", format!("`class` has {text:?}; allowed: {}", why.known))
        })
    };
    text.split(',').map(class).collect()
}

fn page(
    app: &App,
    id: u64,
    classes: Option<&[Class]>,
    cursor: Option<String>,
    limit: usize,
) -> Result<RolloutHosts, Problem> {
    let current = app.current().clone();
    let Some(place) = current.active().iter().position(|it| it.rollout.id == id) else {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            format!("rollout {id} tells hosts nothing now, so none is of it"),
        ));
    };
    let Some(active) = current.active().get(place) else { return Err(missing(id)) };
    let (memories, nobody_looked) = (app.looks.memories(), Memory::default());
    let memory = memories.get(&id).unwrap_or(&nobody_looked);
    let listening = app.fleet.listening().clone();
    let looking = Looking { listening: &listening, now: now_ms() / 1000, moved_at: app.looks.moved_at(id) };
    let one = |hostname: &str, host: &Host| {
        let base = current.base_of(&host.stable(hostname), &host.answer);
        let reported = Reported::of(&current, &base, of_rollout(&base, place)?, host)?;
        let state = state(&host.heard(), &listening, looking.now);
        let looked = Looked { hostname, facts: host.stable(hostname), host, state };
        Some(memory.one(active, &looked, &reported, &looking))
    };
    let page = app.fleet.page(Asked {
        admits: &mut |hostname, host| {
            one(hostname, host)
                .is_some_and(|it| classes.is_none_or(|classes| classes.contains(&it.place.class)))
        },
        rank: None,
        order: Order::Ascending,
        after: cursor.map(|hostname| Position { rank: 0, hostname: hostname.into() }),
        limit,
        total: false,
        until: Instant::now() + Duration::from_secs(LIST_SECS_MAX),
    });
    let too_late = |_| {
        let why = format!("looking at the hosts took longer than {LIST_SECS_MAX} s; ask for other classes");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, why).retry_after(1)
    };
    let page = page.map_err(too_late)?;
    let agent = active.agent().as_str();
    let shown = page.hosts.iter().filter_map(|(at, host)| {
        let said = host.says(agent).map(|it| it.real.error_code).filter(|code| !code.is_empty());
        Some(HostShown::of(&at.hostname, one(&at.hostname, host)?, said))
    });
    Ok(RolloutHosts { hosts: shown.collect(), next: page.next.map(|it| it.hostname.to_string()) })
}

impl HostShown {
    fn of(hostname: &str, one: One, error: Option<&str>) -> Self {
        let One { position, place, .. } = one;
        Self {
            hostname: hostname.to_owned(),
            class: place.class.to_string(),
            wave: place.admitted_by.map(|wave| wave + 1),
            waves: (0..32).filter(|wave| place.is_selected_by(*wave)).map(|wave| wave + 1).collect(),
            position: part(position),
            error: error.map(str::to_owned),
        }
    }
}
