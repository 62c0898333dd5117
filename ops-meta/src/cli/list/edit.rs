//! `ops-meta list set`, `add`, `remove` and `delete`

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::path_of;
use crate::cli::client::{Client, OnlyIf, Query, Request};
use crate::cli::editing::{Editing, Standing};
use crate::cli::failed::Failed;
use crate::cli::fleet::words;
use crate::cli::output::list;
use crate::cli::say;
use crate::domain::one_line::one_line;

/// Make a list of the words of a file, or put them in the place of those that are there
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta list set canaries canaries.txt\n  \
                        ops-meta host list --where role=db -o json | jq -r .hostname | ops-meta list set databases -")]
pub struct SetArgs {
    name: String,
    /// A word a line, `#` begins a comment; `-` reads standard input
    file: String,
    /// A list without a word is meant
    #[arg(long)]
    empty: bool,
    #[command(flatten)]
    editing: Editing,
}

#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta list add canaries web-01 web-02\n  \
                        ops-meta list remove canaries web-01 --dry-run")]
pub struct WordsArgs {
    name: String,
    #[arg(required = true, value_name = "WORD")]
    words: Vec<String>,
    #[command(flatten)]
    editing: Editing,
}

/// Delete a list that no group names
#[derive(clap::Args)]
#[command(after_help = "Example:\n  ops-meta list delete canaries")]
pub struct DeleteArgs {
    name: String,
    #[command(flatten)]
    editing: Editing,
}

pub fn set(args: &SetArgs) -> Result<(), Failed> {
    let client = args.editing.client()?;
    let read = match args.file.as_str() {
        "-" => words::read_stdin(),
        file => words::read(Path::new(""), file),
    };
    let words = read.map_err(|faults| Failed::WrongUse(faults.join("\n  ")))?;
    // What was to write them has failed, mostly.
    if words.is_empty() && !args.empty {
        let why = format!("there is no word in `{}`; --empty makes a list without any", one_line(&args.file));
        return Err(Failed::WrongUse(why));
    }
    put(&client, &args.editing, &args.name, &words.into_iter().collect(), OnlyIf::Always)
}

pub fn add(args: &WordsArgs) -> Result<(), Failed> {
    let client = args.editing.client()?;
    let (mut words, only_if) = standing(&client, &args.name)?;
    words.extend(args.words.iter().cloned());
    put(&client, &args.editing, &args.name, &words, only_if)
}

/// What is not in the list need not be taken out, but may be a slip.
pub fn remove(args: &WordsArgs) -> Result<(), Failed> {
    let client = args.editing.client()?;
    let (mut words, only_if) = standing(&client, &args.name)?;
    let name = one_line(&args.name);
    if only_if == OnlyIf::IsNotThere {
        return Err(Failed::NotFound(format!("there is no list `{name}`")));
    }
    for word in &args.words {
        if !words.remove(word) {
            say(&format!("{} is not in list {name}", one_line(word)));
        }
    }
    put(&client, &args.editing, &args.name, &words, only_if)
}

pub fn delete(args: &DeleteArgs) -> Result<(), Failed> {
    args.editing.edit(&args.editing.client()?, Request::delete(&path_of(&args.name)))
}

fn standing(client: &Client, name: &str) -> Result<(BTreeSet<String>, OnlyIf), Failed> {
    let standing = Standing::of(client, &path_of(name), &Query::new())?;
    let fields = Value::Object(standing.fields);
    let words = list(&fields, "words").iter().filter_map(Value::as_str).map(str::to_owned);
    Ok((words.collect(), standing.only_if))
}

fn put(
    client: &Client,
    editing: &Editing,
    name: &str,
    words: &BTreeSet<String>,
    only_if: OnlyIf,
) -> Result<(), Failed> {
    let body = json!({ "words": words });
    editing.edit(client, Request::put(&path_of(name)).body(&body).only_if(only_if))
}
