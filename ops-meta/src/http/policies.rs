//! Policies: what an agent should be on all hosts, on those of a group, or on one.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::asked::{self, Query, Segment};
use super::auth::{Viewer, With};
use super::editing::{Edits, HowMeant, OnlyIf, Shown, Tagged, edit, tagged};
use super::problem::{Problem, Problems};
use crate::deciding::NotEdited;
use crate::desired::Standing;
use crate::domain::desired::{Object, PolicyText};
use crate::running::App;

#[derive(Serialize, ToSchema)]
pub struct PolicyList {
    policies: Vec<PolicyText>,
}

/// As it was written, and when.
fn shown(standing: &Standing, policy: &PolicyText) -> PolicyText {
    PolicyText { generation: standing.generation_of(&Object::of(policy)), ..policy.clone() }
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct ListAsked {
    /// Only those of this agent.
    agent: Option<String>,
    /// Only those for this group.
    group: Option<String>,
}

/// All policies, by agent.
#[utoipa::path(get, path = "/api/v1/policies", operation_id = "listPolicies", tag = "policies", security(("token" = [])),
    params(ListAsked), responses((status = 200, body = PolicyList), Problems))]
pub async fn list(
    State(app): State<Arc<App>>,
    _: With<Viewer>,
    Query(asked): Query<ListAsked>,
) -> Json<PolicyList> {
    let standing = app.standing();
    let fits = |policy: &&PolicyText| {
        asked.agent.as_ref().is_none_or(|agent| *agent == policy.agent)
            && asked.group.as_ref().is_none_or(|group| *group == policy.group)
    };
    let policies = standing.desired.document().policies.iter().filter(fits);
    Json(PolicyList { policies: policies.map(|policy| shown(&standing, policy)).collect() })
}

/// Which of the policies of an agent: the one for all hosts, unless one of these is given.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct WhichPolicy {
    /// The one for this group.
    group: Option<String>,
    /// The one for this host.
    host: Option<String>,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[into_params(parameter_in = Query)]
pub struct EditAsked {
    /// The one for this group.
    group: Option<String>,
    /// The one for this host.
    host: Option<String>,
    /// Only say what it would do; for this the role `viewer` is enough.
    #[param(value_type = Option<bool>)]
    dry_run: bool,
    /// Do it, however many hosts it touches.
    #[param(value_type = Option<bool>)]
    confirm: bool,
}

impl EditAsked {
    fn split(self) -> (WhichPolicy, HowMeant) {
        let Self { group, host, dry_run, confirm } = self;
        (WhichPolicy { group, host }, HowMeant { dry_run, confirm })
    }
}

impl WhichPolicy {
    fn object(self, agent: String) -> Object {
        Object::Policy(agent, self.group.unwrap_or_default(), self.host.unwrap_or_default())
    }
}

/// One policy.
#[utoipa::path(get, path = "/api/v1/policies/{agent}", operation_id = "showPolicy", tag = "policies", security(("token" = [])),
    params(("agent" = String, Path), WhichPolicy), responses((status = 200, body = PolicyText), Problems))]
pub async fn show(
    State(app): State<Arc<App>>,
    _: With<Viewer>,
    Segment(agent): Segment,
    Query(which): Query<WhichPolicy>,
) -> Result<Tagged<PolicyText>, Problem> {
    let (standing, object) = (app.standing(), which.object(agent));
    let found = standing.desired.document().policies.iter().find(|policy| Object::of(policy) == object);
    let found = shown(&standing, found.ok_or_else(|| Problem::missing(&object))?);
    Ok(tagged(found.generation.unwrap_or_default(), found))
}

/// Makes a policy, or puts another in its place. `agent`, `group` and `host` in the body may be left out.
#[utoipa::path(put, path = "/api/v1/policies/{agent}", operation_id = "putPolicy", tag = "policies", security(("token" = [])),
    params(("agent" = String, Path), EditAsked), request_body = PolicyText,
    responses((status = 200, body = Shown), Problems))]
pub async fn put(
    State(app): State<Arc<App>>,
    With { caller, .. }: With<Viewer>,
    Segment(agent): Segment,
    Query(asked): Query<EditAsked>,
    only_if: OnlyIf,
    asked::Json(fields): asked::Json<PolicyText>,
) -> Result<Edits, Problem> {
    let (which, meant) = asked.split();
    let WhichPolicy { group, host } = which;
    let named = PolicyText {
        agent,
        group: group.unwrap_or_default(),
        host: host.unwrap_or_default(),
        ..fields.clone()
    };
    for (field, said, asked) in [
        ("agent", &fields.agent, &named.agent),
        ("group", &fields.group, &named.group),
        ("host", &fields.host, &named.host),
    ] {
        if !said.is_empty() && said != asked {
            let detail = format!("`{field}` in the body is {said:?}, and {asked:?} in the address");
            return Err(Problem::field(field, detail));
        }
    }
    let object = Object::of(&named);
    let edited = edit(&app, &caller, meant, Some(object.clone()), move |standing| {
        only_if.fits(&object.to_string(), standing.generation_of(&object))?;
        let mut document = standing.desired.document().clone();
        document.policies.retain(|policy| Object::of(policy) != object);
        document.policies.push(named);
        Ok(document)
    });
    edited.await.map_err(|problem| problem.with_paths(of_this_one))
}

/// Which of all policies it is (`policies[3].cmd`) is clear here.
fn of_this_one(path: &str) -> &str {
    let field = path.strip_prefix("policies[").and_then(|rest| rest.split_once("].")).map(|(_, field)| field);
    field.unwrap_or(path)
}

/// Deletes a policy.
#[utoipa::path(delete, path = "/api/v1/policies/{agent}", operation_id = "deletePolicy", tag = "policies",
    security(("token" = [])), params(("agent" = String, Path), EditAsked),
    responses((status = 200, body = Shown), Problems))]
pub async fn delete(
    State(app): State<Arc<App>>,
    With { caller, .. }: With<Viewer>,
    Segment(agent): Segment,
    Query(asked): Query<EditAsked>,
    only_if: OnlyIf,
) -> Result<Edits, Problem> {
    let (which, meant) = asked.split();
    let object = which.object(agent);
    edit(&app, &caller, meant, Some(object.clone()), move |standing| {
        let generation = standing.generation_of(&object);
        only_if.fits(&object.to_string(), generation)?;
        if generation.is_none() {
            return Err(NotEdited::Missing(object.to_string()));
        }
        let mut document = standing.desired.document().clone();
        document.policies.retain(|policy| Object::of(policy) != object);
        Ok(document)
    })
    .await
}
