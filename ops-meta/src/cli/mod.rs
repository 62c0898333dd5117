//! The operator's command line: a file per noun. What it prints is for people (`-o table`) or for scripts (`-o json`, one
//! object a line); what went wrong is a sentence on standard error and an exit code.

mod backup;
mod client;
mod completion;
mod confirm;
mod event;
mod failed;
#[allow(dead_code, unused_imports, reason = "the verbs that read and write the file are not there yet")]
mod fleet;
mod host;
mod identity;
mod output;
mod package;
mod push;
mod regular;
mod restore;
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
            if !matches!(failed, Failed::ReaderGone | Failed::Some(_)) {
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
