//! `ops-meta list list` and `show`

use serde_json::Value;

use super::{LISTS, path_of};
use crate::cli::client::{Query, Server};
use crate::cli::failed::Failed;
use crate::cli::output::{Format, Listing, Out, Output, list, text};
use crate::domain::one_line::one_line;

/// All lists
#[derive(clap::Args)]
#[command(after_help = "Example:\n  ops-meta list list")]
pub struct ListArgs {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

/// The words of a list
///
/// A word a line, as `set` reads them.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta list show canaries > canaries.txt\n  \
                        ops-meta list show all-that-should-be --unseen")]
pub struct ShowArgs {
    name: String,
    /// Only those that are no host that is known
    #[arg(long)]
    unseen: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub fn print_all(args: &ListArgs) -> Result<(), Failed> {
    let lists = args.server.client()?.get(LISTS, &Query::new())?;
    let mut listing = Listing::new(args.output.format, &["NAME", "WORDS"]);
    listing.print(list(&lists, "lists"), |it| vec![text(it, "name"), text(it, "words")])?;
    listing.end("no lists");
    Ok(())
}

pub fn show(args: &ShowArgs) -> Result<(), Failed> {
    let found = args.server.client()?.get(&path_of(&args.name), &Query::new())?;
    let mut out = Out::new();
    match args.output.format {
        Format::Json => out.json(&found)?,
        Format::Table => {
            let field = if args.unseen { "unseen" } else { "words" };
            let words = list(&found, field).iter().filter_map(Value::as_str);
            words.map(one_line).try_for_each(|word| out.line(&word))?;
        }
    }
    out.flush()
}
