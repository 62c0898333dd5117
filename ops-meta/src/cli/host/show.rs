//! `ops-meta host show`: what an operator asks of one host, in the order in which it is asked.

use serde_json::Value;

use super::HOSTS;
use super::list::notes;
use super::next;
use crate::cli::client::{Server, part};
use crate::cli::failed::Failed;
use crate::cli::output::{Format, Out, Output, Table, list, number, text};
use crate::cli::times;
use crate::clock::now_ms;
use crate::domain::one_line::one_line;

/// Everything about one host
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta host show web01\n  \
                        ops-meta host show web01 -o json | jq '.agents[] | select(.errorCode)'")]
pub struct Args {
    hostname: String,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let host = args.server.client()?.get(&format!("{HOSTS}/{}", part(&args.hostname)), &Vec::new())?;
    let mut out = Out::new();
    match args.output.format {
        Format::Json => out.json(&host)?,
        Format::Table => Page { host: &host, out: &mut out }.print()?,
    }
    out.flush()
}

struct Page<'a> {
    host: &'a Value,
    out: &'a mut Out,
}

impl Page<'_> {
    fn print(&mut self) -> Result<(), Failed> {
        self.summary()?;
        self.agents()?;
        list(self.host, "agents").iter().try_for_each(|agent| self.trouble_and_steps(agent))?;
        self.errors()?;
        self.history()
    }

    fn summary(&mut self) -> Result<(), Failed> {
        let host = self.host;
        let rival = host.get("rival").unwrap_or(&Value::Null);
        let known = |field| known(host, "", field);
        let time = |field| number(host, field).map_or_else(String::new, times::date_and_relative);
        let every = number(host, "intervalSecs").map_or_else(String::new, |secs| format!("every {secs} s"));
        let generation = number(host, "generation").filter(|&it| it > 0);
        let lines = [
            ("state", format!("{}; runs what is wanted: {}", text(host, "state"), text(host, "current"))),
            ("last seen", time("lastSeen")),
            ("first seen", time("firstSeen")),
            ("machine", known("os") + &known("arch") + &known("ip")),
            ("machine id", known("machineId")),
            ("updater", known("updaterVersion") + &self::known(host, "as ", "runUser")),
            ("beats", every),
            ("generation", generation.map_or_else(String::new, |it| it.to_string())),
            ("labels", labels(host)),
            ("attention", notes(host).join("; ")),
            ("rival", self::known(rival, "", "machineId") + &self::known(rival, "at ", "ip")),
        ];
        self.out.line(&text(host, "hostname"))?;
        let said = lines.iter().filter(|(_, value)| !value.is_empty());
        let mut said = said.map(|(key, value)| format!("  {key:<11} {}", value.trim_end()));
        said.try_for_each(|line| self.out.line(&line))
    }

    /// What runs, and what should: an agent that is wanted and not there has a row, too.
    fn agents(&mut self) -> Result<(), Failed> {
        let (real, desired) = (list(self.host, "agents"), list(self.host, "desired"));
        let is_of = |name: &Value, other: &Value| other.get("name") == name.get("name");
        let there = real.iter().map(|agent| (agent, desired.iter().find(|wanted| is_of(agent, wanted))));
        let missing = desired.iter().filter(|wanted| !real.iter().any(|agent| is_of(wanted, agent)));
        let missing = missing.map(|wanted| (&Value::Null, Some(wanted)));
        let now = now_ms();
        let rows: Vec<_> =
            there.chain(missing).map(|(agent, wanted)| agent_row(agent, wanted, now)).collect();
        self.section(
            "agents",
            &["NAME", "VERSION", "STATUS", "PHASE", "WANTED", "AS WANTED", "LOOKED AT"],
            &rows,
        )
    }

    /// Only of an agent that has any.
    fn trouble_and_steps(&mut self, agent: &Value) -> Result<(), Failed> {
        let name = text(agent, "name");
        if text(agent, "errorCode") != "-" {
            let next = next::sentence(agent, now_ms()).map(|next| format!("\n  {next}"));
            let attempt = number(agent, "attempt").map(|count| format!("; attempt {count}"));
            self.out.line("")?;
            self.out.line(&format!(
                "{name}: {}: {}{}{}",
                text(agent, "errorCode"),
                text(agent, "error"),
                attempt.unwrap_or_default(),
                next.unwrap_or_default()
            ))?;
        }
        let row = |step: &Value| {
            let ended = number(step, "at").map_or_else(|| "-".to_owned(), times::date);
            let took = number(step, "ms").map_or_else(|| "-".to_owned(), |ms| times::took(ms.unsigned_abs()));
            vec![text(step, "step"), ended, took, text(step, "code")]
        };
        let rows: Vec<_> = list(agent, "steps").iter().map(row).collect();
        let title = format!("last upgrade of {name}");
        self.section(&title, &["STEP", "ENDED", "TOOK", "ERROR"], &rows)
    }

    /// What belongs to no agent.
    fn errors(&mut self) -> Result<(), Failed> {
        let row = |error: &Value| ["agent", "code", "error"].map(|field| text(error, field)).into();
        let rows: Vec<Vec<String>> = list(self.host, "errors").iter().map(row).collect();
        self.section("errors", &["AGENT", "CODE", "ERROR"], &rows)
    }

    fn history(&mut self) -> Result<(), Failed> {
        let row = |change: &Value| {
            let at = number(change, "at").map_or_else(|| "-".to_owned(), times::date);
            let mut row = vec![at];
            row.extend(["agent", "what", "before", "after"].map(|field| text(change, field)));
            row
        };
        let rows: Vec<_> = list(self.host, "history").iter().map(row).collect();
        self.section("history", &["WHEN", "AGENT", "WHAT", "BEFORE", "AFTER"], &rows)
    }

    /// Nothing at all where there is nothing to tell.
    fn section(
        &mut self,
        title: &str,
        heads: &'static [&'static str],
        rows: &[Vec<String>],
    ) -> Result<(), Failed> {
        if rows.is_empty() {
            return Ok(());
        }
        self.out.line("")?;
        self.out.line(title)?;
        Table::indented(heads).print(self.out, rows)
    }
}

fn agent_row(agent: &Value, wanted: Option<&Value>, now: i64) -> Vec<String> {
    let word = |field| text(agent, field);
    let wanted = wanted.unwrap_or(&Value::Null);
    let percent = number(agent, "percent").map(|percent| format!(" {percent} %"));
    let order = match text(wanted, "cmd").as_str() {
        "start" | "-" => text(wanted, "version"),
        cmd => cmd.to_owned(),
    };
    let looked = number(agent, "looked").filter(|&at| at > 0);
    vec![
        if agent.is_null() { text(wanted, "name") } else { word("name") },
        word("version"),
        word("status"),
        word("phase") + &percent.unwrap_or_default(),
        order,
        text(wanted, "current"),
        looked.map_or_else(|| "-".to_owned(), |at| times::relative(at, now)),
    ]
}

/// With a blank behind it, and nothing where it is not known.
fn known(host: &Value, before: &str, field: &str) -> String {
    match text(host, field).as_str() {
        "-" => String::new(),
        known => format!("{before}{known} "),
    }
}

/// `KEY=VALUE KEY=VALUE`
fn labels(host: &Value) -> String {
    let labels = host.get("labels").unwrap_or(&Value::Null);
    let keys = labels.as_object().into_iter().flat_map(|labels| labels.keys());
    keys.map(|key| format!("{}={}", one_line(key), text(labels, key))).collect::<Vec<_>>().join(" ")
}
