//! `ops-meta package gc`

use serde_json::{Value, json};

use super::{PACKAGES, bytes, called, row_of_build};
use crate::cli::client::{Query, Server};
use crate::cli::failed::Failed;
use crate::cli::output::{Format, Listing, Out, Output, list, text};
use crate::cli::say;
use crate::cli::sizes::size;

/// Delete what nobody uses
///
/// Stays: what an order names, what a living host runs or is moved to, what is protected, and the newest versions of each
/// agent.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta package gc --dry-run\n  ops-meta package gc --keep 5")]
pub struct Args {
    /// Only say what would be deleted
    #[arg(long)]
    dry_run: bool,
    /// The newest versions of each agent that stay in any case
    #[arg(long, value_name = "N", default_value_t = 3)]
    keep: u32,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let wanted = json!({ "keep": args.keep, "dryRun": args.dry_run });
    let freed = args.server.client()?.work(&format!("{PACKAGES}/gc"), &Query::new(), &wanted)?;
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

/// In all.
fn told(freed: &Value, dry_run: bool) -> String {
    let packages = list(freed, "deleted").len();
    let orphans = match bytes(freed, "orphans") {
        0 => String::new(),
        count => format!(" and {count} files of no package"),
    };
    let verb = if dry_run { "would be deleted" } else { "are deleted" };
    let (exact, short) = (bytes(freed, "bytes"), size(bytes(freed, "bytes")));
    let short = if exact < 1000 { String::new() } else { format!(" ({short})") };
    format!("{packages} packages{orphans} {verb}: {exact} bytes{short}")
}
