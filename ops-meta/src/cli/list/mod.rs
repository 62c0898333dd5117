//! `ops-meta list`: of words that selectors name, as in `hostname in @canaries`.

mod edit;
mod show;

use super::client::part;
use super::failed::Failed;

const LISTS: &str = "/api/v1/lists";

#[derive(clap::Subcommand)]
pub enum Verb {
    /// All lists
    List(show::ListArgs),
    /// The words of a list
    Show(show::ShowArgs),
    /// Make a list of the words of a file, or put them in the place of those that are there
    Set(edit::SetArgs),
    /// Add words to a list; made where there is none
    Add(edit::WordsArgs),
    /// Take words out of a list
    Remove(edit::WordsArgs),
    /// Delete a list that no group names
    Delete(edit::DeleteArgs),
}

pub fn run(verb: Verb) -> Result<(), Failed> {
    match verb {
        Verb::List(args) => show::print_all(&args),
        Verb::Show(args) => show::show(&args),
        Verb::Set(args) => edit::set(&args),
        Verb::Add(args) => edit::add(&args),
        Verb::Remove(args) => edit::remove(&args),
        Verb::Delete(args) => edit::delete(&args),
    }
}

fn path_of(name: &str) -> String {
    format!("{LISTS}/{}", part(name))
}
