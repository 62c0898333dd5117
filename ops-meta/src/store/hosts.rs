//! What hosts said: written behind, read whole at the start, and one host's full report when somebody asks.

use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::sqlite::Durability;
use super::{Batch, HostChange, HostId, HostRow, HostWrite, Report, Store, StoreError};
use crate::domain::host::{RUNS_MAX, Run};

/// How much of one host's history is shown.
const HISTORY_SHOWN: usize = 100;
/// How much of one host's history is kept, for a month.
const HISTORY_KEPT: usize = 1000;

impl Store {
    /// The numbers of all hosts, in so many parts of about the same size. Blocks; for the start.
    pub fn parts(&self, parts: HostId) -> Result<Vec<RangeInclusive<HostId>>, StoreError> {
        let sql = "SELECT coalesce(max(id), 0) FROM hosts";
        let last: HostId = self.sqlite.reader()?.query_row(sql, [], |row| row.get(0))?;
        let each = last / parts.max(1) + 1;
        let begin = (0..=last).step_by(each as usize);
        Ok(begin.map(|first| first..=first.saturating_add(each - 1)).collect())
    }

    /// The hosts of a part, one after the other. Blocks; for the start.
    pub fn load(
        &self,
        part: RangeInclusive<HostId>,
        mut each: impl FnMut(HostRow<&str>),
    ) -> Result<(), StoreError> {
        let reader = self.sqlite.reader()?;
        let mut statement = reader.prepare("SELECT * FROM hosts WHERE id BETWEEN ? AND ?")?;
        let mut rows = statement.query([part.start(), part.end()])?;
        while let Some(row) = rows.next()? {
            each(host(row)?);
        }
        Ok(())
    }

    /// When hosts were listened to before. Blocks; for the start.
    pub fn runs(&self) -> Result<Vec<Run>, StoreError> {
        let reader = self.sqlite.reader()?;
        let mut statement = reader.prepare("SELECT since / 1000, until / 1000 FROM runs ORDER BY since")?;
        let runs = statement.query_map([], |row| Ok(Run { since: row.get(0)?, until: row.get(1)? }))?;
        Ok(runs.collect::<rusqlite::Result<_>>()?)
    }

    /// Takes the batch when it is its turn to write, so that what was dropped meanwhile is not written again. What was
    /// not written is given back.
    pub async fn flush(&self, take: impl FnOnce() -> Batch + Send + 'static) -> Result<usize, NotFlushed> {
        let batch = Arc::new(std::sync::Mutex::new(Batch::default()));
        let taken = batch.clone();
        let write = move |transaction: &Transaction<'_>| {
            let mut batch = taken.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            *batch = take();
            write(transaction, &batch)?;
            Ok(batch.changed.len() + batch.seen.len() + batch.forgotten.len())
        };
        self.sqlite.write(Durability::Process, write).await.map_err(|error| {
            let mut batch = batch.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            NotFlushed { error, batch: std::mem::take(&mut *batch) }
        })
    }

    /// The last beat of a host that differed from the one before.
    pub async fn report(&self, id: HostId) -> Result<Option<Report>, StoreError> {
        let found = move |it: &Connection| {
            let sql = "SELECT at, report FROM reports WHERE id = ?";
            let report =
                |row: &Row<'_>| Ok(Report { at: row.get(0)?, body: Bytes::from(row.get::<_, Vec<u8>>(1)?) });
            Ok(it.query_row(sql, [id], report).optional()?)
        };
        self.sqlite.read(found).await
    }

    /// What changed on a host, newest first.
    pub async fn history(&self, id: HostId) -> Result<Vec<HostChange>, StoreError> {
        let found = move |it: &Connection| {
            let sql =
                "SELECT at, agent, what, before, after FROM history WHERE host = ? ORDER BY id DESC LIMIT ?";
            let mut statement = it.prepare_cached(sql)?;
            let rows = statement.query_map(params![id, HISTORY_SHOWN as i64], change)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        };
        self.sqlite.read(found).await
    }

    /// Throws away history from before a moment (Unix milliseconds), a bounded part at a time; says how much. Lines are
    /// numbered as they come, so that the old ones come first.
    pub async fn forget_history(&self, before: i64) -> Result<usize, StoreError> {
        let old = move |it: &Transaction<'_>| {
            let first = "SELECT id, at FROM history ORDER BY id LIMIT 10000";
            let sql = format!("DELETE FROM history WHERE id IN (SELECT id FROM ({first}) WHERE at < ?)");
            Ok(it.execute(&sql, [before])?)
        };
        self.sqlite.write(Durability::Process, old).await
    }
}

/// Why a batch was not written, and the batch; empty when it was not even taken.
#[derive(Debug)]
pub struct NotFlushed {
    pub error: StoreError,
    pub batch: Batch,
}

fn host<'a>(row: &'a Row<'_>) -> Result<HostRow<&'a str>, StoreError> {
    Ok(HostRow {
        id: row.get(0)?,
        hostname: row.get(1)?,
        first_seen: row.get(2)?,
        last_seen: row.get(3)?,
        revived: row.get(4)?,
        report_hash: row.get::<_, i64>(5)? as u64,
        ip: row.get(6)?,
        machine_id: row.get(7)?,
        facts: row.get_ref(8)?.as_str().map_err(damaged)?,
        agents: row.get_ref(9)?.as_str().map_err(damaged)?,
    })
}

fn damaged(error: rusqlite::types::FromSqlError) -> StoreError {
    StoreError::Damaged(format!("a row of `hosts`: {error}"))
}

fn change(row: &Row<'_>) -> rusqlite::Result<HostChange> {
    Ok(HostChange {
        at: row.get(0)?,
        agent: row.get(1)?,
        what: row.get(2)?,
        before: row.get(3)?,
        after: row.get(4)?,
    })
}

fn write(transaction: &Transaction<'_>, batch: &Batch) -> Result<(), StoreError> {
    for write in &batch.changed {
        write_host(transaction, write)?;
    }
    let mut seen = transaction.prepare_cached("UPDATE hosts SET last_seen = ? WHERE id = ?")?;
    for (id, _, at) in &batch.seen {
        seen.execute(params![at, id])?;
    }
    let mut used = transaction.prepare_cached("UPDATE tokens SET last_used = ? WHERE id = ?")?;
    for (id, at) in &batch.used {
        used.execute(params![at, id])?;
    }
    if let Some(run) = batch.listened {
        listened(transaction, run)?;
    }
    batch.forgotten.iter().try_for_each(|id| forget(transaction, *id))
}

/// By a clock that was set back, what was before is over when this run begins.
fn listened(transaction: &Transaction<'_>, run: Run) -> Result<(), StoreError> {
    let (since, until) = (run.since * 1000, run.until * 1000);
    transaction.execute("DELETE FROM runs WHERE since >= ?", [since])?;
    transaction.execute("UPDATE runs SET until = min(until, ?)", [since])?;
    transaction.execute("INSERT INTO runs VALUES (?, ?)", [since, until])?;
    let old = "DELETE FROM runs WHERE since NOT IN (SELECT since FROM runs ORDER BY since DESC LIMIT ?)";
    transaction.execute(old, [RUNS_MAX as i64])?;
    Ok(())
}

fn write_host(transaction: &Transaction<'_>, write: &HostWrite) -> Result<(), StoreError> {
    let row = &write.row;
    transaction
        .prepare_cached("INSERT OR REPLACE INTO hosts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?
        .execute(params![
            row.id,
            row.hostname,
            row.first_seen,
            row.last_seen,
            row.revived,
            row.report_hash as i64,
            row.ip,
            row.machine_id,
            row.facts,
            row.agents
        ])?;
    if let Some(report) = &write.report {
        transaction.prepare_cached("INSERT OR REPLACE INTO reports VALUES (?, ?, ?)")?.execute(params![
            row.id,
            row.last_seen,
            &**report
        ])?;
    }
    for line in &write.history {
        transaction
            .prepare_cached(
                "INSERT INTO history (host, at, agent, what, before, after) VALUES (?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![row.id, line.at, line.agent, line.what, line.before, line.after])?;
    }
    if !write.history.is_empty() {
        shorten(transaction, row.id)?;
    }
    Ok(())
}

/// Looks at the index only, and at no more of it than is kept.
fn shorten(transaction: &Transaction<'_>, id: HostId) -> Result<(), StoreError> {
    let sql = "DELETE FROM history WHERE host = ?1 AND id <=
        (SELECT id FROM history WHERE host = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)";
    transaction.prepare_cached(sql)?.execute(params![id, HISTORY_KEPT as i64])?;
    Ok(())
}

pub fn forget(transaction: &Transaction<'_>, id: HostId) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM hosts WHERE id = ?",
        "DELETE FROM reports WHERE id = ?",
        "DELETE FROM history WHERE host = ?",
    ] {
        transaction.prepare_cached(sql)?.execute([id])?;
    }
    Ok(())
}
