//! Lists of words that selectors name: hosts mostly.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::asked::{self, Nothing, Query, Segment};
use super::auth::{Viewer, With};
use super::editing::{Edits, HowMeant, OnlyIf, Shown, Tagged, edit, tagged};
use super::problem::{Problem, Problems};
use crate::deciding::NotEdited;
use crate::domain::desired::{Object, words};
use crate::running::App;

#[derive(Serialize, ToSchema)]
pub struct ListList {
    lists: Vec<ListHead>,
}

/// One list, without its words.
#[derive(Serialize, ToSchema)]
pub struct ListHead {
    name: String,
    /// How many.
    words: usize,
    /// In which it was written.
    generation: u64,
}

/// One list.
#[derive(Serialize, ToSchema)]
pub struct List {
    name: String,
    /// Sorted.
    words: Vec<String>,
    /// Those that are no host that is known: where the list is of the hosts that should be there, those are missing.
    unseen: Vec<String>,
    /// In which it was written.
    generation: u64,
}

/// The words of a list, in any order.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListFields {
    #[serde(deserialize_with = "words")]
    words: Vec<String>,
}

/// All lists, by name.
#[utoipa::path(get, path = "/api/v1/lists", operation_id = "listLists", tag = "lists", security(("token" = [])),
    responses((status = 200, body = ListList), Problems))]
pub async fn list(State(app): State<Arc<App>>, _: With<Viewer>, _: Query<Nothing>) -> Json<ListList> {
    let standing = app.standing();
    let lists = standing.desired.document().lists.iter().filter_map(|(name, words)| {
        let generation = standing.generation_of(&Object::List(name.clone()))?;
        Some(ListHead { name: name.clone(), words: words.len(), generation })
    });
    Json(ListList { lists: lists.collect() })
}

/// One list.
#[utoipa::path(get, path = "/api/v1/lists/{name}", operation_id = "showList", tag = "lists", security(("token" = [])),
    params(("name" = String, Path)), responses((status = 200, body = List), Problems))]
pub async fn show(
    State(app): State<Arc<App>>,
    _: With<Viewer>,
    Segment(name): Segment,
    _: Query<Nothing>,
) -> Result<Tagged<List>, Problem> {
    let standing = app.standing();
    let words = standing.desired.document().lists.get(&name).cloned();
    let generation = standing.generation_of(&Object::List(name.clone()));
    let missing = || Problem::missing(format!("list {name:?}"));
    let (words, generation) = words.zip(generation).ok_or_else(missing)?;
    let unseen = words.iter().filter(|word| app.fleet.look(word, |_| ()).is_none()).cloned().collect();
    Ok(tagged(generation, List { name, words, unseen, generation }))
}

/// Makes a list, or puts another in its place.
#[utoipa::path(put, path = "/api/v1/lists/{name}", operation_id = "putList", tag = "lists", security(("token" = [])),
    params(("name" = String, Path), HowMeant), request_body = ListFields,
    responses((status = 200, body = Shown), Problems))]
pub async fn put(
    State(app): State<Arc<App>>,
    With { caller, .. }: With<Viewer>,
    Segment(name): Segment,
    Query(meant): Query<HowMeant>,
    only_if: OnlyIf,
    asked::Large(fields, one_at_a_time): asked::Large<ListFields>,
) -> Result<Edits, Problem> {
    edit(&app, &caller, meant, Some(Object::List(name.clone())), move |standing| {
        let _one_at_a_time = one_at_a_time;
        let object = Object::List(name.clone());
        only_if.fits(&object.to_string(), standing.generation_of(&object))?;
        let mut document = standing.desired.document().clone();
        document.lists.insert(name, fields.words);
        Ok(document)
    })
    .await
}

/// Deletes a list that no group names.
#[utoipa::path(delete, path = "/api/v1/lists/{name}", operation_id = "deleteList", tag = "lists", security(("token" = [])),
    params(("name" = String, Path), HowMeant), responses((status = 200, body = Shown), Problems))]
pub async fn delete(
    State(app): State<Arc<App>>,
    With { caller, .. }: With<Viewer>,
    Segment(name): Segment,
    Query(meant): Query<HowMeant>,
    only_if: OnlyIf,
) -> Result<Edits, Problem> {
    edit(&app, &caller, meant, Some(Object::List(name.clone())), move |standing| {
        let object = Object::List(name.clone());
        only_if.fits(&object.to_string(), standing.generation_of(&object))?;
        let mut document = standing.desired.document().clone();
        if document.lists.remove(&name).is_none() {
            return Err(NotEdited::Missing(object.to_string()));
        }
        let naming = standing.desired.rules().groups().find(|group| group.selector.lists().contains(&*name));
        match naming {
            None => Ok(document),
            Some(group) => Err(NotEdited::InUse(format!(
                "{object} is in use: group {} names it; change that first",
                group.name
            ))),
        }
    })
    .await
}
