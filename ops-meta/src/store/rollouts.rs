//! Rollouts: a row each, however many hosts they change.

use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params, params_from_iter};
use serde_json::{Map, Value, json};

use super::admin::{Done, newest, raise};
use super::{Store, StoreError, desired};
use crate::clock::now_ms;
use crate::domain::desired::Difference;

/// One that is to be. Plan and progress are JSON, see `domain::rollout`.
#[derive(Debug, Clone)]
pub struct NewRollout {
    pub plan: Value,
    pub progress: Value,
    pub note: String,
    /// One that was stopped, and tells hosts no more of this policy.
    pub replaces: Option<u64>,
}

/// One that goes on.
#[derive(Debug, Clone)]
pub struct RolloutMove {
    pub id: u64,
    pub progress: Value,
    /// It tells no host anything any more.
    pub is_finished: bool,
    /// How its hosts fared, where it is over; as JSON.
    pub seen: Option<Value>,
    /// `None`: what is of no interest later, and has no event.
    pub told: Option<MoveTold>,
    /// What is written of the policy as it ends.
    pub policy: Vec<Difference>,
}

/// For the event.
#[derive(Debug, Clone)]
pub struct MoveTold {
    pub kind: &'static str,
    pub why: String,
}

/// One as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloutRow {
    pub id: u64,
    /// In a list only the first of the hosts that it names.
    pub plan: Value,
    /// How many hosts it names.
    pub named: usize,
    pub progress: Value,
    pub note: String,
    pub actor: String,
    /// Unix milliseconds.
    pub created: i64,
    pub finished: Option<i64>,
    /// How its hosts fared when it ended.
    pub seen: Option<Value>,
}

/// Which are asked for; the newest come first.
#[derive(Debug, Clone, Default)]
pub struct RolloutsAsked {
    /// Only those older than this one.
    pub before_id: Option<i64>,
    pub state: Option<&'static str>,
    pub agent: Option<String>,
    pub limit: usize,
}

/// Of the hosts that a plan names the first, and how many there are.
const IN_SHORT: &str = "id, progress, note, actor, created, finished, seen, \
    CASE WHEN json_array_length(plan, '$.hosts') > 1 \
        THEN json_set(plan, '$.hosts', json_array(plan ->> '$.hosts[0]')) ELSE plan END AS plan, \
    json_array_length(plan, '$.hosts') AS named";
/// More policies than these an event only counts.
const POLICIES_TOLD_MAX: usize = 20;

impl Store {
    /// Those that tell hosts something, or will. Blocks; for the start.
    pub fn standing_rollouts(&self) -> Result<Vec<RolloutRow>, StoreError> {
        let reader = self.sqlite.reader()?;
        let mut statement = reader.prepare("SELECT * FROM rollouts WHERE finished IS NULL ORDER BY id")?;
        rows(statement.query([])?)
    }

    pub async fn rollouts(&self, asked: RolloutsAsked) -> Result<Vec<RolloutRow>, StoreError> {
        self.sqlite.read(move |it| list(it, &asked)).await
    }

    pub async fn rollout(&self, id: u64) -> Result<Option<RolloutRow>, StoreError> {
        self.sqlite.read(move |it| find(it, id)).await
    }
}

fn list(connection: &Connection, asked: &RolloutsAsked) -> Result<Vec<RolloutRow>, StoreError> {
    let conditions = [
        ("id < ?", asked.before_id.map(Sql::Integer)),
        ("progress ->> 'state' = ?", asked.state.map(|it| Sql::Text(it.to_owned()))),
        ("plan ->> 'agent' = ?", asked.agent.clone().map(Sql::Text)),
    ];
    let (sql, values) = newest("rollouts", conditions, asked.limit);
    // A page of plans that name ten thousand hosts each would be a gigabyte.
    let sql = sql.replacen('*', IN_SHORT, 1);
    let mut statement = connection.prepare_cached(&sql)?;
    rows(statement.query(params_from_iter(values))?)
}

fn find(connection: &Connection, id: u64) -> Result<Option<RolloutRow>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT * FROM rollouts WHERE id = ?")?;
    let found = statement.query_row([key(id)], |row| Ok(read(row))).optional()?;
    found.transpose()
}

fn rows(mut found: rusqlite::Rows<'_>) -> Result<Vec<RolloutRow>, StoreError> {
    let mut all = Vec::new();
    while let Some(row) = found.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}

fn read(row: &Row<'_>) -> Result<RolloutRow, StoreError> {
    let id = row.get::<_, i64>("id")?.unsigned_abs();
    let json = |column: &str| {
        let text: String = row.get(column)?;
        serde_json::from_str(&text)
            .map_err(|why| StoreError::Damaged(format!("the {column} of rollout {id} is no JSON: {why}")))
    };
    let plan: Value = json("plan")?;
    let hosts = || plan.get("hosts").and_then(Value::as_array).map_or(0, Vec::len);
    let named = row.get::<_, Option<u32>>("named").ok().flatten().map_or_else(hosts, |it| it as usize);
    Ok(RolloutRow {
        id,
        named,
        plan,
        progress: json("progress")?,
        note: row.get("note")?,
        actor: row.get("actor")?,
        created: row.get("created")?,
        finished: row.get("finished")?,
        seen: row.get::<_, Option<String>>("seen")?.and_then(|text| serde_json::from_str(&text).ok()),
    })
}

/// No database counts so far as that it would not fit.
fn key(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

pub(super) fn start(transaction: &Transaction<'_>, new: NewRollout, actor: &str) -> Result<Done, StoreError> {
    end(transaction, new.replaces.as_slice())?;
    transaction.execute(
        "INSERT INTO rollouts (plan, progress, note, actor, created) VALUES (?, ?, ?, ?, ?)",
        params![new.plan.to_string(), new.progress.to_string(), new.note, actor, now_ms()],
    )?;
    let id = transaction.last_insert_rowid();
    let is_draft = new.progress.get("state").is_some_and(|state| state == "draft");
    Ok(Done {
        kind: if is_draft { "rollout.drafted" } else { "rollout.started" },
        object: object(id.unsigned_abs()),
        before: None,
        after: Some(json!({"plan": in_short(new.plan), "note": new.note})),
        id: Some(id),
    })
}

/// These tell hosts nothing any more.
pub(super) fn end(transaction: &Transaction<'_>, ids: &[u64]) -> Result<(), StoreError> {
    for id in ids {
        let sql = "UPDATE rollouts SET finished = ? WHERE id = ? AND finished IS NULL";
        transaction.execute(sql, params![now_ms(), key(*id)])?;
    }
    Ok(())
}

pub(super) fn go_on(transaction: &Transaction<'_>, moved: RolloutMove) -> Result<Option<Done>, StoreError> {
    let RolloutMove { id, progress, is_finished, seen, told, policy } = moved;
    let before = find(transaction, id)?.ok_or_else(|| StoreError::Missing(object(id)))?;
    transaction.execute(
        "UPDATE rollouts SET progress = ?, finished = ?, seen = ? WHERE id = ? AND finished IS NULL",
        params![progress.to_string(), is_finished.then(now_ms), seen.map(|seen| seen.to_string()), key(id)],
    )?;
    desired::write(transaction, &policy)?;
    let Some(MoveTold { kind, why }) = told else {
        raise(transaction)?;
        return Ok(None);
    };
    let mut after = Map::new();
    after.insert("state".to_owned(), progress.get("state").cloned().unwrap_or_default());
    after.insert("wave".to_owned(), waves(&progress).into());
    after.insert("why".to_owned(), why.into());
    if policy.len() > POLICIES_TOLD_MAX {
        after.insert("policies".to_owned(), policy.len().into());
    } else {
        for Difference { object, after: value, .. } in policy {
            after.insert(object.to_string(), value.unwrap_or_default());
        }
    }
    let state = before.progress.get("state").cloned().unwrap_or_default();
    Ok(Some(Done {
        kind,
        object: object(id),
        before: Some(json!({"state": state, "wave": waves(&before.progress)})),
        after: Some(Value::Object(after)),
        id: None,
    }))
}

/// How many have begun.
fn waves(progress: &Value) -> usize {
    progress.get("waves").and_then(Value::as_array).map_or(0, Vec::len)
}

pub(super) fn delete(transaction: &Transaction<'_>, id: u64) -> Result<Done, StoreError> {
    let before = find(transaction, id)?.ok_or_else(|| StoreError::Missing(object(id)))?;
    transaction.execute("DELETE FROM rollouts WHERE id = ?", [key(id)])?;
    Ok(Done {
        kind: "rollout.deleted",
        object: object(id),
        before: Some(json!({"plan": in_short(before.plan), "progress": before.progress})),
        after: None,
        id: None,
    })
}

/// Of a plan that names many hosts, how many.
fn in_short(mut plan: Value) -> Value {
    if let Some(hosts) = plan.get_mut("hosts") {
        *hosts = hosts.as_array().map_or(0, Vec::len).into();
    }
    plan
}

fn object(id: u64) -> String {
    format!("rollout {id}")
}
