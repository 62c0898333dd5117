//! Whether somebody means it.

use std::io::{self, IsTerminal as _};

use super::failed::Failed;
use super::say;
use crate::domain::one_line::one_line;

/// Before it is found out what to ask.
pub fn somebody_is_there(verb: &str) -> Result<(), Failed> {
    match io::stdin().is_terminal() {
        true => Ok(()),
        false => Err(Failed::WrongUse(format!("nobody is there to ask; --yes {verb}s without asking"))),
    }
}

/// `verb` and `done` as in drop and dropped.
pub fn confirm(verb: &str, done: &str, what: &str) -> Result<(), Failed> {
    somebody_is_there(verb)?;
    say(&format!("{verb} {}? [y/N]", one_line(what)));
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    match (read, answer.trim()) {
        (Ok(_), "y" | "Y" | "yes") => Ok(()),
        _ => Err(Failed::Refused(format!("nothing was {done}"))),
    }
}
