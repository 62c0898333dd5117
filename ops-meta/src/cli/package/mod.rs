//! `ops-meta package`: on this machine, and on the server.

mod local;
pub mod remote;

use super::failed::Failed;

#[derive(clap::Subcommand)]
pub enum Verb {
    #[command(flatten)]
    Local(local::Verb),
    #[command(flatten)]
    Remote(remote::Verb),
}

pub fn run(verb: Verb) -> Result<(), Failed> {
    match verb {
        Verb::Local(verb) => local::run(verb),
        Verb::Remote(verb) => remote::run(verb),
    }
}
