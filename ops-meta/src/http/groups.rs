//! Groups: which hosts have something in common.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::asked::{self, Nothing, Query, Segment};
use super::auth::{Viewer, With};
use super::editing::{Edits, HowMeant, OnlyIf, Shown, Tagged, edit, tagged};
use super::problem::{Problem, Problems};
use crate::deciding::NotEdited;
use crate::desired::Standing;
use crate::domain::desired::{GroupText, Object};
use crate::domain::rollout::WindowText;
use crate::fleet::Fleet;
use crate::running::App;

/// Hosts that are named.
const NAMED_MAX: usize = 10;

#[derive(Serialize, ToSchema)]
pub struct GroupList {
    groups: Vec<Group>,
}

/// One group, as it was written.
#[derive(Serialize, ToSchema)]
pub struct Group {
    name: String,
    /// Which hosts, in the language of docs/selectors.md.
    select: String,
    /// The larger is the stronger.
    priority: i32,
    description: String,
    /// Its hosts begin with what a rollout brings only while one of them is open; none: at any time.
    windows: Vec<WindowText>,
    /// In which it was written.
    generation: u64,
}

/// One group, and who is in it.
#[derive(Serialize, ToSchema)]
pub struct GroupDetail {
    #[serde(flatten)]
    group: Group,
    /// How many of the known hosts are in it.
    hosts: usize,
    /// The first of them, by name.
    some: Vec<String>,
    /// The policies that are for it, by their agents.
    policies: Vec<String>,
}

impl Group {
    fn find(standing: &Standing, name: &str) -> Option<Self> {
        let GroupText { select, priority, description, windows } =
            standing.desired.document().groups.get(name)?.clone();
        let generation = standing.generation_of(&Object::Group(name.to_owned()))?;
        Some(Self { name: name.to_owned(), select, priority, description, windows, generation })
    }
}

/// All groups, by name.
#[utoipa::path(get, path = "/api/v1/groups", operation_id = "listGroups", tag = "groups", security(("token" = [])),
    responses((status = 200, body = GroupList), Problems))]
pub async fn list(State(app): State<Arc<App>>, _: With<Viewer>, _: Query<Nothing>) -> Json<GroupList> {
    let standing = app.standing();
    let names = standing.desired.document().groups.keys();
    Json(GroupList { groups: names.filter_map(|name| Group::find(&standing, name)).collect() })
}

/// One group. Looks at every host.
#[utoipa::path(get, path = "/api/v1/groups/{name}", operation_id = "showGroup", tag = "groups", security(("token" = [])),
    params(("name" = String, Path)), responses((status = 200, body = GroupDetail), Problems))]
pub async fn show(
    State(app): State<Arc<App>>,
    _: With<Viewer>,
    Segment(name): Segment,
    _: Query<Nothing>,
) -> Result<Tagged<GroupDetail>, Problem> {
    let standing = app.standing().clone();
    let group = Group::find(&standing, &name).ok_or_else(|| missing(&name))?;
    let (looking, turn) = (app.clone(), app.scans.clone().acquire_owned().await);
    let of = (standing.clone(), name.clone());
    let hosts = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        hosts_of(&looking.fleet, &of.0, &of.1)
    });
    let broken = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the look at the hosts broke off");
    let (hosts, some) = hosts.await.map_err(broken)?;
    let policies = standing.desired.document().policies.iter().filter(|policy| policy.group == name);
    let policies = policies.map(|policy| policy.agent.clone()).collect();
    Ok(tagged(group.generation, GroupDetail { group, hosts, some, policies }))
}

fn hosts_of(fleet: &Fleet, standing: &Standing, name: &str) -> (usize, Vec<String>) {
    let Some(group) = standing.desired.rules().group_called(name) else { return Default::default() };
    let (mut hosts, mut some) = (0, std::collections::BTreeSet::new());
    fleet.visit(|hostname, host| {
        if group.selector.matches(&host.stable(hostname)) {
            hosts += 1;
            some.insert(hostname.to_owned());
            if some.len() > NAMED_MAX {
                some.pop_last();
            }
        }
    });
    (hosts, some.into_iter().collect())
}

/// Makes a group, or puts another in its place.
#[utoipa::path(put, path = "/api/v1/groups/{name}", operation_id = "putGroup", tag = "groups", security(("token" = [])),
    params(("name" = String, Path), HowMeant), request_body = GroupText,
    responses((status = 200, body = Shown), Problems))]
pub async fn put(
    State(app): State<Arc<App>>,
    With { caller, .. }: With<Viewer>,
    Segment(name): Segment,
    Query(meant): Query<HowMeant>,
    only_if: OnlyIf,
    asked::Json(fields): asked::Json<GroupText>,
) -> Result<Edits, Problem> {
    edit(&app, &caller, meant, Some(Object::Group(name.clone())), move |standing| {
        let object = Object::Group(name.clone());
        only_if.fits(&object.to_string(), standing.generation_of(&object))?;
        let mut document = standing.desired.document().clone();
        document.groups.insert(name, fields);
        Ok(document)
    })
    .await
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[into_params(parameter_in = Query)]
pub struct DeleteAsked {
    /// Only say what it would do.
    #[param(value_type = Option<bool>)]
    dry_run: bool,
    /// Do it, however many hosts it touches.
    #[param(value_type = Option<bool>)]
    confirm: bool,
    /// And the policies that are for it.
    #[param(value_type = Option<bool>)]
    with_policies: bool,
}

/// Deletes a group.
#[utoipa::path(delete, path = "/api/v1/groups/{name}", operation_id = "deleteGroup", tag = "groups", security(("token" = [])),
    params(("name" = String, Path), DeleteAsked), responses((status = 200, body = Shown), Problems))]
pub async fn delete(
    State(app): State<Arc<App>>,
    With { caller, .. }: With<Viewer>,
    Segment(name): Segment,
    Query(asked): Query<DeleteAsked>,
    only_if: OnlyIf,
) -> Result<Edits, Problem> {
    let meant = HowMeant { dry_run: asked.dry_run, confirm: asked.confirm };
    edit(&app, &caller, meant, Some(Object::Group(name.clone())), move |standing| {
        let object = Object::Group(name.clone());
        only_if.fits(&object.to_string(), standing.generation_of(&object))?;
        let mut document = standing.desired.document().clone();
        if document.groups.remove(&name).is_none() {
            return Err(NotEdited::Missing(object.to_string()));
        }
        let before = document.policies.len();
        document.policies.retain(|policy| policy.group != name);
        match before - document.policies.len() {
            0 => Ok(document),
            _ if asked.with_policies => Ok(document),
            count => Err(NotEdited::InUse(format!(
                "{object} has policies, {count} of them; delete them first, or with it (`--with-policies`, `?withPolicies=true`)"
            ))),
        }
    })
    .await
}

fn missing(name: &str) -> Problem {
    Problem::missing(format!("group {name:?}"))
}
