//! `ops-meta job show`

use serde_json::Value;

use super::{counts, path_of, what};
use crate::cli::client::{Query, Server};
use crate::cli::failed::Failed;
use crate::cli::output::{Format, Out, Output, list, number, text};
use crate::cli::times;
use crate::domain::one_line::one_line;

/// One job: how far it is, and what failed
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta job show 1800000000\n  \
                        ops-meta job show 1800000000 -o json | jq .failures")]
pub struct Args {
    id: u64,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let job = args.server.client()?.get(&path_of(args.id), &Query::new())?;
    show(args.output.format, &job)
}

pub fn show(format: Format, job: &Value) -> Result<(), Failed> {
    let mut out = Out::new();
    match format {
        Format::Json => out.json(job)?,
        Format::Table => summary(job).iter().try_for_each(|line| out.line(line))?,
    }
    out.flush()
}

fn summary(job: &Value) -> Vec<String> {
    let known = |field: &str| Some(text(job, field)).filter(|it| it != "-");
    let time = |field: &str| number(job, field).map(times::date_and_relative);
    let created = number(job, "created").map_or_else(String::new, times::date);
    let lines = [
        ("what", Some(what(job))),
        ("state", known("state")),
        (
            "hosts",
            Some(format!(
                "{}; {} % have answered: {}",
                text(job, "hosts"),
                text(job, "percent"),
                counts(job)
            )),
        ),
        ("in flight", known("maxInFlight").map(|most| format!("{most} at most"))),
        ("made by", Some(format!("{}, {created}", text(job, "actor")))),
        ("expires", time("expires").filter(|_| known("finished").is_none())),
        ("finished", time("finished")),
        ("note", known("note")),
    ];
    let said = lines.into_iter().filter_map(|(key, value)| Some(format!("  {key:<9} {}", value?)));
    let failures = job.get("failures").and_then(Value::as_object).into_iter().flatten();
    let failed = failures.map(|(code, of)| format!("  {:<9} {}", "failed", failure(code, of)));
    std::iter::once(format!("job {}", text(job, "id"))).chain(said).chain(failed).collect()
}

/// `bad_name 12: web-01 web-02 ...`
fn failure(code: &str, of: &Value) -> String {
    let some: Vec<String> = list(of, "some").iter().filter_map(Value::as_str).map(one_line).collect();
    let more = number(of, "hosts").is_some_and(|hosts| hosts > some.len() as i64);
    format!("{} {}: {}{}", one_line(code), text(of, "hosts"), some.join(" "), if more { " ..." } else { "" })
}
