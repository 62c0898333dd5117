//! `ops-meta import`: the agents of a cfg.json of 2015 become groups and policies.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::client::Request;
use super::editing::{Editing, Standing};
use super::export;
use super::failed::{Failed, Fault};
use super::fleet;
use super::output::text;
use super::plan::FLEET;
use super::say;
use super::sizes::count;
use crate::absolute;
use crate::config::Config;
use crate::domain::import2015::{document, imported};
use crate::domain::one_line::one_line;

/// Make groups and policies of the agents of a cfg.json
///
/// They tell every host what the file told it. The lists and the settings of the server stay. While the cfg.json of the
/// server itself has agents, that file alone decides: a dry run is possible then, and says what would be told differently.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta import cfg.json --dry-run\n  \
                        ops-meta import cfg.json --print > fleet.yaml   # without a server")]
pub struct Args {
    /// A cfg.json of 2015, or a copy of one
    #[arg(value_name = "FILE", value_parser = absolute::path())]
    file: PathBuf,
    /// In the place of the groups and policies that are there
    #[arg(long)]
    replace: bool,
    /// Write a fleet.yaml to standard output, and ask no server
    #[arg(long, conflicts_with_all = ["replace", "dry_run", "confirm", "format"])]
    print: bool,
    #[command(flatten)]
    editing: Editing,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let config = Config::read(&args.file).map_err(|why| Failed::WrongUse(why.to_string()))?;
    let imported = imported(&config.policies);
    imported.left_out.iter().for_each(|it| say(&one_line(&it.to_string())));
    let document = document(&imported);
    match args.print {
        true => export::print(&fleet::written(&document)),
        false => args.bring(document),
    }
}

impl Args {
    fn bring(&self, document: Value) -> Result<(), Failed> {
        let client = self.editing.client()?;
        let standing = Standing::of(&client, FLEET, &Vec::new())?;
        if !self.replace {
            nothing_is_there(&standing.fields)?;
        }
        let only_if = standing.only_if.clone();
        let given =
            ["groups", "policies"].map(|field| (field, document.get(field).cloned().unwrap_or_default()));
        let whole = standing.with(&["settings", "lists"], given.into());
        let edited = self.editing.edit(&client, Request::put(FLEET).body(&whole).only_if(only_if));
        edited.map_err(|failed| named(&whole, failed))
    }
}

/// Nobody has seen the policies by their numbers yet.
fn named(fleet: &Value, failed: Failed) -> Failed {
    let Failed::Faulty(faults) = failed else { return failed };
    let name = |path: &str| {
        let (number, field) = path.strip_prefix("policies[")?.split_once("].")?;
        let policy = fleet.get("policies")?.get(number.parse::<usize>().ok()?)?;
        let group = policy.get("group").map(|_| format!(" for group {}", text(policy, "group")));
        Some(format!("policy {}{}, {field}", text(policy, "agent"), group.unwrap_or_default()))
    };
    let named = |fault: Fault| Fault { path: name(&fault.path).unwrap_or(fault.path), ..fault };
    Failed::Faulty(faults.into_iter().map(named).collect())
}

fn nothing_is_there(fleet: &Map<String, Value>) -> Result<(), Failed> {
    let groups = fleet.get("groups").and_then(Value::as_object).map_or(0, Map::len);
    let policies = fleet.get("policies").and_then(Value::as_array).map_or(0, Vec::len);
    if (groups, policies) == (0, 0) {
        return Ok(());
    }
    Err(Failed::Refused(format!(
        "there are {} and {} already, with which nothing is merged; --replace puts those of the file in their place, \
         --print writes them for you to merge",
        count(groups as u64, "group", "groups"),
        count(policies as u64, "policy", "policies")
    )))
}
