//! What should run where: a row for each group, policy and list, and for the settings.

use rusqlite::{Transaction, params};
use serde_json::{Map, Value, json};

use super::admin::{Done, generation};
use super::orders::without_passwords;
use super::{Store, StoreError};
use crate::domain::desired::Difference;

/// What an event says of one side; more is told by its names.
const SIDE_BYTES_MAX: usize = 64 << 10;
const NAMES_MAX: usize = 20;

/// One object as it is kept, see `domain::desired`.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub kind: String,
    pub name: String,
    pub value: Value,
    /// Of the change that wrote it.
    pub generation: u64,
}

impl Store {
    /// Everything. Blocks; for the start.
    pub fn desired(&self) -> Result<Vec<Row>, StoreError> {
        let reader = self.sqlite.reader()?;
        let mut statement =
            reader.prepare("SELECT kind, name, value, generation FROM desired ORDER BY kind, name")?;
        let mut rows = statement.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let (kind, name): (String, String) = (row.get(0)?, row.get(1)?);
            let value = serde_json::from_str(&row.get::<_, String>(2)?)
                .map_err(|_| StoreError::Damaged(format!("{kind} {name} in `desired` has no value")))?;
            all.push(Row { kind, name, value, generation: row.get::<_, i64>(3)?.unsigned_abs() });
        }
        Ok(all)
    }
}

/// `None` where nothing is to be done.
pub(super) fn write(
    transaction: &Transaction<'_>,
    differences: &[Difference],
) -> Result<Option<Done>, StoreError> {
    let next = generation(transaction)? + 1;
    for Difference { object, after, .. } in differences {
        let (kind, name) = (object.kind(), object.name());
        match after {
            Some(value) => transaction.execute(
                "INSERT OR REPLACE INTO desired VALUES (?, ?, ?, ?)",
                params![kind, name, value.to_string(), next as i64],
            )?,
            None => {
                transaction.execute("DELETE FROM desired WHERE kind = ? AND name = ?", params![kind, name])?
            }
        };
    }
    Ok(match differences {
        [] => None,
        [one] => Some(Done {
            kind: event(one),
            object: one.object.to_string(),
            before: one.before.as_ref().map(told),
            after: one.after.as_ref().map(told),
            id: None,
        }),
        several => Some(Done {
            kind: "desired.changed",
            object: "desired state".to_owned(),
            before: Some(side(several, |it| it.before.as_ref())),
            after: Some(side(several, |it| it.after.as_ref())),
            id: None,
        }),
    })
}

fn event(of: &Difference) -> &'static str {
    match (of.object.kind(), of.what()) {
        ("group", "created") => "group.created",
        ("group", "deleted") => "group.deleted",
        ("group", _) => "group.changed",
        ("policy", "created") => "policy.created",
        ("policy", "deleted") => "policy.deleted",
        ("policy", _) => "policy.changed",
        ("list", "created") => "list.created",
        ("list", "deleted") => "list.deleted",
        ("list", _) => "list.changed",
        _ => "settings.changed",
    }
}

/// Without passwords, and of much only how much it is.
fn told(value: &Value) -> Value {
    match (value, value.to_string().len()) {
        (_, ..=SIDE_BYTES_MAX) => without_passwords(value),
        (Value::Array(words), _) => {
            json!({"count": words.len(), "some": words.get(..NAMES_MAX).unwrap_or(words)})
        }
        _ => Value::Null,
    }
}

fn side<'a>(all: &'a [Difference], of: impl Fn(&'a Difference) -> Option<&'a Value>) -> Value {
    let objects = all.iter().filter_map(|it| Some((it.object.to_string(), told(of(it)?))));
    let objects: Map<String, Value> = objects.collect();
    let whole = Value::Object(objects);
    match (&whole, whole.to_string().len()) {
        (Value::Object(objects), SIDE_BYTES_MAX..) => {
            json!({"count": objects.len(), "some": objects.keys().take(NAMES_MAX).collect::<Vec<_>>()})
        }
        _ => whole,
    }
}
