//! `ops-meta rollout hosts`

use serde_json::Value;

use super::path_of;
use crate::cli::client::{Query, Server};
use crate::cli::failed::Failed;
use crate::cli::output::{Listing, Output, text};

/// The hosts of a rollout that is not over
///
/// A wave admits the hosts whose position is below its threshold.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta rollout hosts 7 --class failed,rolled_back\n  \
                        ops-meta rollout hosts 7 -o json | jq -r .hostname")]
pub struct Args {
    id: u64,
    /// pending, ordered, moving, trial, done, failed, rolled_back, timed_out, vanished, there, returning, held, excluded, unmet,
    /// waiting, away; several with commas between
    #[arg(long, value_delimiter = ',')]
    class: Vec<String>,
    /// How many at most
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let (client, path) = (args.server.client()?, path_of(args.id));
    // Whether it is there: a list never says so.
    client.get(&path, &Query::new())?;
    let query: Query = match args.class.as_slice() {
        [] => Query::new(),
        classes => vec![("class", classes.join(","))],
    };
    let heads = &["HOSTNAME", "CLASS", "WAVE", "POSITION", "ERROR"];
    let mut listing = Listing::new(args.output.format, heads);
    client.pages(&format!("{path}/hosts"), "hosts", &query, args.limit, |hosts| {
        listing.print(hosts, |host| {
            let word = |field| text(host, field);
            vec![word("hostname"), word("class"), word("wave"), part(host, "position"), word("error")]
        })
    })?;
    listing.end("no hosts");
    Ok(())
}

/// Of all, as `12.34 %`.
fn part(object: &Value, field: &str) -> String {
    let part = object.get(field).and_then(Value::as_f64);
    part.map_or_else(|| "-".to_owned(), |part| format!("{:.2} %", part * 100.0))
}
