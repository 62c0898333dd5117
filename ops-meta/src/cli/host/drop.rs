//! `ops-meta host drop`

use super::HOSTS;
use crate::cli::client::{Server, part};
use crate::cli::confirm::confirm;
use crate::cli::failed::Failed;
use crate::cli::say;
use crate::domain::one_line::one_line;

/// Forget hosts
///
/// Nothing happens on the hosts themselves; one that speaks again is new.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta host drop web01 web02\n  \
                        ops-meta host list --state gone -o json | jq -r .hostname | xargs -r ops-meta host drop --yes")]
pub struct Args {
    #[arg(required = true, value_name = "HOSTNAME")]
    hostnames: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    if !args.yes {
        confirm("drop", "dropped", &args.hostnames.join(" "))?;
    }
    let client = args.server.client()?;
    Failed::of_each(&args.hostnames, |hostname| {
        client.delete(&format!("{HOSTS}/{}", part(hostname)), &Vec::new())?;
        say(&format!("{} is dropped", one_line(hostname)));
        Ok(())
    })
}
