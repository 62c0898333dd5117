//! `ops-meta policy list`

use serde_json::Value;

use super::{POLICIES, scope};
use crate::cli::client::{Query, Server};
use crate::cli::editing::tell_who_decides;
use crate::cli::failed::Failed;
use crate::cli::output::{Listing, Output, list, text};
use crate::domain::one_line::one_line;

/// The policies that fit
///
/// Of each agent the one for all hosts first, then those for groups, then those for single hosts.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta policy list --agent node_exporter\n  \
                        ops-meta policy list --group prod -o json")]
pub struct Args {
    /// Of this agent
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// For this group
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let words = [("agent", &args.agent), ("group", &args.group)];
    let query: Query = words.into_iter().filter_map(|(key, word)| Some((key, word.clone()?))).collect();
    let client = args.server.client()?;
    let policies = client.get(POLICIES, &query)?;
    tell_who_decides(&client)?;
    let mut listing = Listing::new(args.output.format, &["AGENT", "FOR", "VERSION", "CMD", "ALSO"]);
    listing.print(list(&policies, "policies"), |policy| {
        vec![text(policy, "agent"), scope(policy), text(policy, "version"), text(policy, "cmd"), also(policy)]
    })?;
    listing.end("no policies");
    Ok(())
}

/// Which other fields it has.
fn also(policy: &Value) -> String {
    const SHOWN: [&str; 6] = ["agent", "group", "host", "version", "cmd", "generation"];
    let keys = policy.as_object().into_iter().flat_map(|it| it.keys());
    let others: Vec<String> =
        keys.filter(|key| !SHOWN.contains(&key.as_str())).map(|it| one_line(it)).collect();
    if others.is_empty() { "-".to_owned() } else { others.join(" ") }
}
