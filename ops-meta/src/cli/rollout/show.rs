//! `ops-meta rollout show`

use serde_json::{Value, json};

use super::{breach, change, path_of, percent, verbs, waits_for, wave, waves, whom};
use crate::cli::client::{Query, Server};
use crate::cli::failed::Failed;
use crate::cli::output::{Format, Out, Output, Table, list, number, text};
use crate::cli::times;
use crate::domain::rollout::WaveText;

/// One rollout: how far it is, what it waits for, and what failed
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta rollout show 7\n  \
                        ops-meta rollout show 7 -o json | jq .failures")]
pub struct Args {
    id: u64,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let rollout = args.server.client()?.get(&path_of(args.id), &Query::new())?;
    let mut out = Out::new();
    match args.output.format {
        Format::Json => out.json(&rollout)?,
        Format::Table => page(&mut out, &rollout)?,
    }
    out.flush()
}

fn page(out: &mut Out, rollout: &Value) -> Result<(), Failed> {
    summary(rollout).iter().try_for_each(|line| out.line(line))?;
    section(out, "waves", &waves::lines(rollout))?;
    section(out, "failed", &waves::failures(rollout))?;
    plan(out, rollout)
}

fn summary(rollout: &Value) -> Vec<String> {
    let plan = rollout.get("plan").unwrap_or(&Value::Null);
    let why = rollout.get("why").unwrap_or(&Value::Null);
    let known = |object: &Value, field: &str| Some(text(object, field)).filter(|it| it != "-");
    let time = |object: &Value, field: &str| number(object, field).map(times::date_and_relative);
    let done =
        percent(rollout).map_or_else(String::new, |percent| format!("; {percent} of the hosts are done"));
    let created = number(rollout, "created").map_or_else(String::new, times::date);
    let lines = [
        ("policy", Some(format!("{} for {}", text(plan, "agent"), whom(rollout)))),
        ("change", Some(change(plan))),
        ("state", Some(text(rollout, "state"))),
        ("wave", Some(wave(rollout) + &done)),
        ("waits for", waits_for(rollout)),
        ("since", time(why, "since").or_else(|| time(rollout, "since"))),
        ("moved by", known(why, "movedBy")),
        ("breach", breach(rollout)),
        ("it can", Some(verbs(rollout)).filter(|verbs| !verbs.is_empty())),
        ("on breach", known(plan, "onBreach")),
        ("rest", Some(waves::classes(rollout.get("rest"))).filter(|rest| !rest.is_empty())),
        ("begun by", Some(format!("{}, {created}", text(rollout, "actor")))),
        ("finished", time(rollout, "finished")),
        ("note", known(rollout, "note")),
    ];
    let head = format!("rollout {}", text(rollout, "id"));
    let said = lines.into_iter().filter_map(|(key, value)| Some(format!("  {key:<11} {}", value?)));
    std::iter::once(head).chain(said).collect()
}

/// Nothing at all where there is nothing to tell.
fn section(out: &mut Out, title: &str, lines: &[String]) -> Result<(), Failed> {
    if lines.is_empty() {
        return Ok(());
    }
    out.line("")?;
    out.line(title)?;
    lines.iter().try_for_each(|line| out.line(&format!("  {line}")))
}

/// The waves as they were planned.
fn plan(out: &mut Out, rollout: &Value) -> Result<(), Failed> {
    let planned = rollout.get("plan").map_or(&[][..], |plan| list(plan, "waves"));
    let rows: Vec<Vec<String>> = list(rollout, "each").iter().zip(planned).map(row).collect();
    out.line("")?;
    out.line("plan")?;
    let heads = &["WAVE", "OF", "MAX FAILED", "IN FLIGHT", "A MINUTE", "TIMEOUT", "SOAK", "APPROVAL"];
    Table::indented(heads).print(out, &rows)
}

fn row((wave, planned): (&Value, &Value)) -> Vec<String> {
    let or = |field, default: &str| {
        Some(text(planned, field)).filter(|it| it != "-").unwrap_or(default.to_owned())
    };
    let defaults = json!({"maxFailed": WaveText::MAX_FAILED});
    let secs = |field, default: u32| format!("{} s", number(planned, field).unwrap_or(default.into()));
    vec![
        text(wave, "name"),
        or("select", "all"),
        or("maxFailed", &text(&defaults, "maxFailed")),
        or("maxInFlight", "any"),
        or("hostsPerMinute", "any"),
        secs("timeoutSecs", WaveText::TIMEOUT_SECS),
        secs("soakSecs", 0),
        or("approval", "no"),
    ]
}
