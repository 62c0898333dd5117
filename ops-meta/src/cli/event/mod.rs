//! `ops-meta event`

mod change;

use std::time::Duration;

use serde_json::Value;

use super::client::{Client, Query, Server};
use super::failed::Failed;
use super::output::{Listing, Output, number, text};
use super::{say, times};

const EVENTS: &str = "/api/v1/events";
/// How often `--follow` asks.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(clap::Subcommand)]
pub enum Verb {
    /// The newest events; with --follow those to come, too
    List(ListArgs),
}

/// The newest events
///
/// The newest comes first; with --follow it comes last, and the next ones are printed as they happen.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  ops-meta event list --since 2h\n  ops-meta event list --object 'host web01' -o json\n  \
                        ops-meta event list --follow"
)]
pub struct ListArgs {
    /// `token.created`, `host.dropped` ...
    #[arg(long)]
    kind: Option<String>,
    /// Who did it, as shown
    #[arg(long)]
    actor: Option<String>,
    /// What it was done to, as `host web01`
    #[arg(long)]
    object: Option<String>,
    /// Not before then: `2h` (ago), `2026-01-31`, `2026-01-31T12:00:00`
    #[arg(long, value_name = "TIME", value_parser = times::moment)]
    since: Option<i64>,
    /// Not after then
    #[arg(long, value_name = "TIME", value_parser = times::moment, conflicts_with = "follow")]
    until: Option<i64>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u64,
    /// Go on with those to come
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub fn run(verb: Verb) -> Result<(), Failed> {
    let Verb::List(args) = verb;
    let client = args.server.client()?;
    let heads = &["ID", "WHEN", "ACTOR", "KIND", "OBJECT", "CHANGE"];
    let mut listing = Listing::new(args.output.format, heads);
    if args.follow {
        return follow(&client, &args, &mut listing);
    }
    client.pages(EVENTS, "events", &args.query(), Some(args.limit), |page| listing.print(page, row))?;
    listing.end("no events");
    Ok(())
}

impl ListArgs {
    fn query(&self) -> Query {
        let time = |at: Option<i64>| at.map(|at| at.to_string());
        let asked = [
            ("kind", self.kind.clone()),
            ("actor", self.actor.clone()),
            ("object", self.object.clone()),
            ("since", time(self.since)),
            ("until", time(self.until)),
        ];
        asked.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

/// Until nobody reads, or the server refuses. A server that is away for a while is asked again.
fn follow(client: &Client, args: &ListArgs, listing: &mut Listing) -> Result<(), Failed> {
    let mut newest = print_after(client, args, None, Some(args.limit), listing)?.unwrap_or(0);
    let mut away = false;
    loop {
        listing.pause(PAUSE)?;
        match print_after(client, args, Some(newest), None, listing) {
            Ok(last) => {
                newest = last.unwrap_or(newest);
                away = false;
            }
            Err(Failed::Away { .. }) if away => {}
            Err(Failed::Away { why, .. }) => {
                say(&format!("ops-meta: {why}; it is asked again"));
                away = true;
            }
            Err(failed) => return Err(failed),
        }
    }
}

/// Prints the oldest first, and says which is the newest.
fn print_after(
    client: &Client,
    args: &ListArgs,
    after: Option<i64>,
    rows_max: Option<u64>,
    listing: &mut Listing,
) -> Result<Option<i64>, Failed> {
    let mut query = args.query();
    query.extend(after.map(|id| ("after", id.to_string())));
    let mut events = Vec::new();
    client.pages(EVENTS, "events", &query, rows_max, |page| {
        events.extend_from_slice(page);
        Ok(())
    })?;
    events.reverse();
    listing.print(&events, row)?;
    Ok(events.last().and_then(|event| number(event, "id")))
}

fn row(event: &Value) -> Vec<String> {
    let side = |field| event.get(field).unwrap_or(&Value::Null);
    let mut row = vec![text(event, "id"), number(event, "at").map_or_else(|| "-".to_owned(), times::date)];
    row.extend(["actor", "kind", "object"].map(|field| text(event, field)));
    row.push(change::words(side("before"), side("after")));
    row
}
