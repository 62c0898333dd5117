//! `ops-meta freeze begin`

use serde_json::json;

use super::{FREEZES, what};
use crate::cli::client::Server;
use crate::cli::failed::Failed;
use crate::cli::output::{Format, Out, Output, text};
use crate::cli::say;

/// From now on, let nothing begin and nothing be changed
///
/// Rollouts begin on no more hosts, and changes of groups, policies, lists and settings that hosts would notice are refused.
/// What is under way goes on, and what goes wrong is taken back. The number of the freeze is printed.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  ops-meta freeze begin 'sales week'\n  ops-meta freeze begin --group db 'migration'\n  \
                        ops-meta freeze begin --agent nginx 'incident 4711'"
)]
pub struct Args {
    /// Whoever is kept from a change reads it
    why: String,
    /// Only changes of this agent
    #[arg(long, value_name = "NAME", conflicts_with = "group")]
    agent: Option<String>,
    /// Only changes on the hosts of this group
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let word = |word: &Option<String>| word.clone().unwrap_or_default();
    let wanted = json!({"agent": word(&args.agent), "group": word(&args.group), "why": args.why});
    let freeze = args.server.client()?.post(FREEZES, &wanted)?;
    let mut out = Out::new();
    match args.output.format {
        Format::Json => out.json(&freeze)?,
        Format::Table => out.line(&text(&freeze, "id"))?,
    }
    out.flush()?;
    let id = text(&freeze, "id");
    say(&format!("frozen: {}; `ops-meta freeze end {id}` ends it", what(&freeze)));
    Ok(())
}
