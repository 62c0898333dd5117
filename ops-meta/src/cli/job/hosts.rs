//! `ops-meta job hosts`

use serde_json::Value;

use super::path_of;
use crate::cli::client::{Query, Server};
use crate::cli::failed::Failed;
use crate::cli::output::{Listing, Output, number, text};
use crate::cli::times;

/// The hosts of a job: when each was told, when it answered, and what failed
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta job hosts 1800000000 --state failed,expired\n  \
                        ops-meta job hosts 1800000000 --state failed -o json | jq -r .hostname")]
pub struct Args {
    id: u64,
    /// pending, sent, done, failed, expired; several with commas between
    #[arg(long, value_delimiter = ',')]
    state: Vec<String>,
    /// How many at most
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let query: Query = match args.state.as_slice() {
        [] => Query::new(),
        states => vec![("state", states.join(","))],
    };
    let heads = &["HOSTNAME", "STATE", "TOLD", "ANSWERED", "CODE", "WHY"];
    let mut listing = Listing::new(args.output.format, heads);
    let client = args.server.client()?;
    // Whether it is there: a list never says so.
    client.get(&path_of(args.id), &Query::new())?;
    client.pages(&format!("{}/hosts", path_of(args.id)), "hosts", &query, args.limit, |hosts| {
        listing.print(hosts, |host| {
            let word = |field| text(host, field);
            vec![
                word("hostname"),
                word("state"),
                time(host, "told"),
                time(host, "answered"),
                word("code"),
                word("why"),
            ]
        })
    })?;
    listing.end("no hosts");
    Ok(())
}

fn time(host: &Value, field: &str) -> String {
    number(host, field).map_or_else(|| "-".to_owned(), times::date)
}
