//! `ops-meta wait`: until what was ordered runs, as hosts say.

use std::thread;
use std::time::{Duration, Instant};

use ops_wire::{AgentName, Version};
use serde_json::Value;

use super::client::{Client, Request, Server};
use super::failed::Failed;
use super::host::HOSTS;
use super::output::{list, text};
use super::say;
use super::sizes::count;
use super::times::{self, Length};
use crate::domain::one_line::one_line;
use crate::domain::selector::{ListFilter, Lists, Selector, Why};

/// For one look, even where hardly any time is left.
const LOOK_MIN: Duration = Duration::from_secs(1);
/// Hosts that are asked for, those that failed first, and how many of each kind are named.
const ROWS_MAX: u64 = 50;
const NAMED_MAX: usize = 5;
/// Of what a host says.
const STATUS_CHARS_MAX: usize = 60;

/// Wait until an agent runs at a version
///
/// On every host that is selected and not gone, whoever joins meanwhile included. It runs when its host says that it is
/// started: a trial may still go on. Progress is told on standard error.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta wait node_exporter 1.8.0\n  \
                        ops-meta wait node_exporter 1.8.0 --where 'env=prod and not hostname=db-*' --timeout 1h")]
pub struct Args {
    agent: AgentName,
    version: Version,
    /// Which hosts, see docs/selectors.md: `env=prod and not hostname=db-*`
    #[arg(long = "where", value_name = "SELECTOR", default_value = "all")]
    selector: String,
    /// How long at most
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = times::length)]
    timeout: Length,
    /// How often to look
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = times::length)]
    interval: Length,
    /// Nothing to wait for is no failure
    #[arg(long)]
    allow_none: bool,
    #[command(flatten)]
    server: Server,
}

/// What a look found.
struct Seen {
    hosts: u64,
    lacking: u64,
    /// Some of those that lack it, by their names.
    some: Vec<Value>,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    check(&args.selector)?;
    let client = args.server.client()?;
    let (begun, timeout) = (Instant::now(), Duration::from_secs(args.timeout.secs));
    let left = || timeout.saturating_sub(begun.elapsed());
    let (mut told, mut is_asked) = (String::new(), false);
    loop {
        let looked = match args.look(&client, left().max(LOOK_MIN)) {
            Ok(seen) if seen.lacking == 0 && !args.waits_for_a_host(seen.hosts, left()) => {
                return args.done(seen.hosts);
            }
            Ok(seen) => {
                if !std::mem::replace(&mut is_asked, true) {
                    args.tell_whether_ordered(&client);
                }
                Ok(seen)
            }
            Err(Failed::Away { why, retry_after }) => Err((why, retry_after)),
            Err(failed) => return Err(failed),
        };
        let (now, pause) = match &looked {
            Ok(seen) => (seen.progress(args), None),
            Err((why, retry_after)) => (format!("ops-meta: {why}; it is asked again"), *retry_after),
        };
        if now != told {
            say(&now);
            told = now;
        }
        if left().is_zero() {
            return Err(args.timed_out(looked.map_err(|(why, _)| why)));
        }
        let interval = Duration::from_secs(args.interval.secs);
        thread::sleep(pause.map_or(interval, |pause| pause.max(interval)).min(left()));
    }
}

/// It has to ask what stays: by what runs, hosts would come and go with what is waited for.
fn check(selector: &str) -> Result<(), Failed> {
    match Selector::parse(selector, &Lists::new()) {
        // The lists are the server's.
        Err(refusal) if !matches!(refusal.why, Why::NoList(..)) => {
            Err(Failed::WrongUse(format!("--where, {}", refusal.shown_in(selector))))
        }
        _ => Ok(()),
    }
}

impl Args {
    /// A slip would be waited for as long as anything. Whether it is known or not, it is waited for.
    fn tell_whether_ordered(&self, client: &Client) {
        let Self { agent, version, .. } = self;
        let get = |path| client.ask(Request::get(path).time(LOOK_MIN)).map(|answer| answer.body);
        let (Ok(settings), Ok(policies)) = (get("/api/v1/settings"), get("/api/v1/policies")) else { return };
        let orders =
            |it: &Value| text(it, "agent") == agent.as_str() && text(it, "version") == version.as_str();
        let policies = list(&policies, "policies");
        // Where there are none, somebody else decides.
        let decide = text(&settings, "decidedBy") == "policies" && !policies.is_empty();
        if decide && !policies.iter().any(orders) {
            say(&format!("no policy orders {agent} {version}; it is waited for all the same"));
        }
    }

    fn look(&self, client: &Client, time: Duration) -> Result<Seen, Failed> {
        let first = |filter, rows_max| {
            let query = vec![("where", filter), ("sort", "-current".to_owned())];
            client.first_rows(HOSTS, "hosts", query, rows_max, time)
        };
        let (_, hosts) = first(self.meant(), 1)?;
        let (mut some, lacking) = first(self.lacking(), ROWS_MAX)?;
        some.sort_by_key(|host| text(host, "hostname"));
        Ok(Seen { hosts, lacking, some })
    }

    /// The hosts that it is about, as a filter.
    fn meant(&self) -> String {
        self.filter("state!=gone")
    }

    /// Those of them that are waited for.
    fn lacking(&self) -> String {
        let Self { agent, version, .. } = self;
        self.filter(&format!(
            "state!=gone and not (version(\"{agent}\")=\"{version}\" and status(\"{agent}\")=started)"
        ))
    }

    /// The first host may be on its way; where hosts are selected and there is none, the selector is wrong, mostly.
    fn waits_for_a_host(&self, hosts: u64, left: Duration) -> bool {
        hosts == 0 && self.selects_all() && !self.allow_none && !left.is_zero()
    }

    fn selects_all(&self) -> bool {
        self.selector.trim().eq_ignore_ascii_case("all")
    }

    fn filter(&self, more: &str) -> String {
        // Without the quotes, where none are needed.
        let more = ListFilter::parse(more, &Lists::new()).map_or(more.to_owned(), |it| it.to_string());
        match self.selects_all() {
            true => more,
            false => format!("({}) and {more}", self.selector.trim()),
        }
    }

    fn done(&self, hosts: u64) -> Result<(), Failed> {
        let Self { agent, version, .. } = self;
        match (hosts, self.allow_none) {
            (0, false) => Err(Failed::NotFound(format!(
                "no host is selected that is not gone (`{}`): nothing to wait for; --allow-none takes that for done",
                one_line(&self.selector)
            ))),
            (0, true) => {
                say("no host is selected");
                Ok(())
            }
            _ => {
                say(&format!("{agent} {version} runs on {}", self::hosts(hosts)));
                Ok(())
            }
        }
    }

    /// `looked`: what was seen at last, or why nothing was.
    fn timed_out(&self, looked: Result<Seen, String>) -> Failed {
        let Self { agent, version, .. } = self;
        let after = times::took(self.timeout.secs.saturating_mul(1000));
        let seen = match looked {
            Ok(seen) => seen,
            Err(why) => return Failed::away(format!("{why}; given up after {after}")),
        };
        let lacking = seen.some.iter().map(|host| format!("{} ({})", text(host, "hostname"), self.why(host)));
        Failed::Refused(format!(
            "after {after} {agent} {version} does not run on {} of {}: {}; `ops-meta host list --where {}` shows them",
            seen.lacking,
            hosts(seen.hosts),
            some(lacking, seen.lacking as usize, ", "),
            shell_word(&self.lacking())
        ))
    }

    /// What is in the way on a host that lacks it.
    fn why(&self, host: &Value) -> String {
        if text(host, "state") == "late" {
            return "late".to_owned();
        }
        let Some(agent) = self.agent_of(host) else { return "not there".to_owned() };
        if let Some(code) = error_code(agent) {
            return code;
        }
        match text(agent, "version").as_str() {
            "-" => "not installed yet".to_owned(),
            version if version == self.version.as_str() => {
                text(agent, "status").chars().take(STATUS_CHARS_MAX).collect()
            }
            version => format!("at {version}"),
        }
    }

    fn agent_of<'a>(&self, host: &'a Value) -> Option<&'a Value> {
        list(host, "agents").iter().find(|agent| text(agent, "name") == self.agent.as_str())
    }
}

impl Seen {
    fn progress(&self, args: &Args) -> String {
        if self.hosts == 0 {
            return "no host is known yet that is not gone".to_owned();
        }
        let (mut failed, mut waiting) = (Vec::new(), Vec::new());
        for host in &self.some {
            let name = text(host, "hostname");
            match args.agent_of(host).and_then(error_code) {
                Some(code) => failed.push(format!("{name} ({code})")),
                None => waiting.push(name),
            }
        }
        let failures = failed.len();
        let others = (self.lacking as usize).saturating_sub(failures);
        let mut line = format!("{} of {}", self.hosts.saturating_sub(self.lacking), hosts(self.hosts));
        if !waiting.is_empty() {
            line += &format!("; waiting for {}", some(waiting.into_iter(), others, " "));
        }
        if !failed.is_empty() {
            line += &format!("; failed on {}", some(failed.into_iter(), failures, ", "));
        }
        line
    }
}

fn error_code(agent: &Value) -> Option<String> {
    Some(text(agent, "errorCode")).filter(|code| code != "-")
}

fn hosts(number: u64) -> String {
    count(number, "host", "hosts")
}

/// The first few, and whether there are more.
fn some(names: impl Iterator<Item = String>, of: usize, between: &str) -> String {
    let named: Vec<String> = names.take(NAMED_MAX).collect();
    let more = if named.len() < of { " ..." } else { "" };
    named.join(between) + more
}

/// As a shell reads it as one word.
fn shell_word(text: &str) -> String {
    format!("'{}'", one_line(text).replace('\'', r"'\''"))
}
