//! `ops-meta group show`

use serde_json::Value;

use super::path_of;
use crate::cli::client::{Query, Server};
use crate::cli::failed::Failed;
use crate::cli::output::{Format, Out, Output, list, number, text};
use crate::domain::one_line::one_line;
use crate::domain::rollout::WindowText;

/// One group, who is in it, and which policies are for it
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  ops-meta group show prod\n  ops-meta host list --group prod   # all who are in it"
)]
pub struct Args {
    name: String,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let group = args.server.client()?.get(&path_of(&args.name), &Query::new())?;
    let mut out = Out::new();
    match args.output.format {
        Format::Json => out.json(&group)?,
        Format::Table => page(&group).iter().try_for_each(|line| out.line(line))?,
    }
    out.flush()
}

/// `mon 22:00 4h; sat 02:00 3h UTC`
fn windows(group: &Value) -> String {
    let window = |it: &Value| serde_json::from_value::<WindowText>(it.clone()).ok();
    let shown = list(group, "windows").iter().filter_map(window).map(|it| one_line(&it.to_string()));
    shown.collect::<Vec<_>>().join("; ")
}

fn page(group: &Value) -> Vec<String> {
    let words = |field| list(group, field).iter().filter_map(Value::as_str).map(one_line).collect::<Vec<_>>();
    let (hosts, some) = (number(group, "hosts").unwrap_or_default(), words("some"));
    let colon = if some.is_empty() { "" } else { ": " };
    let more = if (some.len() as i64) < hosts { " ..." } else { "" };
    let lines = [
        ("name", text(group, "name")),
        ("select", text(group, "select")),
        ("priority", number(group, "priority").unwrap_or_default().to_string()),
        ("description", text(group, "description")),
        ("windows", windows(group)),
        ("hosts", format!("{hosts}{colon}{}{more}", some.join(" "))),
        ("policies", words("policies").join(", ")),
        ("generation", text(group, "generation")),
    ];
    let said = lines.iter().filter(|(_, value)| !["", "-"].contains(&value.as_str()));
    said.map(|(key, value)| format!("{key:<11} {value}")).collect()
}
