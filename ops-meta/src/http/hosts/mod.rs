//! Hosts: lists of them, one in full, and those that are to be forgotten.

mod detail;
mod explain;
mod filter;
mod install;
mod shown;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::asked::{Nothing, Query, Segment};
use super::auth::{Operator, Viewer, With};
use super::page;
use super::problem::{Problem, Problems};
use super::whole::whole;
use crate::clock::now_ms;
use crate::domain::conformity::Conformity;
use crate::domain::host::State as Standing;
use crate::fleet::{Asked, Host, Order, Position, TooLate};
use crate::running::App;
pub use detail::Detail;
pub use explain::{__path_explain, explain};
use filter::Filter;
pub use install::{__path_install, __path_uninstall, install, uninstall};
use shown::{Looked, Shown};

/// A list of a million hosts takes half a second.
const LIST_SECS_MAX: u64 = 5;

/// Some hosts, in the order that was asked for.
#[derive(Serialize, ToSchema)]
pub struct HostList {
    hosts: Vec<Shown>,
    /// For `cursor`, where there are more.
    next: Option<String>,
    /// How many the filters admit, where it was asked for.
    total: Option<usize>,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct ListAsked {
    /// How many at most.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000, default = 50)]
    limit: page::Limit,
    /// `next` of the answer before; with the same `sort`.
    #[param(pattern = "^-?[0-9]{1,18}~[0-9]{1,18}~")]
    cursor: Option<String>,
    /// `-` before it: descending. By `lastSeen`, who is heard after the first page is left out of the others.
    #[serde(default)]
    #[param(value_type = Option<String>, pattern = "^-?(hostname|firstSeen|lastSeen|state|current)$")]
    sort: Sort,
    /// Whether to count all that the filters admit.
    #[serde(default)]
    #[param(value_type = Option<bool>)]
    total: bool,
    /// The whole name; `*` stands for any text, `?` for one character.
    hostname: Option<String>,
    /// A filter in the language of docs/selectors.md: `env=prod and version(my-agent)<3.2`.
    #[serde(rename = "where")]
    #[param(rename = "where")]
    filter: Option<String>,
    /// Is in this group.
    group: Option<String>,
    /// Whether it is in any group at all.
    in_groups: Option<bool>,
    /// A regular expression that the name has a match for.
    #[serde(rename = "match")]
    #[param(rename = "match", max_length = 1024)]
    regex: Option<String>,
    /// Several with commas between.
    #[param(pattern = "^(new|alive|late|gone|revived)(,(new|alive|late|gone|revived))*$")]
    state: Option<String>,
    /// Whether it is as desired: `yes`, `no`, `pending`, `failed`; several with commas between.
    #[param(pattern = "^(yes|no|pending|failed)(,(yes|no|pending|failed))*$")]
    current: Option<String>,
    /// Has this agent; `version`, `status` and `error` are then of this one, else of any.
    agent: Option<String>,
    version: Option<String>,
    /// `started`, `stoped`, or a sentence; like `hostname`.
    status: Option<String>,
    /// An error code, or `*` for any.
    error: Option<String>,
    /// `KEY=VALUE`, or `KEY` with any value; several with commas between: all of them.
    label: Option<String>,
    os: Option<String>,
    arch: Option<String>,
    /// Like `hostname`.
    ip: Option<String>,
    reboot_required: Option<bool>,
    claimed_twice: Option<bool>,
}

/// What a list can be sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Key {
    #[default]
    Hostname,
    FirstSeen,
    LastSeen,
    State,
    Current,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Sort {
    key: Key,
    order: Order,
}

impl Default for Sort {
    fn default() -> Self {
        Self { key: Key::Hostname, order: Order::Ascending }
    }
}

impl TryFrom<String> for Sort {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let (word, order) = match text.strip_prefix('-') {
            Some(word) => (word, Order::Descending),
            None => (&*text, Order::Ascending),
        };
        let key = match word {
            "hostname" => Key::Hostname,
            "firstSeen" => Key::FirstSeen,
            "lastSeen" => Key::LastSeen,
            "state" => Key::State,
            "current" => Key::Current,
            _ => {
                return Err(
                    "it has to be hostname, firstSeen, lastSeen, state or current, perhaps with - before it",
                );
            }
        };
        Ok(Self { key, order })
    }
}

/// Hosts, filtered and sorted, a page at a time.
#[utoipa::path(get, path = "/api/v1/hosts", operation_id = "listHosts", tag = "hosts", security(("token" = [])), params(ListAsked),
    responses((status = 200, body = HostList), Problems))]
pub async fn list(
    State(app): State<Arc<App>>,
    _: With<Viewer>,
    Query(asked): Query<ListAsked>,
) -> Result<Json<HostList>, Problem> {
    let filter = Filter::of(&asked, &app.standing().desired)?;
    let cursor = asked.cursor.as_deref().map(Cursor::read).transpose()?;
    // Looking at a million hosts takes a processor for a while: one such list at once, and the others wait.
    let turn = app.scans.clone().acquire_owned().await;
    let listing = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        page_of(&app, &asked, &filter, cursor)
    });
    let broken = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the list broke off");
    listing.await.map_err(broken)?.map(Json).map_err(|TooLate| {
        let detail =
            format!("the list was not done in {LIST_SECS_MAX} seconds; ask for less, or more simply");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(LIST_SECS_MAX)
    })
}

fn page_of(
    app: &App,
    asked: &ListAsked,
    filter: &Filter,
    cursor: Option<Cursor>,
) -> Result<HostList, TooLate> {
    let (current, now) = (app.current().clone(), now_ms() / 1000);
    let (begun, after) = cursor.map_or((now, None), |Cursor { begun, last }| (begun, Some(last)));
    let looked = std::cell::RefCell::new(Looked::new(&app.fleet, &current, now));
    let key = asked.sort.key;
    let mut rank = |hostname: &str, host: &Host| match key {
        Key::Hostname => 0,
        Key::FirstSeen => host.first.into(),
        Key::LastSeen => host.last.into(),
        Key::State => looked.borrow().state(host) as i64,
        Key::Current => looked.borrow_mut().current(hostname, host) as i64,
    };
    let page = app.fleet.page(Asked {
        admits: &mut |hostname, host| {
            // Who is heard meanwhile goes to the end: the list would have none.
            (key != Key::LastSeen || i64::from(host.last) <= begun)
                && filter.admits(hostname, host, &mut looked.borrow_mut())
        },
        rank: (key != Key::Hostname).then_some(&mut rank),
        order: asked.sort.order,
        after,
        limit: asked.limit.0,
        total: asked.total,
        until: Instant::now() + Duration::from_secs(LIST_SECS_MAX),
    })?;
    let mut looked = looked.into_inner();
    let shown = page.hosts.iter().map(|(at, host)| Shown::of(&at.hostname, host, &mut looked));
    let hosts = page::fitting(shown);
    let last = match hosts.len() < page.hosts.len() {
        true => page.hosts.into_iter().take(hosts.len()).next_back().map(|(at, _)| at),
        false => page.next,
    };
    Ok(HostList { hosts, next: last.map(|last| Cursor { begun, last }.to_string()), total: page.total })
}

/// Where the next page begins, `RANK~BEGUN~HOSTNAME`.
struct Cursor {
    /// When the first page was asked for, in Unix seconds.
    begun: i64,
    last: Position,
}

impl Cursor {
    fn read(text: &str) -> Result<Self, Problem> {
        let mut parts = text.splitn(3, '~');
        let mut number = || parts.next()?.parse().ok();
        let numbers = number().zip(number());
        let cursor = numbers.zip(parts.next()).map(|((rank, begun), hostname)| Self {
            begun,
            last: Position { rank, hostname: hostname.into() },
        });
        cursor.ok_or_else(|| Problem::field("cursor", "`cursor` has to be `next` of the answer before"))
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { begun, last } = self;
        write!(f, "{}~{begun}~{}", last.rank, last.hostname)
    }
}

/// One host: everything that is known of it.
#[utoipa::path(get, path = "/api/v1/hosts/{hostname}", operation_id = "showHost", tag = "hosts", security(("token" = [])),
    params(("hostname" = String, Path)), responses((status = 200, body = Detail), Problems))]
pub async fn show(
    State(app): State<Arc<App>>,
    _: With<Viewer>,
    Segment(hostname): Segment,
) -> Result<Json<Detail>, Problem> {
    let host = app.fleet.find(&hostname).ok_or_else(|| missing(&hostname))?;
    let report = app.store.report(host.id).await?;
    let history = app.store.history(host.id).await?;
    let current = app.current();
    let mut looked = Looked::new(&app.fleet, &current, now_ms() / 1000);
    Ok(Json(Detail::of(&hostname, &host, report, history, &mut looked)))
}

/// Forgets a host. One that still lives comes back with its next beat.
#[utoipa::path(delete, path = "/api/v1/hosts/{hostname}", operation_id = "dropHost", tag = "hosts", security(("token" = [])),
    params(("hostname" = String, Path)), responses((status = 204), Problems))]
pub async fn forget(
    State(app): State<Arc<App>>,
    With { caller, .. }: With<Operator>,
    Segment(hostname): Segment,
    _: Query<Nothing>,
) -> Result<StatusCode, Problem> {
    let (finding, forgetting) = ((app.clone(), hostname.clone()), (app.clone(), hostname.clone()));
    let find = move || finding.0.fleet.find(&finding.1).map(|host| host.id);
    let forgotten = move || _ = forgetting.0.fleet.drop_host(&forgetting.1);
    whole(async move { app.store.drop_host(caller.actor(), hostname, find, forgotten).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn missing(hostname: &str) -> Problem {
    Problem::missing(format!("host {hostname:?}"))
}

/// What the filters read.
fn words<T: std::str::FromStr>(text: &str, field: &str, allowed: &str) -> Result<Vec<T>, Problem> {
    let word = |word: &str| {
        word.parse().map_err(|_| Problem::field(field, format!("`{field}` has {word:?}; allowed: {allowed}")))
    };
    text.split(',').map(word).collect()
}

fn states(text: &str) -> Result<Vec<Standing>, Problem> {
    words(text, "state", "new, alive, late, gone, revived")
}

fn conformities(text: &str) -> Result<Vec<Conformity>, Problem> {
    words(text, "current", "yes, no, pending, failed")
}
