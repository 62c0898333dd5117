//! `ops-meta package gc`

use serde_json::{Value, json};

use super::{PACKAGES, bytes, called, row_of_build};
use crate::cli::client::{Client, Query, Server};
use crate::cli::confirm::{confirm, somebody_is_there};
use crate::cli::failed::Failed;
use crate::cli::output::{Format, Listing, Out, Output, list, text};
use crate::cli::say;
use crate::cli::sizes::{count, size};

/// Delete what nobody uses
///
/// Stays: what an order names, what a living host runs or is moved to, what is protected, and the newest versions of each
/// agent.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta package gc --dry-run\n  ops-meta package gc --keep 5 --yes")]
pub struct Args {
    /// Only say what would be deleted
    #[arg(long)]
    dry_run: bool,
    /// The newest versions of each agent that stay in any case
    #[arg(long, value_name = "N", default_value_t = 3)]
    keep: u32,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let is_to_ask = !args.yes && !args.dry_run;
    if is_to_ask {
        somebody_is_there("delete")?;
    }
    let client = args.server.client()?;
    if is_to_ask {
        let would_be = collect(&client, args.keep, true)?;
        // Of nothing nobody is asked.
        if !list(&would_be, "deleted").is_empty() || bytes(&would_be, "orphans") > 0 {
            let what = format!("{}, {} (--dry-run names them)", what(&would_be), room(&would_be));
            confirm("delete", "deleted", &what)?;
        }
    }
    let freed = collect(&client, args.keep, args.dry_run)?;
    match args.output.format {
        Format::Json => {
            let mut out = Out::new();
            out.json(&freed)?;
            out.flush()?;
        }
        Format::Table => {
            let mut listing = Listing::new(Format::Table, &["NAME", "VERSION", "FOR", "SIZE"]);
            listing.print(list(&freed, "deleted"), row_of_build)?;
            say(&told(&freed, args.dry_run));
        }
    }
    Failed::of_each(list(&freed, "failed"), |package| {
        Err(Failed::Refused(format!("failed to delete {}: {}", called(package), text(package, "why"))))
    })
}

fn collect(client: &Client, keep: u32, dry_run: bool) -> Result<Value, Failed> {
    let wanted = json!({ "keep": keep, "dryRun": dry_run });
    client.work(&format!("{PACKAGES}/gc"), &Query::new(), &wanted)
}

/// In all.
fn told(freed: &Value, dry_run: bool) -> String {
    let is_one = list(freed, "deleted").len() == 1 && bytes(freed, "orphans") == 0;
    let verb = match (dry_run, is_one) {
        (true, _) => "would be deleted",
        (false, true) => "is deleted",
        (false, false) => "are deleted",
    };
    format!("{} {verb}: {}", what(freed), room(freed))
}

/// `2 packages and 1 file of no package`
fn what(freed: &Value) -> String {
    let packages = count(list(freed, "deleted").len() as u64, "package", "packages");
    match bytes(freed, "orphans") {
        0 => packages,
        orphans => format!("{packages} and {}", count(orphans, "file of no package", "files of no package")),
    }
}

/// `1234567 bytes (1.2 MB)`
fn room(freed: &Value) -> String {
    let exact = bytes(freed, "bytes");
    let short = if exact < 1000 { String::new() } else { format!(" ({})", size(exact)) };
    format!("{}{short}", count(exact, "byte", "bytes"))
}
