//! `ops-meta job list`

use clap::builder::PossibleValuesParser;

use super::{JOBS, codes, what};
use crate::cli::client::{Query, Server};
use crate::cli::failed::Failed;
use crate::cli::output::{Listing, Output, number, text};
use crate::cli::times;
use crate::domain::job::State;

/// The jobs that fit, the newest first
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  ops-meta job list --state running\n  ops-meta job list --limit 1 -o json"
)]
pub struct Args {
    /// Only those in this state
    #[arg(long, value_parser = PossibleValuesParser::new(State::ALL.iter().map(|it| it.as_str())))]
    state: Option<String>,
    /// How many at most
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let query: Query = args.state.iter().map(|state| ("state", state.clone())).collect();
    let heads = &["ID", "WHAT", "HOSTS", "STATE", "ANSWERED", "FAILED", "CREATED"];
    let mut listing = Listing::new(args.output.format, heads);
    args.server.client()?.pages(JOBS, "jobs", &query, args.limit, |jobs| {
        listing.print(jobs, |job| {
            let failed = Some(codes(job)).filter(|codes| !codes.is_empty());
            vec![
                text(job, "id"),
                what(job),
                text(job, "hosts"),
                text(job, "state"),
                format!("{} %", text(job, "percent")),
                failed.unwrap_or_else(|| "-".to_owned()),
                number(job, "created").map_or_else(|| "-".to_owned(), times::date),
            ]
        })
    })?;
    listing.end("no jobs");
    Ok(())
}
