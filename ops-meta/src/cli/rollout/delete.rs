//! `ops-meta rollout delete`

use super::path_of;
use crate::cli::client::{Query, Server};
use crate::cli::failed::Failed;
use crate::cli::say;

/// Delete the history of a rollout that is over
///
/// What it decided stays: the policy says so.
#[derive(clap::Args)]
pub struct Args {
    id: u64,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    args.server.client()?.delete(&path_of(args.id), &Query::new())?;
    say(&format!("rollout {} is deleted", args.id));
    Ok(())
}
