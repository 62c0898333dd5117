//! `ops-meta group`

mod delete;
mod list;
mod set;
mod show;

use super::client::part;
use super::failed::Failed;

const GROUPS: &str = "/api/v1/groups";

#[derive(clap::Subcommand)]
pub enum Verb {
    /// All groups
    List(list::Args),
    /// One group, who is in it, and which policies are for it
    Show(show::Args),
    /// Make a group, or change what is given of one
    Set(set::Args),
    /// Delete a group
    Delete(delete::Args),
}

pub fn run(verb: Verb) -> Result<(), Failed> {
    match verb {
        Verb::List(args) => list::run(&args),
        Verb::Show(args) => show::run(&args),
        Verb::Set(args) => set::run(args),
        Verb::Delete(args) => delete::run(&args),
    }
}

fn path_of(name: &str) -> String {
    format!("{GROUPS}/{}", part(name))
}
