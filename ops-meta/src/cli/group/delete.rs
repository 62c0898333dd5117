//! `ops-meta group delete`

use super::path_of;
use crate::cli::client::Request;
use crate::cli::editing::Editing;
use crate::cli::failed::Failed;

/// Delete a group
///
/// It is refused while policies are for it, unless they go with it.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta group delete prod --with-policies --dry-run\n  \
                        ops-meta group delete prod")]
pub struct Args {
    name: String,
    /// And the policies that are for it
    #[arg(long)]
    with_policies: bool,
    #[command(flatten)]
    editing: Editing,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let (client, path) = (args.editing.client()?, path_of(&args.name));
    let with = args.with_policies.then(|| ("withPolicies", "true".to_owned()));
    args.editing.edit(&client, Request::delete(&path).query(with))
}
