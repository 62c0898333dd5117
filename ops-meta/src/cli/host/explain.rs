//! `ops-meta host explain`: by which policies a host is told what it is told, in sentences.

use serde_json::Value;

use super::{HOSTS, list as host_list, next};
use crate::cli::client::{Query, Server, part};
use crate::cli::failed::Failed;
use crate::cli::output::{Format, Out, Output, Table, is, list, text};
use crate::clock::now_ms;
use crate::domain::one_line::one_line;

/// Why a host is told what it is told, and what would change it
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta host explain web01\n  \
                        ops-meta host explain web01 --where 'env=prod and version(nginx)<1.26'   # why is it not listed?")]
pub struct Args {
    hostname: String,
    /// Whether this filter lists the host, and why, see docs/selectors.md
    #[arg(long = "where", value_name = "FILTER")]
    filter: Option<String>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    args.filter.as_deref().map_or(Ok(()), host_list::check)?;
    let query: Query = args.filter.iter().map(|filter| ("where", filter.clone())).collect();
    let explained =
        args.server.client()?.get(&format!("{HOSTS}/{}/explain", part(&args.hostname)), &query)?;
    let mut out = Out::new();
    match args.output.format {
        Format::Json => out.json(&explained)?,
        Format::Table => Page { explained: &explained, out: &mut out }.print()?,
    }
    out.flush()
}

struct Page<'a> {
    explained: &'a Value,
    out: &'a mut Out,
}

impl Page<'_> {
    fn print(&mut self) -> Result<(), Failed> {
        let (host, decider) = (text(self.explained, "hostname"), text(self.explained, "decidedBy"));
        let by = match decider.as_str() {
            "policies" => "by the policies below",
            _ => "by the agents of the server's cfg.json alone: groups and policies do not count",
        };
        self.out.line(&format!("what {host} is told is decided {by}"))?;
        list(self.explained, "agents").iter().try_for_each(|agent| self.agent(agent))?;
        self.groups()?;
        self.filter()
    }

    fn agent(&mut self, agent: &Value) -> Result<(), Failed> {
        self.out.line("")?;
        self.out.line(&text(agent, "name"))?;
        let said = list(agent, "sentences").iter().filter_map(Value::as_str).map(one_line);
        let next = agent.get("real").and_then(|real| next::sentence(real, now_ms()));
        let next = next.map(|it| format!("What becomes of it: {it}."));
        said.chain(next).try_for_each(|sentence| self.out.line(&format!("  {sentence}")))
    }

    fn groups(&mut self) -> Result<(), Failed> {
        let row = |group: &Value| {
            let is_in = if is(group, "isIn") { "yes" } else { "no" };
            vec![text(group, "name"), is_in.to_owned(), text(group, "priority"), why(group)]
        };
        let rows: Vec<_> = list(self.explained, "groups").iter().map(row).collect();
        if rows.is_empty() {
            return Ok(());
        }
        self.out.line("")?;
        self.out.line("groups")?;
        Table::indented(&["NAME", "IS IN", "PRIORITY", "WHY"]).print(self.out, &rows)
    }

    fn filter(&mut self) -> Result<(), Failed> {
        let Some(filter) = self.explained.get("where") else { return Ok(()) };
        let lists = if is(filter, "admits") { "lists" } else { "does not list" };
        self.out.line("")?;
        self.out.line(&format!("the filter {lists} it: {}", why(filter)))
    }
}

/// The conditions that decided.
fn why(decided: &Value) -> String {
    list(decided, "why").iter().filter_map(Value::as_str).map(one_line).collect::<Vec<_>>().join("; ")
}
