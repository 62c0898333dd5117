//! What all changes of what should run have in common: how they are meant, on what they build, and what is told of them.

use std::sync::Arc;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::auth::Caller;
use super::problem::Problem;
use super::whole::whole;
use crate::deciding::{Edited, Meant, NotEdited};
use crate::desired::Standing;
use crate::domain::desired::{Difference, Document, Object};
use crate::domain::role::Role;
use crate::running::App;
use crate::simulation::Simulated;

/// How a change is meant.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[into_params(parameter_in = Query)]
pub struct HowMeant {
    /// Only say what it would do; for this the role `viewer` is enough.
    #[param(value_type = Option<bool>)]
    pub dry_run: bool,
    /// Do it, however many hosts it touches.
    #[param(value_type = Option<bool>)]
    pub confirm: bool,
}

impl From<HowMeant> for Meant {
    fn from(it: HowMeant) -> Self {
        Self { dry_run: it.dry_run, confirmed: it.confirm }
    }
}

/// What was changed, or would be.
#[derive(Serialize, ToSchema)]
#[schema(as = Edited)]
pub struct Shown {
    /// In which it counts.
    generation: u64,
    differences: Vec<Differing>,
    changed: Simulated,
    /// Why it is done with `confirm=true` only; null: it need not be confirmed.
    unconfirmed: Option<String>,
}

/// One object that is to be, to be otherwise, or to be no more.
#[derive(Serialize, ToSchema)]
#[schema(as = Difference)]
pub struct Differing {
    /// `group`, `policy`, `list`, `settings`
    kind: &'static str,
    name: String,
    /// `created`, `changed`, `deleted`
    what: &'static str,
    /// As in the document; of a list, how many words it has.
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    #[schema(value_type = Option<Object>)]
    after: Option<Value>,
}

impl From<Difference> for Differing {
    fn from(it: Difference) -> Self {
        let told = |value: Value| match value {
            Value::Array(words) => json!({"words": words.len()}),
            other => other,
        };
        Self {
            kind: it.object.kind(),
            name: it.object.name(),
            what: it.what(),
            before: it.before.map(told),
            after: it.after.map(told),
        }
    }
}

/// Of `If-Match` and `If-None-Match`: in which generation the object was written that is to be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnlyIf {
    Always,
    Is(u64),
    IsThere,
    IsNotThere,
}

impl OnlyIf {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let text = |name: HeaderName| headers.get(name).map(|it| it.to_str().unwrap_or_default().trim());
        match (text(IF_MATCH), text(IF_NONE_MATCH)) {
            (None, None) => Ok(Self::Always),
            (Some("*"), None) => Ok(Self::IsThere),
            (None, Some("*")) => Ok(Self::IsNotThere),
            (Some(tag), None) => tag
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"')?.parse().ok())
                .map(Self::Is)
                .ok_or_else(|| {
                    Problem::field("If-Match", "`If-Match` has to be the ETag of an answer before, or *")
                }),
            _ => {
                Err(Problem::field("If-None-Match", "`If-None-Match` has to be *, and `If-Match` not given"))
            }
        }
    }

    /// Whether the object that is there now is the one that is meant.
    pub fn fits(self, what: &str, generation: Option<u64>) -> Result<(), NotEdited> {
        let stale =
            |why: &str| Err(NotEdited::Stale(format!("{what} {why}; look at it again, and then change it")));
        match (self, generation) {
            (Self::Is(meant), Some(is)) if meant != is => {
                stale(&format!("was changed by another in generation {is}"))
            }
            (Self::Is(_), None) => stale("was deleted by another"),
            (Self::IsThere, None) => stale("is not there"),
            (Self::IsNotThere, Some(_)) => stale("is there already"),
            _ => Ok(()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for OnlyIf {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(&parts.headers)
    }
}

/// The generation of an object, for `If-Match`.
pub type Tagged<T> = ([(HeaderName, HeaderValue); 1], Json<T>);

pub fn tagged<T>(generation: u64, body: T) -> Tagged<T> {
    ([(ETAG, tag(generation))], Json(body))
}

fn tag(generation: u64) -> HeaderValue {
    // Quotes and digits are what a header may have.
    HeaderValue::from_str(&format!("\"{generation}\"")).unwrap_or(HeaderValue::from_static("\"0\""))
}

/// The same, where there is something to be tagged.
pub type Edits = (HeaderMap, Json<Shown>);

/// Whoever only looks may do so.
pub fn may_edit(caller: &Caller, meant: HowMeant) -> Result<(), Problem> {
    if !meant.dry_run && !caller.role().includes(Role::Operator) {
        let detail = format!(
            "this needs the role {}; a {} may look what it would do, with dryRun=true",
            Role::Operator,
            caller.role()
        );
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    Ok(())
}

/// Changes the desired state, as whoever may. `object`: what is changed; `None`: all of it.
pub async fn edit(
    app: &Arc<App>,
    caller: &Caller,
    meant: HowMeant,
    object: Option<Object>,
    change: impl FnOnce(&Standing) -> Result<Document, NotEdited> + Send + 'static,
) -> Result<Edits, Problem> {
    may_edit(caller, meant)?;
    let edited = whole(app.clone().edit(caller.actor(), meant.into(), change)).await?;
    let Edited { generation, differences, simulated, unconfirmed } = edited;
    let differences = differences.into_iter().map(Differing::from).collect();
    let standing = app.standing();
    let generation_of = |object| standing.generation_of(object);
    let now = object.as_ref().map_or(Some(standing.generation), generation_of);
    let mut headers = HeaderMap::new();
    headers.extend(now.filter(|_| !meant.dry_run).map(|generation| (ETAG, tag(generation))));
    Ok((headers, Json(Shown { generation, differences, changed: simulated, unconfirmed })))
}

impl From<NotEdited> for Problem {
    fn from(why: NotEdited) -> Self {
        let detail = why.to_string();
        match why {
            NotEdited::FileDecides => Self::new(StatusCode::CONFLICT, detail).code("cfg_json_decides"),
            NotEdited::Faults(faults) => Self::new(StatusCode::BAD_REQUEST, detail).faults(faults),
            NotEdited::Already(..) => Self::new(StatusCode::CONFLICT, detail).code("already"),
            NotEdited::Missing(_) => Self::new(StatusCode::NOT_FOUND, detail),
            NotEdited::InUse(_) => Self::new(StatusCode::CONFLICT, detail),
            NotEdited::Stale(_) => Self::new(StatusCode::PRECONDITION_FAILED, detail),
            NotEdited::Rejected(code, _) => Self::new(StatusCode::CONFLICT, detail).code(code),
            NotEdited::Frozen(simulated, _) => {
                Self::new(StatusCode::CONFLICT, detail).code("frozen").simulated(*simulated)
            }
            NotEdited::Unconfirmed(simulated, _) => {
                Self::new(StatusCode::CONFLICT, detail).code("needs_confirmation").simulated(*simulated)
            }
            NotEdited::Store(error) => error.into(),
            NotEdited::BrokenOff => Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail),
        }
    }
}
