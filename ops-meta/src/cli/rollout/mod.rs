//! `ops-meta rollout`: a policy is changed for a few hosts, then for more, then for all.

mod delete;
mod go_on;
mod hosts;
mod list;
mod plan;
mod show;
mod start;
mod watch;
mod waves;

use serde_json::Value;

pub use plan::Waves;
pub use start::begin;

use super::failed::Failed;
use super::output::{list, number, text};
use super::policy::scope;
use crate::domain::one_line::one_line;
use crate::domain::rollout;

const ROLLOUTS: &str = "/api/v1/rollouts";

#[derive(clap::Subcommand)]
pub enum Verb {
    /// Begin to change a policy, in waves
    Start(Box<start::Args>),
    /// The rollouts that fit, all unless told otherwise
    List(list::Args),
    /// One rollout: how far it is, what it waits for, and what failed
    Show(show::Args),
    /// The hosts of a rollout that is not over, and how far each is
    Hosts(hosts::Args),
    /// Begin the wave that waits for it, or a draft
    Approve(go_on::WaveArgs),
    /// Let nobody new begin; whoever has the change keeps it
    Pause(go_on::Args),
    /// Go on; what failed until now is known, and is no breach again
    Resume(go_on::Args),
    /// End the wave under way, whatever it waits for
    Next(go_on::WaveArgs),
    /// Leave every host as it is, for good
    Stop(go_on::Args),
    /// Take back what was changed
    Rollback(go_on::Args),
    /// Go on; what failed until now is a failure only once it fails again
    Retry(go_on::Args),
    /// Look on
    Watch(watch::Args),
    /// Delete the history of a rollout that is over
    Delete(delete::Args),
}

pub fn run(verb: Verb) -> Result<(), Failed> {
    match verb {
        Verb::Start(args) => start::run(&args),
        Verb::List(args) => list::run(&args),
        Verb::Show(args) => show::run(&args),
        Verb::Hosts(args) => hosts::run(&args),
        Verb::Approve(args) => args.run(rollout::Verb::Approve),
        Verb::Pause(args) => args.run(rollout::Verb::Pause),
        Verb::Resume(args) => args.run(rollout::Verb::Resume),
        Verb::Next(args) => args.run(rollout::Verb::Next),
        Verb::Stop(args) => args.run(rollout::Verb::Stop),
        Verb::Rollback(args) => args.run(rollout::Verb::Rollback),
        Verb::Retry(args) => args.run(rollout::Verb::Retry),
        Verb::Watch(args) => watch::run(&args),
        Verb::Delete(args) => delete::run(&args),
    }
}

fn path_of(id: u64) -> String {
    format!("{ROLLOUTS}/{id}")
}

/// `all hosts`, `group prod`, `host web-01`, `40 named hosts`
fn whom(rollout: &Value) -> String {
    let plan = rollout.get("plan").unwrap_or(&Value::Null);
    match (number(rollout, "hosts").unwrap_or_default(), list(plan, "hosts")) {
        (0, _) => scope(plan),
        (1, [host]) => format!("host {}", host.as_str().map_or_else(String::new, one_line)),
        (hosts, _) => format!("{hosts} named hosts"),
    }
}

/// What its policy is to say: `1.8.0`, `stop`, `1.8.0 start`.
fn change(plan: &Value) -> String {
    let words = ["version", "cmd"].map(|field| text(plan, field));
    words.into_iter().filter(|word| word != "-").collect::<Vec<_>>().join(" ")
}

/// The one under way, and how many there are: `2/4`.
fn wave(rollout: &Value) -> String {
    format!("{}/{}", text(rollout, "begun"), text(rollout, "waves"))
}

/// Of all hosts of the policy, those that have the change; `None`: nobody has counted, or it is over.
fn percent(rollout: &Value) -> Option<String> {
    Some(text(rollout, "percent")).filter(|percent| percent != "-").map(|percent| format!("{percent} %"))
}

/// What it waits for; `None`: nothing, or nobody has looked yet.
fn waits_for(rollout: &Value) -> Option<String> {
    rollout.get("why").filter(|why| !why.is_null()).map(|why| text(why, "what"))
}

/// Why it stopped by itself.
fn breach(rollout: &Value) -> Option<String> {
    let breach = rollout.get("breach").filter(|breach| !breach.is_null())?;
    Some(format!("too many hosts failed in wave {}: {}", text(breach, "wave"), text(breach, "why")))
}

/// What can be done with it now: `pause, next, stop`.
fn verbs(rollout: &Value) -> String {
    list(rollout, "verbs").iter().filter_map(Value::as_str).map(one_line).collect::<Vec<_>>().join(", ")
}
