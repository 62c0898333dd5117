//! `ops-meta policy`

mod delete;
mod list;
mod set;
mod show;

use serde_json::Value;

use super::client::{Query, part};
use super::failed::Failed;
use super::output::text;

const POLICIES: &str = "/api/v1/policies";

#[derive(clap::Subcommand)]
pub enum Verb {
    /// The policies that fit, all unless told otherwise
    List(list::Args),
    /// One policy
    Show(show::Args),
    /// Make a policy, or change what is given of one
    Set(Box<set::Args>),
    /// Delete a policy
    Delete(delete::Args),
}

pub fn run(verb: Verb) -> Result<(), Failed> {
    match verb {
        Verb::List(args) => list::run(&args),
        Verb::Show(args) => show::run(&args),
        Verb::Set(args) => set::run(*args),
        Verb::Delete(args) => delete::run(&args),
    }
}

/// One policy: that for all hosts, unless told otherwise.
#[derive(clap::Args)]
struct Which {
    agent: String,
    /// The one for the hosts of a group
    #[arg(long, value_name = "NAME", conflicts_with = "host")]
    group: Option<String>,
    /// The one for one host
    #[arg(long, value_name = "HOSTNAME")]
    host: Option<String>,
}

impl Which {
    fn path(&self) -> String {
        format!("{POLICIES}/{}", part(&self.agent))
    }

    fn query(&self) -> Query {
        let words = [("group", &self.group), ("host", &self.host)];
        words.into_iter().filter_map(|(key, word)| Some((key, word.clone()?))).collect()
    }
}

/// Whom a policy is for: `all hosts`, `group prod`, `host web-01`.
pub fn scope(policy: &Value) -> String {
    match (text(policy, "group").as_str(), text(policy, "host").as_str()) {
        ("-", "-") => "all hosts".to_owned(),
        ("-", host) => format!("host {host}"),
        (group, _) => format!("group {group}"),
    }
}
