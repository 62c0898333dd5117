//! `ops-meta job`: some hosts do something once each.

mod delete;
mod hosts;
mod install;
mod list;
mod make;
mod meant;
mod show;
mod stop;
mod wait;

use serde_json::Value;

use super::failed::Failed;
use super::output::{number, text};
use super::sizes::count;
use crate::domain::one_line::one_line;

const JOBS: &str = "/api/v1/jobs";

#[derive(clap::Subcommand)]
pub enum Verb {
    /// Stop an agent on some hosts and start it again
    Restart(make::Restart),
    /// Let some hosts report at once, rather than when they would
    Report(make::Report),
    /// Install an agent on some hosts, or bring it to another version there: a rollout
    Install(Box<install::Install>),
    /// Uninstall an agent on some hosts: a rollout
    Uninstall(Box<install::Uninstall>),
    /// The jobs that fit, all unless told otherwise
    List(list::Args),
    /// One job: how far it is, and what failed
    Show(show::Args),
    /// The hosts of a job: when each was told, when it answered, and what failed
    Hosts(hosts::Args),
    /// End a job: nobody else is told
    Stop(stop::Args),
    /// Wait until a job is over
    Wait(wait::Args),
    /// Delete the history of a job that is over
    Delete(delete::Args),
}

pub fn run(verb: Verb) -> Result<(), Failed> {
    match verb {
        Verb::Restart(args) => args.run(),
        Verb::Report(args) => args.run(),
        Verb::Install(args) => args.run(),
        Verb::Uninstall(args) => args.run(),
        Verb::List(args) => list::run(&args),
        Verb::Show(args) => show::run(&args),
        Verb::Hosts(args) => hosts::run(&args),
        Verb::Stop(args) => stop::run(&args),
        Verb::Wait(args) => wait::run(&args),
        Verb::Delete(args) => delete::run(&args),
    }
}

fn path_of(id: u64) -> String {
    format!("{JOBS}/{id}")
}

/// `restart my-agent`, `report`
fn what(job: &Value) -> String {
    let words = ["kind", "agent"].map(|field| text(job, field));
    words.into_iter().filter(|word| word != "-").collect::<Vec<_>>().join(" ")
}

/// How many hosts stand so.
fn hosts_that_are(job: &Value, state: &str) -> u64 {
    let count = job.get("counts").and_then(|counts| number(counts, state));
    count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default()
}

fn all_hosts(job: &Value) -> u64 {
    number(job, "hosts").and_then(|count| u64::try_from(count).ok()).unwrap_or_default()
}

/// `pending 20, sent 8, done 10`
fn counts(job: &Value) -> String {
    let shown =
        ["pending", "sent", "done", "failed", "expired"].map(|state| (state, hosts_that_are(job, state)));
    let shown = shown.into_iter().filter(|(_, hosts)| *hosts > 0);
    shown.map(|(state, hosts)| format!("{state} {hosts}")).collect::<Vec<_>>().join(", ")
}

/// `bad_name 1, held 2`
fn codes(job: &Value) -> String {
    let failures = job.get("failures").and_then(Value::as_object).into_iter().flatten();
    let shown = failures.map(|(code, of)| format!("{} {}", one_line(code), text(of, "hosts")));
    shown.collect::<Vec<_>>().join(", ")
}

/// `12 of 40 hosts answered; failed: bad_name 1, held 2`
fn progress(job: &Value) -> String {
    let answered = hosts_that_are(job, "done") + hosts_that_are(job, "failed");
    let line = format!("{answered} of {} answered", count(all_hosts(job), "host", "hosts"));
    match codes(job).as_str() {
        "" => line,
        codes => format!("{line}; failed: {codes}"),
    }
}
