//! `ops-meta backup`

use std::path::PathBuf;
use std::time::Instant;

use super::failed::Failed;
use super::output::Out;
use crate::absolute;
use crate::args::DATA;
use crate::store::{Existing, back_up};

/// Copy the database while ops-meta serves
///
/// The copy is one state of the database: every change of operators up to some moment, and of what hosts say at most the
/// last second is missing. It holds what hosts said and the hashes of tokens, so nobody else may read it.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  ops-meta backup --data /var/lib/ops-meta /backup/ops-meta-$(date +%F).db\n  \
                        ops-meta backup --data /var/lib/ops-meta --force /backup/ops-meta.db"
)]
pub struct Args {
    /// The copy; not in the data folder
    #[arg(value_parser = absolute::path())]
    file: PathBuf,
    /// The folder that ops-meta serves from
    #[arg(long, value_name = "DIR", default_value = DATA, value_parser = absolute::path())]
    data: PathBuf,
    /// Replace FILE where it exists
    #[arg(long)]
    force: bool,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let existing = if args.force { Existing::Replaced } else { Existing::Kept };
    let began = Instant::now();
    let bytes =
        back_up(&args.data, &args.file, existing).map_err(|error| Failed::Refused(error.to_string()))?;
    let secs = began.elapsed().as_secs_f64();
    let mut out = Out::new();
    out.line(&format!("{}: {bytes} bytes in {secs:.1} s", args.file.display()))?;
    out.flush()
}
