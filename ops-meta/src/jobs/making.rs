//! A job is made: who is meant is worked out, and then written.

use std::fmt;
use std::sync::Arc;

use ops_wire::AgentName;

use super::{One, Running};
use crate::clock::now_ms;
use crate::domain::job::{EXPIRES_SECS_MAX, HOSTS_MAX, Host, Job, Kind};
use crate::meant_hosts::{MeantHosts, NotMeant};
use crate::running::App;
use crate::store::{Actor, Change, NewJob, StoreError};

/// Jobs that run: fewer than the actions that a host remembers, of which it does none twice.
const RUNNING_MAX: usize = 100;
/// Hosts in all of them.
const HOSTS_RUNNING_MAX: usize = 10 * HOSTS_MAX;

/// What somebody wants to be done.
#[derive(Debug, Clone)]
pub struct ToMake {
    pub kind: Kind,
    pub agent: String,
    pub meant: MeantHosts,
    pub max_in_flight: Option<u32>,
    pub expires_secs: u64,
    pub note: String,
}

/// What became of it.
pub struct Made {
    /// `None`: it was a dry run.
    pub id: Option<u64>,
    /// By name.
    pub hosts: Vec<String>,
}

/// Why none was made.
#[derive(Debug)]
pub enum NotMade {
    /// This field is wrong.
    Field(&'static str, String),
    TooMany(String),
    Store(StoreError),
    BrokenOff,
}

impl App {
    /// Not to be broken off.
    pub async fn make_job(
        self: Arc<Self>,
        actor: Actor,
        dry_run: bool,
        wanted: ToMake,
    ) -> Result<Made, NotMade> {
        wanted.check()?;
        let hosts = self.clone().meant_hosts(&wanted.meant).await?;
        if dry_run {
            return Ok(Made { id: None, hosts });
        }
        let _turn = self.jobs.turn().await;
        self.jobs.running().have_room_for(hosts.len())?;
        let now = now_ms();
        let mut job = Job {
            id: 0,
            kind: wanted.kind,
            agent: wanted.agent,
            max_in_flight: wanted.max_in_flight,
            note: wanted.note,
            actor: actor.0.clone(),
            created: now,
            // It was checked.
            expires: now.saturating_add_unsigned(wanted.expires_secs * 1000),
        };
        let rows: Vec<Host> = hosts.iter().map(|name| Host::new(name.as_str())).collect();
        let new = NewJob { job: job.clone(), hosts: rows.clone() };
        let changed = self.store.change(actor, Change::CreateJob(Box::new(new))).await?;
        job.id = changed.id.unwrap_or_default().unsigned_abs();
        let (id, one) = (job.id, Arc::new(One::new(job, rows)));
        self.jobs.change(|jobs| _ = jobs.insert(id, one));
        Ok(Made { id: Some(id), hosts })
    }
}

impl Running {
    fn have_room_for(&self, hosts: usize) -> Result<(), NotMade> {
        let have: usize = self.by_host.values().map(Vec::len).sum();
        let why = match (self.jobs.len() >= RUNNING_MAX, have + hosts > HOSTS_RUNNING_MAX) {
            (true, _) => format!("{RUNNING_MAX} jobs run, and there may be no more at once"),
            (_, true) => {
                format!("jobs that run have {have} hosts already, and may have {HOSTS_RUNNING_MAX} together")
            }
            _ => return Ok(()),
        };
        Err(NotMade::TooMany(format!("{why}; wait for the end of one, or stop one")))
    }
}

impl ToMake {
    fn check(&self) -> Result<(), NotMade> {
        match (self.kind, self.agent.parse::<AgentName>()) {
            (Kind::Restart, Err(why)) => {
                return Err(field("agent", format!("`agent` is no agent's name: {why}")));
            }
            (Kind::Report, _) if !self.agent.is_empty() => {
                let why = "it is the host that reports, and all of its agents: leave `agent` out";
                return Err(field("agent", why.to_owned()));
            }
            _ => {}
        }
        if self.max_in_flight == Some(0) {
            return Err(field("maxInFlight", "with `maxInFlight` 0 no host would be told".to_owned()));
        }
        if !(1..=EXPIRES_SECS_MAX).contains(&self.expires_secs) {
            let why = format!("`expiresSecs` has to be 1 to {EXPIRES_SECS_MAX}, which is 30 days");
            return Err(field("expiresSecs", why));
        }
        Ok(())
    }
}

fn field(field: &'static str, why: String) -> NotMade {
    NotMade::Field(field, why)
}

impl From<NotMeant> for NotMade {
    fn from(why: NotMeant) -> Self {
        match why {
            NotMeant::Field(field, why) => Self::Field(field, why),
            NotMeant::Store(why) => Self::Store(why),
            NotMeant::BrokenOff => Self::BrokenOff,
        }
    }
}

impl From<StoreError> for NotMade {
    fn from(why: StoreError) -> Self {
        Self::Store(why)
    }
}

impl fmt::Display for NotMade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(_, why) | Self::TooMany(why) => f.write_str(why),
            Self::Store(why) => why.fmt(f),
            Self::BrokenOff => f.write_str("the work was broken off; nothing was made"),
        }
    }
}
