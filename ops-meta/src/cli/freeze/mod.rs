//! `ops-meta freeze`: times in which nothing may be changed.

mod begin;

use serde_json::Value;

use super::client::{Query, Server};
use super::failed::Failed;
use super::output::{Listing, Output, list, number, text};
use super::{say, times};

const FREEZES: &str = "/api/v1/freezes";

#[derive(clap::Subcommand)]
pub enum Verb {
    /// From now on, let nothing begin and nothing be changed
    Begin(begin::Args),
    /// Freezes that have not ended
    List(ListArgs),
    /// Let changes happen again
    End(EndArgs),
}

/// Freezes that have not ended
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta freeze list\n  ops-meta freeze list -o json | jq -r .why")]
pub struct ListArgs {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

/// Let changes happen again
///
/// Rollouts that waited go on by themselves.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  ops-meta freeze end 3")]
pub struct EndArgs {
    /// As `freeze list` shows it
    id: u64,
    #[command(flatten)]
    server: Server,
}

pub fn run(verb: Verb) -> Result<(), Failed> {
    match verb {
        Verb::Begin(args) => begin::run(&args),
        Verb::List(args) => print_all(&args),
        Verb::End(args) => end(&args),
    }
}

fn print_all(args: &ListArgs) -> Result<(), Failed> {
    let freezes = args.server.client()?.get(FREEZES, &Query::new())?;
    let mut listing = Listing::new(args.output.format, &["ID", "WHAT", "SINCE", "BY", "WHY"]);
    listing.print(list(&freezes, "freezes"), |freeze| {
        let since = number(freeze, "since").map_or_else(|| "-".to_owned(), times::date);
        vec![text(freeze, "id"), what(freeze), since, text(freeze, "actor"), text(freeze, "why")]
    })?;
    listing.end("nothing is frozen");
    Ok(())
}

/// `all`, `agent nginx`, `group prod`
fn what(freeze: &Value) -> String {
    match (text(freeze, "agent").as_str(), text(freeze, "group").as_str()) {
        ("-", "-") => "all".to_owned(),
        ("-", group) => format!("group {group}"),
        (agent, _) => format!("agent {agent}"),
    }
}

fn end(args: &EndArgs) -> Result<(), Failed> {
    args.server.client()?.delete(&format!("{FREEZES}/{}", args.id), &Query::new())?;
    say(&format!("freeze {} has ended", args.id));
    Ok(())
}
