//! The operator's command line: a file per noun. What it prints is for people (`-o table`) or for scripts (`-o json`, one
//! object a line); what went wrong is a sentence on standard error and an exit code.

mod backup;
mod client;
mod completion;
mod confirm;
mod editing;
mod event;
mod export;
mod failed;
mod fleet;
mod freeze;
mod group;
mod host;
mod identity;
mod import;
mod job;
mod list;
mod output;
mod package;
mod plan;
mod policy;
mod push;
mod regular;
mod restore;
mod rollout;
mod settings;
mod sizes;
mod times;
mod token;
mod upload;
mod wait;
mod whoami;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Subcommand;

use failed::Failed;

#[derive(Subcommand)]
pub enum Verb {
    /// What ops-meta knows of hosts
    #[command(subcommand)]
    Host(host::Verb),
    /// What apply would change, and for which hosts
    Plan(plan::PlanArgs),
    /// Make what should run what a file says
    Apply(plan::ApplyArgs),
    /// Write what should run as a fleet.yaml
    Export(export::Args),
    /// Make groups and policies of the agents of a cfg.json of 2015
    Import(import::Args),
    /// Which hosts have something in common
    #[command(subcommand)]
    Group(group::Verb),
    /// What an agent should be: on all hosts, on those of a group, on one
    #[command(subcommand)]
    Policy(policy::Verb),
    /// Words, hosts mostly, that groups and filters name
    #[command(subcommand)]
    List(list::Verb),
    /// What counts for all hosts
    #[command(subcommand)]
    Settings(settings::Verb),
    /// Change a policy for a few hosts, then for more, then for all
    #[command(subcommand)]
    Rollout(rollout::Verb),
    /// Times in which nothing may be changed
    #[command(subcommand)]
    Freeze(freeze::Verb),
    /// Let hosts that are named install, uninstall or restart an agent, or report
    #[command(subcommand)]
    Job(job::Verb),
    /// Wait until an agent runs at a version, on all hosts or some
    Wait(wait::Args),
    /// Bring packages
    Push(push::Args),
    /// What agents come in: made here, kept on the server
    #[command(subcommand)]
    Package(package::Verb),
    /// Who may speak to ops-meta
    #[command(subcommand)]
    Token(token::Verb),
    /// What happened
    #[command(subcommand)]
    Event(event::Verb),
    /// Whom ops-meta takes the token for
    Whoami(whoami::Args),
    /// Copy the database while ops-meta serves
    Backup(backup::Args),
    /// Put a backup in the place of the database
    Restore(restore::Args),
    /// A script that lets a shell complete what is typed
    Completion(completion::Args),
}

pub fn run(verb: Verb) -> ExitCode {
    let done = match verb {
        Verb::Host(verb) => host::run(verb),
        Verb::Plan(args) => plan::plan(&args),
        Verb::Apply(args) => plan::apply(&args),
        Verb::Export(args) => export::run(&args),
        Verb::Import(args) => import::run(&args),
        Verb::Group(verb) => group::run(verb),
        Verb::Policy(verb) => policy::run(verb),
        Verb::List(verb) => list::run(verb),
        Verb::Settings(verb) => settings::run(verb),
        Verb::Rollout(verb) => rollout::run(verb),
        Verb::Freeze(verb) => freeze::run(verb),
        Verb::Job(verb) => job::run(verb),
        Verb::Wait(args) => wait::run(&args),
        Verb::Push(args) => push::run(args),
        Verb::Package(verb) => package::run(verb),
        Verb::Token(verb) => token::run(verb),
        Verb::Event(verb) => event::run(verb),
        Verb::Whoami(args) => whoami::run(&args),
        Verb::Backup(args) => backup::run(&args),
        Verb::Restore(args) => restore::run(&args),
        Verb::Completion(args) => completion::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            if !matches!(failed, Failed::ReaderGone | Failed::Some(_) | Failed::Differs) {
                say(&format!("ops-meta: {failed}"));
            }
            failed.code()
        }
    }
}

/// For people, beside the output. Nobody may be there to read it.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
