//! `ops-meta job restart` and `report`

use serde_json::{Value, json};

use super::meant::MeantHosts;
use super::wait::Waiting;
use super::{JOBS, wait};
use crate::cli::client::{Request, Server};
use crate::cli::failed::Failed;
use crate::cli::output::{Format, Out, Output, list};
use crate::cli::say;
use crate::cli::sizes::count;
use crate::cli::times::{self, Length};
use crate::domain::job::Kind;
use crate::domain::one_line::one_line;

/// Stop an agent on some hosts and start it again
///
/// Each host does it once, with its next beat. The number of the job is printed. A host on which the agent is not wanted to
/// run, is held or is being upgraded says so, and leaves it as it is.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta job restart my-agent web-01 web-02\n  \
                        ops-meta job restart my-agent @canaries --select 'env=prod and os=linux' --max-in-flight 5 --wait\n  \
                        id=$(ops-meta job restart my-agent @web --note 'it leaks') && ops-meta job wait $id --timeout 1h")]
pub struct Restart {
    agent: String,
    #[command(flatten)]
    making: Making,
}

/// Let some hosts report at once, rather than when they would
///
/// With its next beat a host hears that it is to beat again, and tells how everything is. The number of the job is printed.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  ops-meta job report web-01 --wait\n  ops-meta job report --select env=prod"
)]
pub struct Report {
    #[command(flatten)]
    making: Making,
}

#[derive(clap::Args)]
struct Making {
    #[command(flatten)]
    meant: MeantHosts,
    /// So many hosts at most are told and have not answered
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_in_flight: Option<u32>,
    /// After so long it is over, whoever has not answered: 30 days at most
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = times::length)]
    expires: Length,
    /// For whoever asks later why
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Only say which hosts it would be; for this the role viewer is enough
    #[arg(long)]
    dry_run: bool,
    /// Wait until it is over; ends with 1 where a host failed or did not answer
    #[arg(long, conflicts_with = "dry_run")]
    wait: bool,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

impl Restart {
    pub fn run(&self) -> Result<(), Failed> {
        self.making.run(Kind::Restart, &self.agent)
    }
}

impl Report {
    pub fn run(&self) -> Result<(), Failed> {
        self.making.run(Kind::Report, "")
    }
}

impl Making {
    fn run(&self, kind: Kind, agent: &str) -> Result<(), Failed> {
        if self.waiting.timeout.is_some() && !self.wait {
            return Err(Failed::WrongUse("--timeout says how long to wait; give --wait, too".to_owned()));
        }
        let (wanted, client) = (self.wanted(kind, agent), self.server.client()?);
        let dry_run = self.dry_run.then(|| ("dryRun", "true".to_owned()));
        let made = client.ask(Request::post(JOBS).body(&wanted).query(dry_run))?.body;
        let hosts = list(&made, "hosts");
        let Some(id) = made.get("id").and_then(Value::as_u64) else { return self.tried(&made, hosts) };
        let mut out = Out::new();
        match self.output.format {
            Format::Json => out.json(&made)?,
            Format::Table => out.line(&id.to_string())?,
        }
        out.flush()?;
        drop(out);
        let named = count(hosts.len() as u64, "host", "hosts");
        if self.wait {
            say(&format!("job {id} is for {named}"));
            return wait::until_over(&client, id, &self.waiting);
        }
        say(&format!("job {id} is for {named}; `ops-meta job wait {id}` waits for them"));
        Ok(())
    }

    fn wanted(&self, kind: Kind, agent: &str) -> Value {
        let mut wanted = json!({
            "kind": kind,
            "agent": agent,
            "maxInFlight": self.max_in_flight,
            "expiresSecs": self.expires.secs,
            "note": self.note.clone().unwrap_or_default(),
        });
        wanted.as_object_mut().into_iter().for_each(|wanted| wanted.extend(self.meant.written()));
        wanted
    }

    /// A dry run: who would do it, one a line.
    fn tried(&self, made: &Value, hosts: &[Value]) -> Result<(), Failed> {
        let mut out = Out::new();
        match self.output.format {
            Format::Json => out.json(made)?,
            Format::Table => {
                hosts.iter().filter_map(Value::as_str).try_for_each(|host| out.line(&one_line(host)))?;
            }
        }
        out.flush()?;
        let named = count(hosts.len() as u64, "host", "hosts");
        say(&format!("it would be {named}; nothing was begun, as this was a dry run"));
        Ok(())
    }
}
