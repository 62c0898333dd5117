//! `ops-meta token`

mod create;

use serde_json::Value;

use super::client::Server;
use super::failed::Failed;
use super::output::{Listing, Output, number, text};
use super::{say, times};
use crate::clock::now_ms;

const TOKENS: &str = "/api/v1/tokens";

#[derive(clap::Subcommand)]
pub enum Verb {
    /// Make a token; it is shown once
    Create(create::Args),
    /// All tokens, those that no longer count too
    List(ListArgs),
    /// Make tokens count no longer, at once
    Revoke(RevokeArgs),
}

#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta token list\n  \
                        ops-meta token list -o json | jq -r 'select(.revoked == null) | .name'")]
pub struct ListArgs {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

#[derive(clap::Args)]
#[command(after_help = "Example:\n  ops-meta token revoke 3 7")]
pub struct RevokeArgs {
    /// As `token list` shows them
    #[arg(required = true, value_name = "ID", value_parser = id)]
    ids: Vec<u64>,
    /// Even the last token of an admin
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    server: Server,
}

fn path_of(id: u64) -> String {
    format!("{TOKENS}/{id}")
}

fn id(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "a token is named by its number here; `ops-meta token list` shows it".to_owned())
}

pub fn run(verb: Verb) -> Result<(), Failed> {
    match verb {
        Verb::Create(args) => create::run(&args),
        Verb::List(args) => print_all(&args),
        Verb::Revoke(args) => revoke(&args),
    }
}

fn print_all(args: &ListArgs) -> Result<(), Failed> {
    let heads = &["ID", "NAME", "ROLE", "HOST", "STATE", "CREATED", "EXPIRES", "LAST USED"];
    let (mut listing, now) = (Listing::new(args.output.format, heads), now_ms());
    let client = args.server.client()?;
    client.pages(TOKENS, "tokens", &Vec::new(), None, |tokens| {
        listing.print(tokens, |token| row(token, now))
    })?;
    listing.end("no tokens");
    Ok(())
}

fn row(token: &Value, now: i64) -> Vec<String> {
    let time = |field: &str| number(token, field);
    let state = match (time("revoked"), time("expires")) {
        (Some(_), _) => "revoked",
        (None, Some(end)) if end <= now => "expired",
        _ => "valid",
    };
    let or = |at: Option<i64>, none: &str| at.map_or_else(|| none.to_owned(), |at| times::relative(at, now));
    vec![
        text(token, "id"),
        text(token, "name"),
        text(token, "role"),
        text(token, "hostname"),
        state.to_owned(),
        time("created").map_or_else(|| "-".to_owned(), times::date),
        or(time("expires"), "never"),
        or(time("lastUsed"), "never"),
    ]
}

fn revoke(args: &RevokeArgs) -> Result<(), Failed> {
    let client = args.server.client()?;
    let query = args.force.then(|| ("force", "true".to_owned())).into_iter().collect();
    Failed::of_each(&args.ids, |id| {
        client.delete(&path_of(*id), &query)?;
        say(&format!("token {id} is revoked"));
        Ok(())
    })
}
