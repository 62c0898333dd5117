//! `ops-meta job stop`

use super::{path_of, show};
use crate::cli::client::{Request, Server};
use crate::cli::failed::Failed;
use crate::cli::output::Output;

/// End a job: nobody else is told
///
/// A host that was told already may do it all the same. A job that is over stays as it is.
#[derive(clap::Args)]
pub struct Args {
    id: u64,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let path = format!("{}/stop", path_of(args.id));
    let job = args.server.client()?.ask(Request::post(&path))?.body;
    show::show(args.output.format, &job)
}
