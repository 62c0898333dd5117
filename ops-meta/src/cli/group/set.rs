//! `ops-meta group set`

use serde_json::Value;

use super::path_of;
use crate::cli::client::{Query, Request};
use crate::cli::editing::{Editing, Standing};
use crate::cli::failed::Failed;
use crate::domain::one_line::one_line;

/// Make a group, or change what is given of one
///
/// What is not given stays as it is.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  ops-meta group set prod --select 'env=prod and not ip in 10.3.0.0/16' --priority 10\n  \
                        ops-meta group set prod --description '' --dry-run"
)]
pub struct Args {
    name: String,
    /// Which hosts, see docs/selectors.md
    #[arg(long, value_name = "SELECTOR")]
    select: Option<String>,
    /// The larger is the stronger
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i32>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    #[command(flatten)]
    editing: Editing,
}

pub fn run(args: Args) -> Result<(), Failed> {
    let Args { name, select, priority, description, editing } = args;
    let given = [
        ("select", select.map(Value::from)),
        ("priority", priority.map(Value::from)),
        ("description", description.map(Value::from)),
    ];
    let given: Vec<_> = given.into_iter().filter_map(|(field, value)| Some((field, value?))).collect();
    if given.is_empty() {
        let why = "there is nothing to set; --select, --priority and --description are possible";
        return Err(Failed::WrongUse(why.to_owned()));
    }
    let (client, path) = (editing.client()?, path_of(&name));
    let standing = Standing::of(&client, &path, &Query::new())?;
    let selects = given.iter().any(|(field, _)| *field == "select");
    if !standing.is_there() && !selects {
        let name = one_line(&name);
        return Err(Failed::NotFound(format!("there is no group `{name}` yet; --select says who is in it")));
    }
    let only_if = standing.only_if.clone();
    let group = standing.with(&["select", "priority", "description"], given);
    editing.edit(&client, Request::put(&path).body(&group).only_if(only_if))
}
