//! `ops-meta host list`: page by page, so that the first rows of a million are there at once.

use clap::builder::PossibleValuesParser;
use serde_json::Value;

use super::HOSTS;
use crate::cli::client::{Query, Server};
use crate::cli::failed::Failed;
use crate::cli::output::{Listing, Output, is, list, number, text};
use crate::cli::times;
use crate::clock::now_ms;
use crate::domain::conformity::Conformity;
use crate::domain::host::State;
use crate::domain::selector::{ListFilter, Lists, Why};

/// The hosts that fit
///
/// A host is listed when it fits everything that is said.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta host list --state gone --sort lastSeen\n  \
                        ops-meta host list --where 'env=prod and version(nginx)<1.26 and not state=gone'\n  \
                        ops-meta host list --current failed -o json | jq -r .hostname")]
pub struct Args {
    #[command(flatten)]
    filters: Filters,
    /// hostname, firstSeen, lastSeen, state or current; with `-` before it the other way round
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    sort: Option<String>,
    /// How many at most
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

#[derive(clap::Args)]
struct Filters {
    /// The name, with `*` and `?`
    #[arg(long, value_name = "GLOB")]
    hostname: Option<String>,
    /// In words, see docs/selectors.md: `env=prod and version(nginx)<1.26`
    #[arg(long = "where", value_name = "FILTER")]
    filter: Option<String>,
    /// In this group
    #[arg(long, value_name = "NAME", conflicts_with = "no_group")]
    group: Option<String>,
    /// In no group at all
    #[arg(long)]
    no_group: bool,
    /// The name, as a regular expression
    #[arg(long = "match", value_name = "REGEX")]
    regex: Option<String>,
    /// How it stands; several with commas between
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(State::ALL.map(State::as_str)))]
    state: Vec<String>,
    /// Whether it runs what is wanted; several with commas between
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(Conformity::ALL.map(Conformity::as_str)))]
    current: Vec<String>,
    /// An agent that it has
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// A version of an agent
    #[arg(long)]
    version: Option<String>,
    /// What an agent is: `started`, `stoped`, or its sentence, with `*` and `?`
    #[arg(long)]
    status: Option<String>,
    /// The code of an error, `*` for any
    #[arg(long, value_name = "CODE")]
    error: Option<String>,
    /// Labels that it has, all of them: `KEY=VALUE`, or `KEY` with any value
    #[arg(long, value_name = "LABEL", value_delimiter = ',')]
    label: Vec<String>,
    /// Its operating system
    #[arg(long)]
    os: Option<String>,
    /// Its processor, as `x86_64`
    #[arg(long)]
    arch: Option<String>,
    /// Its address, with `*` and `?`
    #[arg(long)]
    ip: Option<String>,
    /// Only hosts that have to boot anew
    #[arg(long)]
    reboot_required: bool,
    /// Only hostnames that two machines claim
    #[arg(long)]
    claimed_twice: bool,
}

impl Args {
    fn query(&self) -> Query {
        let filters = &self.filters;
        let flag = |set: bool| set.then(|| "true".to_owned());
        let asked = [
            ("hostname", filters.hostname.clone()),
            ("where", filters.filter.clone()),
            ("group", filters.group.clone()),
            ("inGroups", filters.no_group.then(|| "false".to_owned())),
            ("match", filters.regex.clone()),
            ("state", several(&filters.state)),
            ("current", several(&filters.current)),
            ("agent", filters.agent.clone()),
            ("version", filters.version.clone()),
            ("status", filters.status.clone()),
            ("error", filters.error.clone()),
            ("label", several(&filters.label)),
            ("os", filters.os.clone()),
            ("arch", filters.arch.clone()),
            ("ip", filters.ip.clone()),
            ("rebootRequired", flag(filters.reboot_required)),
            ("claimedTwice", flag(filters.claimed_twice)),
            ("sort", self.sort.clone()),
        ];
        asked.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

/// As the server takes them.
fn several(words: &[String]) -> Option<String> {
    (!words.is_empty()).then(|| words.join(","))
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let heads = &["HOSTNAME", "STATE", "CURRENT", "LAST SEEN", "IP", "AGENTS", "NOTES"];
    let (mut listing, now) = (Listing::new(args.output.format, heads), now_ms());
    args.filters.filter.as_deref().map_or(Ok(()), check)?;
    let client = args.server.client()?;
    client.pages(HOSTS, "hosts", &args.query(), args.limit, |hosts| {
        listing.print(hosts, |host| row(host, now))
    })?;
    listing.end("no hosts");
    Ok(())
}

/// Here it can be shown where a filter is wrong.
pub fn check(filter: &str) -> Result<(), Failed> {
    match ListFilter::parse(filter, &Lists::new()) {
        // The lists are the server's.
        Err(refusal) if !matches!(refusal.why, Why::NoList(..)) => {
            Err(Failed::WrongUse(format!("--where, {}", refusal.shown_in(filter))))
        }
        _ => Ok(()),
    }
}

fn row(host: &Value, now: i64) -> Vec<String> {
    let agents: Vec<String> = list(host, "agents").iter().map(agent).collect();
    vec![
        text(host, "hostname"),
        text(host, "state"),
        text(host, "current"),
        number(host, "lastSeen").map_or_else(|| "-".to_owned(), |at| times::relative(at, now)),
        text(host, "ip"),
        if agents.is_empty() { "-".to_owned() } else { agents.join(", ") },
        notes(host).join(", "),
    ]
}

/// What is odd of it, and no more: most are started and well.
fn agent(agent: &Value) -> String {
    let mut words = vec![text(agent, "name"), text(agent, "version")];
    let odd =
        |field: &str, usual: &[&str]| Some(text(agent, field)).filter(|it| !usual.contains(&it.as_str()));
    words.extend(odd("status", &["started", "-"]));
    words.extend(odd("phase", &["idle", "-"]));
    words.extend(odd("errorCode", &["-"]));
    words.join(" ")
}

/// What an operator has to see to.
pub fn notes(host: &Value) -> Vec<&'static str> {
    let reboot = is(host, "rebootRequired").then_some("reboot required");
    let twice = is(host, "claimedTwice").then_some("two machines have this name");
    reboot.into_iter().chain(twice).collect()
}
