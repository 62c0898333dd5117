//! What operators decide and what became of it: changes, events, tokens.

use std::sync::Arc;

use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params, params_from_iter};
use serde_json::{Value, json};

use super::orders::{differing, without_passwords};
use super::sqlite::Durability;
use super::{
    Actor, Change, Changed, Event, EventsAsked, HostId, LastAdmin, NewToken, Store, StoreError, Token, Turn,
};
use super::{desired, freezes, jobs, packages, rollouts};
use crate::clock::now_ms;
use crate::domain::role::Role;

/// What a change did, before it becomes an event.
pub(super) struct Done {
    pub kind: &'static str,
    pub object: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
    pub id: Option<i64>,
}

impl Store {
    /// The integer that every administrative change raises.
    pub async fn generation(&self) -> Result<u64, StoreError> {
        self.sqlite.read(|it| Ok(generation(it)?)).await
    }

    /// Does it whole, with its event, or not at all. It survives a power cut.
    pub async fn change(&self, actor: Actor, change: Change) -> Result<Changed, StoreError> {
        self.change_in(self.turn().await?, actor, change).await
    }

    /// The same, by somebody whose turn it is.
    pub async fn change_in(&self, turn: Turn, actor: Actor, change: Change) -> Result<Changed, StoreError> {
        let change = move |transaction: &Transaction<'_>| {
            let Some(done) = apply(transaction, &actor, change)? else {
                return Ok(Changed { generation: generation(transaction)?, event: None, id: None });
            };
            record(transaction, actor, done)
        };
        self.sqlite.write_then(turn, Durability::Power, change, || ()).await
    }

    /// Forgets a host, with its event. It is found by its number when it is the change's turn, and `forgotten` in memory
    /// before anybody else's: no flush comes between.
    pub async fn drop_host(
        &self,
        actor: Actor,
        hostname: String,
        find: impl FnOnce() -> Option<HostId> + Send + 'static,
        forgotten: impl FnOnce() + Send + 'static,
    ) -> Result<Changed, StoreError> {
        let drop = move |transaction: &Transaction<'_>| {
            let id = find().ok_or_else(|| StoreError::Missing(format!("host {hostname:?}")))?;
            let done = drop_host(transaction, id, hostname)?;
            record(transaction, actor, done)
        };
        let turn = self.turn().await?;
        self.sqlite.write_then(turn, Durability::Power, drop, forgotten).await
    }

    /// Newest first.
    pub async fn events(&self, asked: EventsAsked) -> Result<Vec<Event>, StoreError> {
        self.sqlite.read(move |it| Ok(events(it, &asked)?)).await
    }

    /// All of them, those that no longer count too.
    pub async fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        let all = |it: &Connection| {
            let mut statement = it.prepare_cached("SELECT * FROM tokens ORDER BY id")?;
            let rows = statement.query_map([], token)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        };
        self.sqlite.read(all).await
    }
}

pub(super) fn generation(connection: &Connection) -> rusqlite::Result<u64> {
    let found: i64 = connection.query_row("SELECT generation FROM state", [], |row| row.get(0))?;
    Ok(found.unsigned_abs())
}

/// To the next generation.
pub(super) fn raise(transaction: &Transaction<'_>) -> rusqlite::Result<u64> {
    transaction.execute("UPDATE state SET generation = generation + 1", [])?;
    generation(transaction)
}

/// `None` where nothing is to be told.
fn apply(transaction: &Transaction<'_>, actor: &Actor, change: Change) -> Result<Option<Done>, StoreError> {
    match change {
        Change::CreateToken(new) => create_token(transaction, new).map(Some),
        Change::RevokeToken { id, last_admin } => revoke_token(transaction, id, last_admin),
        Change::ForgetHosts { count, some } => Ok(Some(Done {
            kind: "hosts.forgotten",
            object: "hosts".to_owned(),
            before: Some(json!({"count": count, "some": some})),
            after: None,
            id: None,
        })),
        Change::CreatePackage(new) => packages::create(transaction, *new, &actor.0).map(Some),
        Change::Package { id, change } => packages::change(transaction, id, change),
        Change::Desired { differences, ended } => {
            rollouts::end(transaction, &ended)?;
            desired::write(transaction, &differences)
        }
        Change::StartRollout(new) => rollouts::start(transaction, *new, &actor.0).map(Some),
        Change::Rollout(moved) => rollouts::go_on(transaction, *moved),
        Change::DeleteRollout(id) => rollouts::delete(transaction, id).map(Some),
        Change::Freeze { of, why } => freezes::begin(transaction, &of, &why, &actor.0).map(Some),
        Change::Unfreeze(id) => freezes::end(transaction, id).map(Some),
        Change::CreateJob(new) => jobs::create(transaction, *new, &actor.0).map(Some),
        Change::EndJob(end) => jobs::end(transaction, *end),
        Change::DeleteJob(id) => jobs::delete(transaction, id).map(Some),
        Change::Orders { digest, agents } => orders(transaction, digest, agents),
    }
}

fn record(transaction: &Transaction<'_>, actor: Actor, done: Done) -> Result<Changed, StoreError> {
    let (generation, at) = (raise(transaction)?, now_ms());
    let text = |value: &Option<Value>| value.as_ref().map(Value::to_string);
    transaction.execute(
        "INSERT INTO events (at, generation, actor, kind, object, before, after) VALUES (?, ?, ?, ?, ?, ?, ?)",
        params![
            at,
            generation as i64,
            actor.0,
            done.kind,
            done.object,
            text(&done.before),
            text(&done.after)
        ],
    )?;
    let event = Event {
        id: transaction.last_insert_rowid(),
        at,
        generation,
        actor: actor.0,
        kind: done.kind.to_owned(),
        object: done.object,
        before: done.before,
        after: done.after,
    };
    Ok(Changed { generation, event: Some(event), id: done.id })
}

fn create_token(transaction: &Transaction<'_>, new: NewToken) -> Result<Done, StoreError> {
    let alive =
        "SELECT 1 FROM tokens WHERE name = ? AND revoked IS NULL AND (expires IS NULL OR expires > ?)";
    if transaction.query_row(alive, params![new.name, now_ms()], |_| Ok(())).optional()?.is_some() {
        let why = format!("there is a token named {:?} already; revoke it, or take another name", new.name);
        return Err(StoreError::Conflict(why));
    }
    transaction.execute(
        "INSERT INTO tokens (name, role, hostname, hash, created, expires) VALUES (?, ?, ?, ?, ?, ?)",
        params![new.name, new.role.as_str(), new.hostname, new.hash, now_ms(), new.expires],
    )?;
    let id = transaction.last_insert_rowid();
    let after = json!({"name": new.name, "role": new.role, "hostname": new.hostname, "expires": new.expires});
    Ok(Done {
        kind: "token.created",
        object: format!("token {id}"),
        before: None,
        after: Some(after),
        id: Some(id),
    })
}

fn revoke_token(
    transaction: &Transaction<'_>,
    id: i64,
    last_admin: LastAdmin,
) -> Result<Option<Done>, StoreError> {
    let found = transaction.query_row("SELECT * FROM tokens WHERE id = ?", [id], token).optional()?;
    let token = found.ok_or_else(|| StoreError::Missing(format!("token {id}")))?;
    if last_admin == LastAdmin::Stays && admins(transaction)? == [id] {
        let why = format!(
            "token {id} ({}) is the last one of an admin that counts, and without it nobody gives or revokes tokens; \
             make another first, or force it (`--force`, `?force=true`)",
            token.name
        );
        return Err(StoreError::Conflict(why));
    }
    let revoke = "UPDATE tokens SET revoked = ? WHERE id = ? AND revoked IS NULL";
    if transaction.execute(revoke, params![now_ms(), id])? == 0 {
        return Ok(None);
    }
    let before = json!({"name": token.name, "role": token.role, "hostname": token.hostname});
    Ok(Some(Done {
        kind: "token.revoked",
        object: format!("token {id}"),
        before: Some(before),
        after: None,
        id: None,
    }))
}

/// The tokens of admins that count now.
fn admins(transaction: &Transaction<'_>) -> rusqlite::Result<Vec<i64>> {
    let sql = "SELECT id FROM tokens WHERE role = ? AND revoked IS NULL AND (expires IS NULL OR expires > ?)";
    let mut statement = transaction.prepare_cached(sql)?;
    statement.query_map(params![Role::Admin.as_str(), now_ms()], |row| row.get(0))?.collect()
}

fn drop_host(transaction: &Transaction<'_>, id: HostId, hostname: String) -> Result<Done, StoreError> {
    let as_json = |row: &Row<'_>| {
        let times = json!({"firstSeen": row.get::<_, i64>(0)?, "lastSeen": row.get::<_, i64>(1)?});
        Ok(times)
    };
    let sql = "SELECT first_seen, last_seen FROM hosts WHERE id = ?";
    let before = transaction.query_row(sql, [id], as_json).optional()?;
    super::hosts::forget(transaction, id)?;
    Ok(Done { kind: "host.dropped", object: format!("host {hostname}"), before, after: None, id: None })
}

fn orders(transaction: &Transaction<'_>, digest: String, agents: Value) -> Result<Option<Done>, StoreError> {
    let sql = "SELECT orders_digest, orders FROM state";
    let (known, before): (String, String) =
        transaction.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if known == digest {
        return Ok(None);
    }
    let agents = without_passwords(&agents);
    let sql = "UPDATE state SET orders_digest = ?, orders = ?";
    transaction.execute(sql, params![digest, agents.to_string()])?;
    let (before, after) = differing(&serde_json::from_str(&before).unwrap_or_default(), &agents);
    Ok(Some(Done {
        kind: "orders.changed",
        object: "cfg.json".to_owned(),
        before: (!known.is_empty()).then(|| json!({"digest": known, "agents": before})),
        after: Some(json!({"digest": digest, "agents": after})),
        id: None,
    }))
}

fn token(row: &Row<'_>) -> rusqlite::Result<Token> {
    let role: Result<Role, _> = row.get::<_, String>("role")?.parse();
    let (created, revoked): (i64, Option<i64>) = (row.get("created")?, row.get("revoked")?);
    Ok(Token {
        id: row.get("id")?,
        name: row.get("name")?,
        // What a role of another version may do is not known: its token counts as revoked.
        role: role.clone().unwrap_or(Role::Viewer),
        hostname: row.get("hostname")?,
        hash: row.get("hash")?,
        created,
        expires: row.get("expires")?,
        revoked: revoked.or(role.is_err().then_some(created)),
        last_used: row.get("last_used")?,
    })
}

/// Rows of a table for which every condition holds that has a value, the newest first.
pub(super) fn newest(
    table: &str,
    conditions: impl IntoIterator<Item = (&'static str, Option<Sql>)>,
    limit: usize,
) -> (String, Vec<Sql>) {
    let (mut sql, mut values) = (format!("SELECT * FROM {table} WHERE 1"), Vec::new());
    for (condition, value) in conditions {
        let Some(value) = value else { continue };
        sql += " AND ";
        sql += condition;
        values.push(value);
    }
    sql += " ORDER BY id DESC LIMIT ?";
    values.push(Sql::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
    (sql, values)
}

fn events(connection: &Connection, asked: &EventsAsked) -> rusqlite::Result<Vec<Event>> {
    let text = |it: &Option<String>| it.clone().map(Sql::Text);
    let number = |it: Option<i64>| it.map(Sql::Integer);
    let conditions = [
        ("id < ?", number(asked.before_id)),
        ("id > ?", number(asked.after_id)),
        ("kind = ?", text(&asked.kind)),
        ("actor = ?", text(&asked.actor)),
        ("object = ?", text(&asked.object)),
        ("at >= ?", number(asked.since)),
        ("at <= ?", number(asked.until)),
    ];
    let (sql, values) = newest("events", conditions, asked.limit);
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(values), event)?;
    rows.collect()
}

fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    let json = |name: &str| -> rusqlite::Result<Option<Value>> {
        let text: Option<Arc<str>> = row.get(name)?;
        Ok(text.map(|text| serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.to_string()))))
    };
    Ok(Event {
        id: row.get("id")?,
        at: row.get("at")?,
        generation: row.get::<_, i64>("generation")?.unsigned_abs(),
        actor: row.get("actor")?,
        kind: row.get("kind")?,
        object: row.get("object")?,
        before: json("before")?,
        after: json("after")?,
    })
}
