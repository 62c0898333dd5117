//! `ops-meta rollout start`

use std::thread;
use std::time::{Duration, Instant};

use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use super::plan::Waves;
use super::{ROLLOUTS, path_of, waits_for};
use crate::cli::client::{Client, Query, Request};
use crate::cli::editing::{self, Editing};
use crate::cli::failed::Failed;
use crate::cli::output::{Format, Out, is, list, number, text};
use crate::cli::say;
use crate::cli::sizes::count;
use crate::domain::one_line::one_line;
use crate::domain::rollout::{OnBreach, WindowText};

/// How long the server may take to look at a rollout for the first time, and how often it is asked.
const LOOK_MAX: Duration = Duration::from_secs(3);
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// Begin to change a policy, in waves
///
/// The policy says what it said until all hosts have the change; then it says what was to change. The number of the rollout
/// is printed, and on standard error what it waits for.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  ops-meta rollout start node_exporter --version 1.8.0 --waves 1%,10%,50%,100% --soak 10m\n  \
                  ops-meta rollout start node_exporter --group prod --cmd stop --waves 5,100% --on-breach rollback\n  \
                  id=$(ops-meta rollout start nginx --version 2 -f waves.yaml) && ops-meta rollout watch $id --until done"
)]
pub struct Args {
    /// Whose policy: the one for all hosts, unless told otherwise
    agent: String,
    /// The one for the hosts of a group
    #[arg(long, value_name = "NAME", conflicts_with = "host")]
    group: Option<String>,
    /// The one for one host
    #[arg(long, value_name = "HOSTNAME")]
    host: Option<String>,
    /// What its version is to be; as it is, unless given
    #[arg(long)]
    version: Option<String>,
    /// start, stop or uninstall; as it is, unless given
    #[arg(long)]
    cmd: Option<String>,
    #[command(flatten)]
    waves: Waves,
    /// Hosts begin only then: `mon-fri 22:00 4h Europe/Berlin`; several may be given
    #[arg(long = "window", value_name = "WINDOW", help_heading = "Waves")]
    windows: Vec<WindowText>,
    /// What it does when too many hosts fail
    #[arg(long, default_value = "pause", help_heading = "Waves",
        value_parser = PossibleValuesParser::new(OnBreach::ALL.iter().map(|it| it.as_str())))]
    on_breach: String,
    /// Only write it down; `rollout approve` begins it
    #[arg(long)]
    draft: bool,
    /// Also where no host is of it, or of one of its waves
    #[arg(long)]
    allow_empty: bool,
    /// For whoever asks later why
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    editing: Editing,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    if args.version.is_none() && args.cmd.is_none() {
        return Err(Failed::WrongUse("nothing would change; give --version, or --cmd".to_owned()));
    }
    begin(&args.editing, &args.wanted()?, false)
}

/// `shows`: what differs is told first.
pub fn begin(editing: &Editing, wanted: &Value, shows: bool) -> Result<(), Failed> {
    let (client, format) = (editing.client()?, editing.output.format);
    if shows && !editing.meant.dry_run {
        let tried =
            client.ask(Request::post(ROLLOUTS).body(wanted).query([("dryRun", "true".to_owned())]))?.body;
        if tried.get("already").is_none_or(Value::is_null) {
            differences(&tried).iter().for_each(|line| say(line));
        }
    }
    let asked = Request::post(ROLLOUTS).body(wanted).query(editing.meant.query());
    let started = client.ask(asked).map_err(|failed| unconfirmed(failed, shows))?.body;
    let id = started.get("id").and_then(Value::as_u64);
    match (format, id, started.get("tried")) {
        (Format::Json, ..) => print(&started.to_string())?,
        (Format::Table, Some(id), _) => print(&id.to_string())?,
        (Format::Table, None, Some(Value::Object(_))) => tried(&started)?,
        (Format::Table, None, _) => {}
    }
    match (started.get("already").and_then(Value::as_str), id, format) {
        (Some(why), ..) => say(&format!("nothing to do: {}", one_line(why))),
        (None, Some(id), Format::Table) => say(&begun(&client, id, is(wanted, "draft"))),
        (None, ..) => {}
    }
    Ok(())
}

/// Where it has to be confirmed: tells first what it would do, beside what a script reads.
fn unconfirmed(failed: Failed, was_shown: bool) -> Failed {
    match failed {
        Failed::Unconfirmed { why, changed } => {
            if !was_shown {
                editing::hosts(&changed).iter().for_each(|line| say(line));
            }
            Failed::Refused(why)
        }
        other => other,
    }
}

impl Args {
    fn wanted(&self) -> Result<Value, Failed> {
        let word = |word: &Option<String>| word.clone().unwrap_or_default();
        Ok(json!({
            "agent": self.agent,
            "group": word(&self.group),
            "host": word(&self.host),
            "version": word(&self.version),
            "cmd": word(&self.cmd),
            "waves": self.waves.written(None)?,
            "onBreach": self.on_breach,
            "windows": self.windows,
            "draft": self.draft,
            "allowEmpty": self.allow_empty,
            "note": word(&self.note),
        }))
    }
}

fn print(line: &str) -> Result<(), Failed> {
    let mut out = Out::new();
    out.line(line)?;
    out.flush()
}

/// Who is told something else, and how many have it already.
fn differences(started: &Value) -> Vec<String> {
    let tried = started.get("tried").unwrap_or(&Value::Null);
    let mut lines = editing::hosts(tried.get("changed").unwrap_or(&Value::Null));
    let hosts = |field| number(tried, field).and_then(|it| u64::try_from(it).ok()).filter(|it| *it > 0);
    let there = hosts("there").map(|it| format!("{} already are as wanted", count(it, "host", "hosts")));
    let stronger = hosts("stronger")
        .map(|it| format!("{} left as they are by stronger policies", count(it, "host is", "hosts are")));
    lines.extend(there.into_iter().chain(stronger));
    lines
}

/// A dry run: what it would come to.
fn tried(started: &Value) -> Result<(), Failed> {
    let tried = started.get("tried").unwrap_or(&Value::Null);
    differences(started).iter().try_for_each(|line| print(line))?;
    let selected = list(tried, "selected").iter().filter_map(Value::as_u64);
    for (wave, hosts) in selected.enumerate() {
        print(&format!("wave {} is a share of {}", wave + 1, count(hosts, "host", "hosts")))?;
    }
    editing::tell_whether_to_confirm(tried);
    say("nothing was begun, as this was a dry run");
    Ok(())
}

/// What it waits for, as soon as the server has looked.
fn begun(client: &Client, id: u64, is_draft: bool) -> String {
    if is_draft {
        return format!("rollout {id} is a draft; `ops-meta rollout approve {id}` begins it");
    }
    let until = Instant::now() + LOOK_MAX;
    // It has begun, whatever becomes of this.
    while let Ok(rollout) = client.get(&path_of(id), &Query::new()) {
        match waits_for(&rollout) {
            Some(what) => return format!("rollout {id} is {}: {what}", text(&rollout, "state")),
            None if Instant::now() >= until => break,
            None => thread::sleep(LOOK_PAUSE),
        }
    }
    format!("rollout {id} has begun; `ops-meta rollout show {id}` says what it waits for")
}
