//! Whether somebody means it.

use std::io::{self, IsTerminal as _};

use super::failed::Failed;
use super::say;
use crate::domain::one_line::one_line;

/// `verb` and `done` as in drop and dropped.
pub fn confirm(verb: &str, done: &str, what: &str) -> Result<(), Failed> {
    if !io::stdin().is_terminal() {
        return Err(Failed::WrongUse(format!("nobody is there to ask; --yes {verb}s without asking")));
    }
    say(&format!("{verb} {}? [y/N]", one_line(what)));
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    match (read, answer.trim()) {
        (Ok(_), "y" | "Y" | "yes") => Ok(()),
        _ => Err(Failed::Refused(format!("nothing was {done}"))),
    }
}
