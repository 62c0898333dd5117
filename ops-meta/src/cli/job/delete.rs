//! `ops-meta job delete`

use super::path_of;
use crate::cli::client::{Query, Server};
use crate::cli::failed::Failed;
use crate::cli::say;

/// Delete the history of a job that is over
#[derive(clap::Args)]
pub struct Args {
    id: u64,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    args.server.client()?.delete(&path_of(args.id), &Query::new())?;
    say(&format!("job {} is deleted", args.id));
    Ok(())
}
