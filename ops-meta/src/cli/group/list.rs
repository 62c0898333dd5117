//! `ops-meta group list`

use super::GROUPS;
use crate::cli::client::{Query, Server};
use crate::cli::editing::tell_who_decides;
use crate::cli::failed::Failed;
use crate::cli::output::{Listing, Output, list, text};

/// All groups
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta group list\n  ops-meta group list -o json | jq -r .select")]
pub struct Args {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let client = args.server.client()?;
    let groups = client.get(GROUPS, &Query::new())?;
    tell_who_decides(&client)?;
    let mut listing = Listing::new(args.output.format, &["NAME", "PRIORITY", "SELECT", "DESCRIPTION"]);
    listing.print(list(&groups, "groups"), |group| {
        let priority = group.get("priority").map_or_else(|| "0".to_owned(), ToString::to_string);
        vec![text(group, "name"), priority, text(group, "select"), text(group, "description")]
    })?;
    listing.end("no groups");
    Ok(())
}
