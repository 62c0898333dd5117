//! `ops-meta policy show`

use serde_json::Value;

use super::{Which, scope};
use crate::cli::client::Server;
use crate::cli::failed::Failed;
use crate::cli::output::{Format, Out, Output, list, text};
use crate::domain::one_line::one_line;

/// One policy
///
/// What the host is told at last, and by which of its policies, says `ops-meta host explain`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta policy show node_exporter\n  \
                        ops-meta policy show node_exporter --group prod -o json")]
pub struct Args {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let policy = args.server.client()?.get(&args.which.path(), &args.which.query())?;
    let mut out = Out::new();
    match args.output.format {
        Format::Json => out.json(&policy)?,
        Format::Table => page(&policy).iter().try_for_each(|line| out.line(line))?,
    }
    out.flush()
}

/// Its fields under the names that a fleet.yaml has for them.
fn page(policy: &Value) -> Vec<String> {
    const APART: [&str; 4] = ["agent", "group", "host", "generation"];
    let keys = policy.as_object().into_iter().flat_map(|it| it.keys());
    let fields = keys.filter(|key| !APART.contains(&key.as_str()));
    let fields = fields.map(|field| (one_line(field), value(policy, field)));
    let head = [("agent".to_owned(), text(policy, "agent")), ("for".to_owned(), scope(policy))];
    let last = [("generation".to_owned(), text(policy, "generation"))];
    let lines = head.into_iter().chain(fields).chain(last);
    lines.map(|(key, value)| format!("{key:<15} {value}")).collect()
}

fn value(policy: &Value, field: &str) -> String {
    match policy.get(field).is_some_and(Value::is_array) {
        true => {
            list(policy, field).iter().filter_map(Value::as_str).map(one_line).collect::<Vec<_>>().join(" ")
        }
        false => text(policy, field),
    }
}
