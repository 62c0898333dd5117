//! `ops-meta rollout list`

use clap::builder::PossibleValuesParser;

use super::{ROLLOUTS, change, percent, waits_for, wave, whom};
use crate::cli::client::{Query, Server};
use crate::cli::failed::Failed;
use crate::cli::output::{Listing, Output, text};
use crate::domain::rollout::State;

/// The rollouts that fit, the newest first
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta rollout list --state running\n  \
                        ops-meta rollout list --agent node_exporter -o json")]
pub struct Args {
    /// Only those in this state
    #[arg(long, value_parser = PossibleValuesParser::new(State::ALL.iter().map(|it| it.as_str())))]
    state: Option<String>,
    /// Of this agent
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// How many at most
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let asked = [("state", args.state.clone()), ("agent", args.agent.clone())];
    let query: Query = asked.into_iter().filter_map(|(key, word)| Some((key, word?))).collect();
    let heads = &["ID", "AGENT", "FOR", "CHANGE", "STATE", "WAVE", "PERCENT", "WAITS FOR"];
    let mut listing = Listing::new(args.output.format, heads);
    args.server.client()?.pages(ROLLOUTS, "rollouts", &query, args.limit, |rollouts| {
        listing.print(rollouts, |it| {
            let plan = it.get("plan").unwrap_or(it);
            vec![
                text(it, "id"),
                text(plan, "agent"),
                whom(it),
                change(plan),
                text(it, "state"),
                wave(it),
                percent(it).unwrap_or_else(|| "-".to_owned()),
                waits_for(it).unwrap_or_else(|| "-".to_owned()),
            ]
        })
    })?;
    listing.end("no rollouts");
    Ok(())
}
