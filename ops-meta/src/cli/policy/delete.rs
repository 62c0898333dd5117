//! `ops-meta policy delete`

use super::Which;
use crate::cli::client::Request;
use crate::cli::editing::Editing;
use crate::cli::failed::Failed;

/// Delete a policy
///
/// What it said is inherited from the next weaker one. Where there is none, hosts leave the agent as it is.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta policy delete node_exporter --host web-01\n  \
                        ops-meta policy delete node_exporter --dry-run   # that for all hosts")]
pub struct Args {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    editing: Editing,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let (client, path) = (args.editing.client()?, args.which.path());
    args.editing.edit(&client, Request::delete(&path).query(args.which.query()))
}
