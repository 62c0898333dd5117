//! `ops-meta plan` and `apply`: what should run, as a file says it.

use std::path::PathBuf;

use super::client::{OnlyIf, Request, Server};
use super::editing::{self, Editing};
use super::failed::Failed;
use super::fleet::FleetFile;
use super::output::{Output, text};
use super::say;

/// What should run, whole.
pub const FLEET: &str = "/api/v1/fleet";

/// What `apply` would change, and for which hosts
///
/// Nothing is changed. Ends with 0 where there is nothing to do, with 10 where there is, with 2 where something is wrong with
/// the file.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta plan -f fleet.yaml\n  \
                        ops-meta plan -f fleet.yaml -o json | jq '.changed.moves[]'")]
pub struct PlanArgs {
    /// fleet.yaml, or the same as JSON; `-` reads standard input
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

/// Make what should run what a file says
///
/// The file is whole: what is not in it is deleted. To say it again changes nothing.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta apply -f fleet.yaml\n  \
                        ops-meta apply -f fleet.yaml --confirm   # however many hosts are told something else")]
pub struct ApplyArgs {
    /// fleet.yaml, or the same as JSON; `-` reads standard input
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Only while what should run is of this generation, as `plan` said
    #[arg(long, value_name = "N")]
    generation: Option<u64>,
    #[command(flatten)]
    editing: Editing,
}

pub fn plan(args: &PlanArgs) -> Result<(), Failed> {
    let client = args.server.client()?;
    let file = FleetFile::read(&args.file)?;
    let dry_run = [("dryRun", "true".to_owned())];
    let planned = client.ask(Request::put(FLEET).body(&file.document).query(dry_run));
    let planned = planned.map_err(|failed| located(&file, failed))?.body;
    editing::show(args.output.format, &planned)?;
    editing::tell_whether_to_confirm(&planned);
    if !editing::differs(&planned) {
        return Ok(());
    }
    let generation = text(&planned, "generation");
    say(&format!(
        "this is planned from generation {generation}; with --generation {generation} `apply` does this or nothing"
    ));
    Err(Failed::Differs)
}

pub fn apply(args: &ApplyArgs) -> Result<(), Failed> {
    let client = args.editing.client()?;
    let file = FleetFile::read(&args.file)?;
    let only_if = args.generation.map_or(OnlyIf::Always, |it| OnlyIf::Tagged(format!("\"{it}\"")));
    let request = Request::put(FLEET).body(&file.document).only_if(only_if);
    args.editing.edit(&client, request).map_err(|failed| located(&file, failed))
}

/// People look for a line.
fn located(file: &FleetFile, failed: Failed) -> Failed {
    match failed {
        Failed::Faulty(faults) => Failed::WrongUse(file.told(&faults)),
        other => other,
    }
}
