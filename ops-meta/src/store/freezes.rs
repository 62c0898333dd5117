//! Freezes: those that have not ended.

use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde_json::json;

use super::admin::Done;
use super::{Store, StoreError};
use crate::clock::now_ms;
use crate::domain::freeze::{Freeze, Frozen};

impl Store {
    /// Blocks; for the start.
    pub fn freezes(&self) -> Result<Vec<Freeze>, StoreError> {
        let reader = self.sqlite.reader()?;
        let mut statement = reader.prepare("SELECT * FROM freezes ORDER BY id")?;
        let mut rows = statement.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(read(row)?);
        }
        Ok(all)
    }
}

fn read(row: &Row<'_>) -> Result<Freeze, StoreError> {
    let id = row.get::<_, i64>("id")?.unsigned_abs();
    let (agent, group): (String, String) = (row.get("agent")?, row.get("of_group")?);
    let of = match (agent.as_str(), group.as_str()) {
        ("", "") => Frozen::All,
        ("", group) => Frozen::Group(group.into()),
        (agent, _) => Frozen::Agent(
            agent
                .parse()
                .map_err(|why| StoreError::Damaged(format!("the agent of freeze {id} is no name: {why}")))?,
        ),
    };
    Ok(Freeze { id, of, why: row.get("why")?, actor: row.get("actor")?, since: row.get("created")? })
}

pub(super) fn begin(
    transaction: &Transaction<'_>,
    of: &Frozen,
    why: &str,
    actor: &str,
) -> Result<Done, StoreError> {
    let (agent, group) = match of {
        Frozen::All => ("", ""),
        Frozen::Agent(agent) => (agent.as_str(), ""),
        Frozen::Group(group) => ("", &**group),
    };
    transaction.execute(
        "INSERT INTO freezes (agent, of_group, why, actor, created) VALUES (?, ?, ?, ?, ?)",
        params![agent, group, why, actor, now_ms()],
    )?;
    let id = transaction.last_insert_rowid();
    Ok(Done {
        kind: "freeze.begun",
        object: object(id),
        before: None,
        after: Some(json!({"of": of.to_string(), "why": why})),
        id: Some(id),
    })
}

pub(super) fn end(transaction: &Transaction<'_>, id: u64) -> Result<Done, StoreError> {
    let id = i64::try_from(id).unwrap_or(i64::MAX);
    let mut statement = transaction.prepare_cached("SELECT * FROM freezes WHERE id = ?")?;
    let found = statement.query_row([id], |row| Ok(read(row))).optional()?;
    let freeze = found.ok_or_else(|| StoreError::Missing(object(id)))??;
    transaction.execute("DELETE FROM freezes WHERE id = ?", [id])?;
    Ok(Done {
        kind: "freeze.ended",
        object: object(id),
        before: Some(json!({"of": freeze.of.to_string(), "why": freeze.why})),
        after: None,
        id: None,
    })
}

fn object(id: i64) -> String {
    format!("freeze {id}")
}
