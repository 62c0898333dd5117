//! `ops-meta package list`

use clap::builder::PossibleValuesParser;
use serde_json::Value;

use super::{PACKAGES, row_of_build};
use crate::cli::client::{Query, Server};
use crate::cli::failed::Failed;
use crate::cli::output::{Listing, Output, is, number, text};
use crate::cli::times;
use crate::clock::now_ms;

/// The packages that fit
///
/// The newest come first. A package is listed when it fits everything that is said.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta package list --name nginx --hosts\n  \
                        ops-meta package list --query proxy\n  \
                        ops-meta package list --deprecated -o json | jq -r '\"\\(.name) \\(.version)\"'")]
pub struct Args {
    /// The agent
    #[arg(long)]
    name: Option<String>,
    /// A part of the name, the version or the description
    #[arg(long, value_name = "TEXT")]
    query: Option<String>,
    /// How it stands
    #[arg(long, value_parser = PossibleValuesParser::new(["ready", "deleting", "delete_failed"]))]
    state: Option<String>,
    /// Only what nobody should use any more
    #[arg(long)]
    deprecated: bool,
    /// Only what cannot be deleted
    #[arg(long)]
    protected: bool,
    /// Count the hosts that run each
    #[arg(long)]
    hosts: bool,
    /// How many at most
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

impl Args {
    fn query(&self) -> Query {
        let flag = |set: bool| set.then(|| "true".to_owned());
        let asked = [
            ("name", self.name.clone()),
            ("q", self.query.clone()),
            ("state", self.state.clone()),
            ("deprecated", flag(self.deprecated)),
            ("protected", flag(self.protected)),
            ("hosts", flag(self.hosts)),
        ];
        asked.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let heads: &[&str] = match args.hosts {
        true => &["NAME", "VERSION", "FOR", "SIZE", "BROUGHT", "HOSTS", "NOTES"],
        false => &["NAME", "VERSION", "FOR", "SIZE", "BROUGHT", "NOTES"],
    };
    let (mut listing, now) = (Listing::new(args.output.format, heads), now_ms());
    let client = args.server.client()?;
    client.pages(PACKAGES, "packages", &args.query(), args.limit, |packages| {
        listing.print(packages, |package| row(package, args.hosts, now))
    })?;
    listing.end("no packages");
    Ok(())
}

fn row(package: &Value, hosts: bool, now: i64) -> Vec<String> {
    let mut row = row_of_build(package);
    row.push(number(package, "created").map_or_else(|| "-".to_owned(), |at| times::relative(at, now)));
    row.extend(hosts.then(|| text(package, "hosts")));
    row.push(notes(package).join("; "));
    row
}

/// What is not as with most.
pub fn notes(package: &Value) -> Vec<String> {
    let why = |field: &str| text(package, field);
    let state = match why("state").as_str() {
        "delete_failed" => Some(format!("failed to be deleted: {}", why("why"))),
        "deleting" => Some("being deleted".to_owned()),
        _ => None,
    };
    let deprecated = Some(why("deprecated")).filter(|it| it != "-").map(|it| format!("deprecated: {it}"));
    let flag = |field: &str| is(package, field).then(|| field.to_owned());
    [state, flag("protected"), deprecated, flag("signed")].into_iter().flatten().collect()
}
