//! Jobs: a row each, and one for each host of each.

use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params, params_from_iter};
use serde_json::json;

use super::admin::{Done, newest};
use super::sqlite::Durability;
use super::{Store, StoreError};
use crate::clock::now_ms;
use crate::domain::job::{Host, HostState, Job, Outcome, State};

/// How many hosts an event names.
const NAMED_MAX: usize = 20;

/// One that is to be; its number comes with the row.
#[derive(Debug, Clone)]
pub struct NewJob {
    pub job: Job,
    pub hosts: Vec<Host>,
}

/// One that is over.
#[derive(Debug, Clone)]
pub struct JobEnd {
    pub id: u64,
    pub state: State,
    pub outcome: Outcome,
    /// What is not written of its hosts.
    pub hosts: Vec<Host>,
}

/// One as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    pub job: Job,
    pub state: State,
    /// Unix milliseconds.
    pub finished: Option<i64>,
    /// Of one that is over.
    pub outcome: Outcome,
}

/// Which are asked for; the newest come first.
#[derive(Debug, Clone, Default)]
pub struct JobsAsked {
    /// Only those older than this one.
    pub before_id: Option<i64>,
    pub state: Option<State>,
    pub limit: usize,
}

/// Which hosts of a job are asked for, by name.
#[derive(Debug, Clone)]
pub struct JobHostsAsked {
    pub id: u64,
    /// Only those behind this one.
    pub after: Option<String>,
    /// Empty: all.
    pub states: Vec<HostState>,
    pub limit: usize,
}

impl Store {
    /// Those that run, each with its hosts. Blocks; for the start.
    pub fn running_jobs(&self) -> Result<Vec<NewJob>, StoreError> {
        let reader = self.sqlite.reader()?;
        let mut statement = reader.prepare("SELECT * FROM jobs WHERE finished IS NULL ORDER BY id")?;
        let rows = rows(statement.query([])?)?;
        let with_hosts = |row: JobRow| {
            let asked = JobHostsAsked { id: row.job.id, after: None, states: Vec::new(), limit: usize::MAX };
            Ok(NewJob { hosts: hosts(&reader, &asked)?, job: row.job })
        };
        rows.into_iter().map(with_hosts).collect()
    }

    pub async fn jobs(&self, asked: JobsAsked) -> Result<Vec<JobRow>, StoreError> {
        self.sqlite.read(move |it| list(it, &asked)).await
    }

    pub async fn job(&self, id: u64) -> Result<Option<JobRow>, StoreError> {
        self.sqlite.read(move |it| find(it, id)).await
    }

    pub async fn job_hosts(&self, asked: JobHostsAsked) -> Result<Vec<Host>, StoreError> {
        self.sqlite.read(move |it| hosts(it, &asked)).await
    }

    /// How hosts of jobs stand by now. A power cut may cost it, and then they are told again.
    pub async fn write_job_hosts(&self, written: Vec<(u64, Vec<Host>)>) -> Result<(), StoreError> {
        let write = move |transaction: &Transaction<'_>| {
            written.iter().try_for_each(|(id, hosts)| write_hosts(transaction, *id, hosts))
        };
        self.sqlite.write(Durability::Process, write).await
    }
}

fn list(connection: &Connection, asked: &JobsAsked) -> Result<Vec<JobRow>, StoreError> {
    let conditions = [
        ("id < ?", asked.before_id.map(Sql::Integer)),
        ("state = ?", asked.state.map(|it| Sql::Text(it.as_str().to_owned()))),
    ];
    let (sql, values) = newest("jobs", conditions, asked.limit);
    let mut statement = connection.prepare_cached(&sql)?;
    rows(statement.query(params_from_iter(values))?)
}

fn find(connection: &Connection, id: u64) -> Result<Option<JobRow>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT * FROM jobs WHERE id = ?")?;
    let found = statement.query_row([key(id)], |row| Ok(read(row))).optional()?;
    found.transpose()
}

fn rows(mut found: rusqlite::Rows<'_>) -> Result<Vec<JobRow>, StoreError> {
    let mut all = Vec::new();
    while let Some(row) = found.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}

fn read(row: &Row<'_>) -> Result<JobRow, StoreError> {
    let id = row.get::<_, i64>("id")?.unsigned_abs();
    let outcome: Option<String> = row.get("outcome")?;
    let damaged = |why: &dyn std::fmt::Display| StoreError::Damaged(format!("job {id}: {why}"));
    let outcome = outcome.map(|text| serde_json::from_str(&text).map_err(|why| damaged(&why))).transpose()?;
    Ok(JobRow {
        job: Job {
            id,
            kind: row.get::<_, String>("kind")?.parse().map_err(|why| damaged(&why))?,
            agent: row.get("agent")?,
            max_in_flight: row.get("max_in_flight")?,
            note: row.get("note")?,
            actor: row.get("actor")?,
            created: row.get("created")?,
            expires: row.get("expires")?,
        },
        state: row.get::<_, String>("state")?.parse().map_err(|why| damaged(&why))?,
        finished: row.get("finished")?,
        outcome: outcome.unwrap_or_default(),
    })
}

fn hosts(connection: &Connection, asked: &JobHostsAsked) -> Result<Vec<Host>, StoreError> {
    let states: Vec<&str> = asked.states.iter().map(|it| it.as_str()).collect();
    let sql = "SELECT hostname, state, told, answered, code FROM job_hosts WHERE job = ?1 AND hostname > ?2
        AND (?3 = '' OR instr(?3, ',' || state || ',') > 0) ORDER BY hostname LIMIT ?4";
    let mut statement = connection.prepare_cached(sql)?;
    let states = if states.is_empty() { String::new() } else { format!(",{},", states.join(",")) };
    let limit = i64::try_from(asked.limit).unwrap_or(i64::MAX);
    let after = asked.after.as_deref().unwrap_or_default();
    let mut rows = statement.query(params![key(asked.id), after, states, limit])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let state: String = row.get(1)?;
        let damaged = |why| StoreError::Damaged(format!("a host of job {}: {why}", asked.id));
        all.push(Host {
            hostname: row.get(0)?,
            state: state.parse().map_err(damaged)?,
            told: row.get(2)?,
            answered: row.get(3)?,
            code: row.get(4)?,
        });
    }
    Ok(all)
}

fn write_hosts(transaction: &Transaction<'_>, id: u64, hosts: &[Host]) -> Result<(), StoreError> {
    let sql =
        "UPDATE job_hosts SET state = ?, told = ?, answered = ?, code = ? WHERE job = ? AND hostname = ?";
    let mut statement = transaction.prepare_cached(sql)?;
    for host in hosts {
        let Host { hostname, state, told, answered, code } = host;
        statement.execute(params![state.as_str(), told, answered, code, key(id), hostname])?;
    }
    Ok(())
}

/// No database counts so far as that it would not fit.
fn key(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

pub(super) fn create(transaction: &Transaction<'_>, new: NewJob, actor: &str) -> Result<Done, StoreError> {
    let NewJob { job, hosts } = new;
    // See the migration.
    let number = "SELECT max(?, coalesce((SELECT seq + 1 FROM sqlite_sequence WHERE name = 'jobs'), 0))";
    let id: i64 = transaction.query_row(number, [now_ms() / 1000], |row| row.get(0))?;
    transaction.execute(
        "INSERT INTO jobs (id, kind, agent, max_in_flight, note, actor, created, expires, state)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            id,
            job.kind.as_str(),
            job.agent,
            job.max_in_flight,
            job.note,
            actor,
            job.created,
            job.expires,
            State::Running.as_str()
        ],
    )?;
    let sql = "INSERT INTO job_hosts (job, hostname, state, code) VALUES (?, ?, ?, '')";
    let mut statement = transaction.prepare_cached(sql)?;
    for host in &hosts {
        statement.execute(params![id, host.hostname, host.state.as_str()])?;
    }
    let some: Vec<&str> = hosts.iter().take(NAMED_MAX).map(|host| &*host.hostname).collect();
    Ok(Done {
        kind: "job.created",
        object: object(id.unsigned_abs()),
        before: None,
        after: Some(json!({"kind": job.kind, "agent": job.agent, "hosts": hosts.len(), "some": some,
                           "maxInFlight": job.max_in_flight, "expires": job.expires, "note": job.note})),
        id: Some(id),
    })
}

/// `None`: it was over already.
pub(super) fn end(transaction: &Transaction<'_>, end: JobEnd) -> Result<Option<Done>, StoreError> {
    let JobEnd { id, state, outcome, hosts } = end;
    write_hosts(transaction, id, &hosts)?;
    let text = json!(outcome).to_string();
    let sql = "UPDATE jobs SET state = ?, finished = ?, outcome = ? WHERE id = ? AND finished IS NULL";
    if transaction.execute(sql, params![state.as_str(), now_ms(), text, key(id)])? == 0 {
        return Ok(None);
    }
    Ok(Some(Done {
        kind: if state == State::Stopped { "job.stopped" } else { "job.done" },
        object: object(id),
        before: None,
        after: Some(json!({"state": state, "counts": outcome.counts, "failures": outcome.failures})),
        id: None,
    }))
}

pub(super) fn delete(transaction: &Transaction<'_>, id: u64) -> Result<Done, StoreError> {
    let row = find(transaction, id)?.ok_or_else(|| StoreError::Missing(object(id)))?;
    if row.finished.is_none() {
        let why = format!("{} is not over; wait for its end, or stop it", object(id));
        return Err(StoreError::Conflict(why));
    }
    transaction.execute("DELETE FROM job_hosts WHERE job = ?", [key(id)])?;
    transaction.execute("DELETE FROM jobs WHERE id = ?", [key(id)])?;
    let JobRow { job, state, outcome, .. } = row;
    Ok(Done {
        kind: "job.deleted",
        object: object(id),
        before: Some(json!({"kind": job.kind, "agent": job.agent, "state": state, "counts": outcome.counts})),
        after: None,
        id: None,
    })
}

fn object(id: u64) -> String {
    format!("job {id}")
}
