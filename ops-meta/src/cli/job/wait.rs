//! `ops-meta job wait`

use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{all_hosts, codes, hosts_that_are, path_of, progress};
use crate::cli::client::{Client, Query, Server};
use crate::cli::failed::Failed;
use crate::cli::output::text;
use crate::cli::say;
use crate::cli::sizes::count;
use crate::cli::times::{self, Length};

/// Wait until a job is over
///
/// It ends with 0 once every host has done it, and with 1 where one failed or did not answer, or the job was stopped.
/// What changes is told on standard error.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta job wait 1800000000 --timeout 10m")]
pub struct Args {
    id: u64,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    server: Server,
}

#[derive(clap::Args)]
pub struct Waiting {
    /// How long to wait at most: the job goes on. Until it is over, unless given
    #[arg(long, value_name = "TIME", value_parser = times::length)]
    pub timeout: Option<Length>,
    /// How often to look
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = times::length)]
    interval: Length,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    until_over(&args.server.client()?, args.id, &args.waiting)
}

/// A server that is away is asked again.
pub fn until_over(client: &Client, id: u64, waiting: &Waiting) -> Result<(), Failed> {
    let (begun, mut told) = (Instant::now(), String::new());
    loop {
        let mut pause = Duration::from_secs(waiting.interval.secs);
        let now = match client.get(&path_of(id), &Query::new()) {
            Ok(job) if text(&job, "state") != "running" => return ended(id, &job),
            Ok(job) => progress(&job),
            Err(Failed::Away { why, retry_after }) => {
                pause = retry_after.map_or(pause, |after| after.max(pause));
                format!("ops-meta: {why}; it is asked again")
            }
            Err(failed) => return Err(failed),
        };
        if now != told {
            say(&now);
            told = now;
        }
        let left = waiting.left(begun);
        if left.is_zero() {
            return Err(waiting.timed_out(id, &told));
        }
        thread::sleep(pause.min(left));
    }
}

impl Waiting {
    fn left(&self, begun: Instant) -> Duration {
        let timeout = self.timeout.map_or(Duration::MAX, |it| Duration::from_secs(it.secs));
        timeout.saturating_sub(begun.elapsed())
    }

    fn timed_out(&self, id: u64, told: &str) -> Failed {
        let after = times::took(self.timeout.map_or(0, |it| it.secs).saturating_mul(1000));
        Failed::Refused(format!(
            "after {after} job {id} is not over, and goes on: {told}; `ops-meta job hosts {id}` shows all of them"
        ))
    }
}

/// How it ended.
fn ended(id: u64, job: &Value) -> Result<(), Failed> {
    let (state, all) = (text(job, "state"), all_hosts(job));
    let (done, failed) = (hosts_that_are(job, "done"), hosts_that_are(job, "failed"));
    let named = count(all, "host", "hosts");
    if done == all {
        say(&format!("job {id} is {state}: {named}"));
        return Ok(());
    }
    let mut why = Vec::new();
    if failed > 0 {
        why.push(format!("{failed} failed ({})", codes(job)));
    }
    if all > done + failed {
        why.push(format!("{} did not answer", all - done - failed));
    }
    Err(Failed::Refused(format!(
        "job {id} is {state}: of {named} {}; `ops-meta job hosts {id} --state pending,sent,failed,expired` shows them",
        why.join(", ")
    )))
}
