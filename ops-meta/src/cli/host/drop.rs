//! `ops-meta host drop`

use std::io::{self, IsTerminal as _};

use super::HOSTS;
use crate::cli::client::{Server, part};
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
        confirm(&args.hostnames)?;
    }
    let client = args.server.client()?;
    Failed::of_each(&args.hostnames, |hostname| {
        client.delete(&format!("{HOSTS}/{}", part(hostname)), &Vec::new())?;
        say(&format!("{} is dropped", one_line(hostname)));
        Ok(())
    })
}

fn confirm(hostnames: &[String]) -> Result<(), Failed> {
    if !io::stdin().is_terminal() {
        return Err(Failed::WrongUse("nobody is there to ask; --yes drops without asking".to_owned()));
    }
    say(&format!("drop {}? [y/N]", one_line(&hostnames.join(" "))));
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    match (read, answer.trim()) {
        (Ok(_), "y" | "Y" | "yes") => Ok(()),
        _ => Err(Failed::Refused("nothing was dropped".to_owned())),
    }
}
