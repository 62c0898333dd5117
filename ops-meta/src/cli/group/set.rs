//! `ops-meta group set`

use serde_json::{Value, json};

use super::path_of;
use crate::cli::client::{Query, Request};
use crate::cli::editing::{Editing, Standing};
use crate::cli::failed::Failed;
use crate::domain::one_line::one_line;
use crate::domain::rollout::WindowText;

/// Make a group, or change what is given of one
///
/// What is not given stays as it is.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  ops-meta group set prod --select 'env=prod and not ip in 10.3.0.0/16' --priority 10\n  \
                        ops-meta group set prod --description '' --dry-run\n  \
                        ops-meta group set db --window 'sat,sun 02:00 3h Europe/Berlin'"
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
    /// Its hosts begin with what a rollout brings only then: `mon-fri 22:00 4h Europe/Berlin`; several may be given
    #[arg(long = "window", value_name = "WINDOW")]
    windows: Vec<WindowText>,
    /// At any time again
    #[arg(long, conflicts_with = "windows")]
    no_windows: bool,
    #[command(flatten)]
    editing: Editing,
}

pub fn run(args: Args) -> Result<(), Failed> {
    let Args { name, select, priority, description, windows, no_windows, editing } = args;
    let windows = (no_windows || !windows.is_empty()).then(|| json!(windows));
    let given = [
        ("select", select.map(Value::from)),
        ("priority", priority.map(Value::from)),
        ("description", description.map(Value::from)),
        ("windows", windows),
    ];
    let given: Vec<_> = given.into_iter().filter_map(|(field, value)| Some((field, value?))).collect();
    if given.is_empty() {
        let why = "there is nothing to set; --select, --priority, --description and --window are possible";
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
    let group = standing.with(&["select", "priority", "description", "windows"], given);
    editing.edit(&client, Request::put(&path).body(&group).only_if(only_if))
}
