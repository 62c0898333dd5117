//! `ops-meta package`: begun, made and looked at on this machine.

mod aside;
mod check;
mod contents;
mod new;
mod pack;
mod sums;

use std::path::Path;

use crate::cli::failed::Failed;
use crate::cli::say;
use crate::domain::one_line::one_line;

// What each does stands at its arguments; said here, it would hide what is said there.
#[derive(clap::Subcommand)]
pub enum Verb {
    New(new::Args),
    Pack(pack::Args),
    Check(check::Args),
}

pub fn run(verb: Verb) -> Result<(), Failed> {
    match verb {
        Verb::New(args) => new::run(&args),
        Verb::Pack(args) => pack::run(&args),
        Verb::Check(args) => check::run(&args),
    }
}

/// A path as a sentence may have it: names of files may be anything.
fn shown(path: &Path) -> String {
    let plain = path.strip_prefix(".").ok().filter(|rest| !rest.as_os_str().is_empty());
    one_line(&plain.unwrap_or(path).to_string_lossy())
}

/// Tells each of what is wrong with one file or folder.
fn tell(path: &Path, problems: &[String]) {
    for problem in problems {
        say(&format!("ops-meta: {}: {problem}", shown(path)));
    }
}

/// A misspelt key would do nothing, and nobody would know.
fn unknown_keys(keys: &[String]) -> Vec<String> {
    let warning =
        |key| format!("warning: manifest.json has the key `{key}`, which this ops-meta does not know");
    keys.iter().map(warning).collect()
}
