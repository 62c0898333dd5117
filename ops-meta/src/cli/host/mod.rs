//! `ops-meta host`

mod drop;
mod explain;
mod install;
mod list;
mod next;
mod show;

use super::failed::Failed;

pub const HOSTS: &str = "/api/v1/hosts";

#[derive(clap::Subcommand)]
pub enum Verb {
    /// The hosts that fit, all unless told otherwise
    List(Box<list::Args>),
    /// Everything about one host
    Show(show::Args),
    /// Why a host is told what it is told, and what would change it
    Explain(explain::Args),
    /// Install an agent on one host
    Install(install::InstallArgs),
    /// Uninstall an agent on one host
    Uninstall(install::UninstallArgs),
    /// Forget hosts; one that speaks again is new
    Drop(drop::Args),
}

pub fn run(verb: Verb) -> Result<(), Failed> {
    match verb {
        Verb::List(args) => list::run(&args),
        Verb::Show(args) => show::run(&args),
        Verb::Explain(args) => explain::run(&args),
        Verb::Install(args) => install::install(&args),
        Verb::Uninstall(args) => install::uninstall(&args),
        Verb::Drop(args) => drop::run(&args),
    }
}
