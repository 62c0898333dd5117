//! Arguments, and what `status`, `plan`, `check`, `hold` and `release` do and print. None of them needs a daemon.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use ops_wire::{AgentName, ErrorCode, RealAgent};
use serde_json::json;

use crate::child;
use crate::config::{Config, Faults};
use crate::error::Fault;
use crate::fs_layout::Layout;
use crate::log;
use crate::plan::times;
use crate::round::{Host, refused};
use crate::upgrade::Event;
use crate::wake::now;

/// 0 all well, 1 something failed, 2 wrong use, 10 `plan` would change something.
const FAILED: u8 = 1;
const WRONG_USE: u8 = 2;
const WOULD_CHANGE: u8 = 10;

const HELP: &str = "\
ops-updater keeps the agents of this host at the versions that ops-meta wants.

    ops-updater [-c cfg.json] [-v]              the loop; ends with SIGTERM, SIGHUP reads cfg.json again
    ops-updater [-c cfg.json] once              one beat, all the work it asks for, a second beat
    ops-updater [-c cfg.json] status            how the agents of this host are
    ops-updater [-c cfg.json] plan              what would happen and why not; changes nothing here
    ops-updater [-c cfg.json] hold AGENT [WHY]  leave this agent alone until it is released
    ops-updater [-c cfg.json] release AGENT     end a hold, and forget what failed
    ops-updater [-c cfg.json] check             is the configuration sound, and this host fit?

    -c FILE   the configuration; cfg.json beside the binary when not given
    -v        log everything
    --json    for status, plan and check: print JSON
    --version, -h, --help

Exit: 0 all well, 1 something failed, 2 wrong use, 10 `plan` would change something.
";

#[derive(Debug)]
pub enum Command {
    Print(String),
    Run(Arguments),
}

#[derive(Debug)]
pub struct Arguments {
    pub config: PathBuf,
    pub verbose: bool,
    pub json: bool,
    pub verb: Verb,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Verb {
    Loop,
    Once,
    Status,
    Plan,
    Check,
    Hold { agent: AgentName, why: String },
    Release { agent: AgentName },
}

/// The job of this process, when it is a child of an updater.
pub fn child_kind() -> Option<String> {
    let mut arguments = std::env::args_os().skip(1);
    (arguments.next()? == child::ARGUMENT).then(|| arguments.next()?.into_string().ok())?
}

/// Reads the arguments; the error is a sentence for the user.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    use lexopt::prelude::*;
    let mut parser = lexopt::Parser::from_iter(arguments);
    let (mut config, mut verbose, mut json, mut words) = (None, false, false, Vec::new());
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        match argument {
            Short('c') | Long("config") => {
                config = Some(parser.value().map_err(|error| error.to_string())?.into())
            }
            Short('v') => verbose = true,
            Long("json") => json = true,
            Short('h') | Long("help") => return Ok(Command::Print(HELP.to_owned())),
            Long("version") => {
                return Ok(Command::Print(
                    concat!("ops-updater ", env!("CARGO_PKG_VERSION"), "\n").to_owned(),
                ));
            }
            Value(word) => words.push(word.to_string_lossy().into_owned()),
            other => return Err(other.unexpected().to_string()),
        }
    }
    let verb = verb(&words)?;
    if json && !matches!(verb, Verb::Status | Verb::Plan | Verb::Check) {
        return Err("--json goes with status, plan and check".to_owned());
    }
    Ok(Command::Run(Arguments { config: config.unwrap_or_else(default_config), verbose, json, verb }))
}

fn default_config() -> PathBuf {
    let binary = std::env::current_exe().ok();
    binary.and_then(|it| Some(it.parent()?.join("cfg.json"))).unwrap_or_else(|| PathBuf::from("cfg.json"))
}

fn verb(words: &[String]) -> Result<Verb, String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => Ok(Verb::Loop),
        ["once"] => Ok(Verb::Once),
        ["status"] => Ok(Verb::Status),
        ["plan"] => Ok(Verb::Plan),
        ["check"] => Ok(Verb::Check),
        ["hold", agent, why @ ..] => Ok(Verb::Hold { agent: name(agent)?, why: why.join(" ") }),
        ["release", agent] => Ok(Verb::Release { agent: name(agent)? }),
        [verb @ ("hold" | "release")] => Err(format!("{verb}: which agent?")),
        [verb @ ("once" | "status" | "plan" | "check" | "release"), ..] => {
            Err(format!("{verb}: too many words"))
        }
        [other, ..] => Err(format!("{other:?} is no command")),
    }
}

fn name(text: &str) -> Result<AgentName, String> {
    text.parse().map_err(|why| format!("{text:?} cannot be an agent: {why}"))
}

pub fn load(arguments: &Arguments) -> Result<Config, Faults> {
    Config::load(&arguments.config)
}

pub fn print(text: &str) -> ExitCode {
    say(text);
    ExitCode::SUCCESS
}

/// A reader that went away is no fault of ours.
fn say(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

fn complain(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "ops-updater: {text}");
}

pub fn wrong_use(sentence: &str) -> ExitCode {
    complain(&format!("{sentence}; see ops-updater --help"));
    ExitCode::from(WRONG_USE)
}

/// All faults of the configuration at once.
pub fn bad_config(arguments: &Arguments, faults: &Faults) -> ExitCode {
    if arguments.json {
        say(&format!("{}\n", json!({"ok": false, "faults": faults.0, "warnings": []})));
    }
    complain(&format!("`{}` cannot be used:", arguments.config.display()));
    faults.0.iter().for_each(|fault| complain(&format!("  {fault}")));
    ExitCode::from(WRONG_USE)
}

pub fn exit(result: Result<(), Fault>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            complain(&fault.sentence);
            ExitCode::from(FAILED)
        }
    }
}

pub fn once_exit(result: Result<bool, Fault>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err(fault) => exit(Err(fault)),
    }
}

/// A hold is somebody's will, and so is the end of a key: what runs is as ordered.
pub fn is_failure(code: &str) -> bool {
    !["", ErrorCode::Held.as_str(), ErrorCode::KeyWithdrawn.as_str()].contains(&code)
}

/// The commands that look, and the two that write one file.
pub fn run(arguments: &Arguments, config: Config) -> ExitCode {
    let result = match &arguments.verb {
        Verb::Status => status(arguments, config),
        Verb::Plan => plan(arguments, config),
        Verb::Check => return check(arguments, &config),
        Verb::Hold { agent, why } => hold(&config, agent, why),
        Verb::Release { agent } => release(&config, agent),
        Verb::Loop | Verb::Once => Ok(ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|fault| exit(Err(fault)))
}

/// One that is not installed yet can be held, too: it is not installed then.
fn hold(config: &Config, agent: &AgentName, why: &str) -> Result<ExitCode, Fault> {
    let layout = Layout::open(&config.base)?;
    if Layout::is_reserved(agent) {
        let sentence = format!("`{agent}` is a file of the updater, no agent can have this name");
        return Err(Fault::new(ErrorCode::BadName, sentence));
    }
    let here = if layout.exists(agent) { "" } else { " (it is not installed here)" };
    layout.hold(agent, why)?;
    say(&format!(
        "{agent} is held{here}: the updater neither installs, upgrades, starts nor stops it until `ops-updater release {agent}`\n"
    ));
    Ok(ExitCode::SUCCESS)
}

fn release(config: &Config, agent: &AgentName) -> Result<ExitCode, Fault> {
    let layout = Layout::open(&config.base)?;
    if Layout::is_reserved(agent) || !layout.exists(agent) {
        let sentence = format!("no agent `{agent}` is in `{}`", layout.base().display());
        return Err(Fault::new(ErrorCode::BadName, sentence));
    }
    layout.release(agent)?;
    say(&format!("{agent} is released\n"));
    Ok(ExitCode::SUCCESS)
}

/// The host as its files and processes say it is.
fn looked_at(config: Config) -> Result<Host, Fault> {
    let layout = Layout::open(&config.base)?;
    layout.make_sure_it_can_be_read()?;
    let mut host = Host::new(config, layout);
    host.look(now());
    wait_for_looks(&mut host);
    Ok(host)
}

fn wait_for_looks(host: &mut Host) {
    while !host.agents.all_looked_at() {
        let moment = now();
        host.agents.tick(&host.config.apply, &host.config.plan, moment);
        let until = host.agents.next_wake().unwrap_or(moment.boot);
        crate::wake::pause(until.min(moment.boot + Duration::from_millis(20)), &host.agents.pipes());
    }
}

fn status(arguments: &Arguments, config: Config) -> Result<ExitCode, Fault> {
    let host = looked_at(config)?;
    let agents = host.agents.report(now());
    if arguments.json {
        let hostname = &host.config.heartbeat.hostname;
        say(&format!("{}\n", json!({"hostname": hostname, "unheard": host.unheard, "agents": agents})));
    } else {
        say(&table(&agents));
    }
    if let (Some(it), false) = (&host.unheard, arguments.json) {
        let since = log::rfc3339(it.since);
        say(&format!("server: not heard since {since}: {}: {}\n", it.error_code, it.error));
    }
    let failed = host.unheard.is_some() || agents.iter().any(|it| is_failure(&it.error_code));
    Ok(if failed { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}

fn table(agents: &[RealAgent]) -> String {
    let mut rows = vec![["AGENT", "VERSION", "STATUS", "PHASE", "WANTED"].map(str::to_owned)];
    rows.extend(agents.iter().map(|agent| {
        [
            agent.name.to_string(),
            agent.version.as_ref().map_or("-".to_owned(), ToString::to_string),
            agent.status.as_str().chars().take(40).collect(),
            agent.phase.map_or("-", ops_wire::Phase::as_str).to_owned(),
            agent.desired_version.as_ref().map_or("-".to_owned(), ToString::to_string),
        ]
    }));
    let mut text = columns(&rows);
    if agents.is_empty() {
        text.push_str("no agents are here\n");
    }
    for agent in agents.iter().filter(|it| !it.error_code.is_empty()) {
        let next = match (agent.attempt, agent.next_try) {
            (Some(_), Some(next)) => format!("; next try after {}", log::rfc3339(next)),
            (Some(count), None) => {
                let times = times(count);
                format!(
                    "; failed {times}, not tried again by itself before another version or digest: `ops-updater release {}`",
                    agent.name
                )
            }
            _ => String::new(),
        };
        text.push_str(&format!("{}: {}: {}{next}\n", agent.name, agent.error_code, agent.error));
    }
    text
}

fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: Vec<usize> = (0..N)
        .map(|at| rows.iter().filter_map(|row| row.get(at)).map(|it| it.chars().count()).max().unwrap_or(0))
        .collect();
    let line = |row: &[String; N]| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// Asks ops-meta by one beat, or takes the last answer and says so.
fn plan(arguments: &Arguments, config: Config) -> Result<ExitCode, Fault> {
    let mut host = looked_at(config)?;
    let heard = ask(&mut host);
    let (mut errors, asked) = match heard {
        Ok(errors) => (errors, true),
        Err(fault) => {
            complain(&format!("ops-meta gives no answer, this is by its last one: {}", fault.sentence));
            (Vec::new(), false)
        }
    };
    host.look(now());
    wait_for_looks(&mut host);
    let decisions = host.agents.decisions(&host.config.plan, now());
    let changes = decisions.iter().any(|(_, decision)| decision.order.is_some());
    if arguments.json {
        let agents: Vec<_> = decisions
            .iter()
            .map(|(name, it)| {
                json!({"agent": name, "action": it.order.as_ref().map(Event::name), "why": it.why,
                       "errorCode": it.fault.as_ref().map(|fault| fault.code), "error": it.fault.as_ref().map(|fault| &fault.sentence)})
            })
            .collect();
        say(&format!("{}\n", json!({"asked": asked, "agents": agents, "errors": errors})));
    } else {
        let mut rows = vec![["AGENT", "ACTION", "WHY"].map(str::to_owned)];
        rows.extend(decisions.iter().map(|(name, it)| {
            [name.to_string(), it.order.as_ref().map_or("none", Event::name).to_owned(), it.why.clone()]
        }));
        say(&columns(&rows));
        for error in errors.drain(..) {
            say(&format!("refused: {} {}: {}\n", error.agent, error.code, error.error));
        }
    }
    Ok(match (asked, changes) {
        (false, _) => ExitCode::from(FAILED),
        (true, true) => ExitCode::from(WOULD_CHANGE),
        (true, false) => ExitCode::SUCCESS,
    })
}

fn ask(host: &mut Host) -> Result<Vec<ops_wire::HostError>, Fault> {
    let mut beat = host.begin_beat(now())?;
    loop {
        if let Some(outcome) = beat.poll(now().boot) {
            let (answer, _) = outcome?;
            host.memory.accept(&answer);
            return Ok(refused(&answer));
        }
        let pipes: Vec<_> = beat.child().pipe().into_iter().collect();
        crate::wake::pause(now().boot + Duration::from_millis(20), &pipes);
    }
}

/// Configuration and environment: what is wrong, and what is only odd.
fn check(arguments: &Arguments, config: &Config) -> ExitCode {
    let mut faults: Vec<String> = Vec::new();
    let mut warnings = config.warnings.clone();
    match Layout::open(&config.base) {
        Err(fault) => faults.push(fault.sentence),
        Ok(layout) => {
            if nix::unistd::access(layout.base(), nix::unistd::AccessFlags::W_OK).is_err() {
                faults.push(format!("`{}` cannot be written by this account", layout.base().display()));
            }
            if let Err(fault) = layout.agents() {
                faults.push(fault.sentence);
            }
        }
    }
    faults.extend(config.heartbeat.http.check().into_iter().map(|fault| fault.sentence));
    if config.wake.interval < Duration::from_secs(10) {
        warnings.push("`interval`: a beat this often is much for ops-meta; 10 or more is usual".to_owned());
    }
    let ok = faults.is_empty() && config.unknown_keys.is_empty();
    if arguments.json {
        say(&format!("{}\n", json!({"ok": ok, "faults": faults, "warnings": warnings})));
    } else {
        warnings.iter().for_each(|it| say(&format!("warning: {it}\n")));
        faults.iter().for_each(|it| say(&format!("fault: {it}\n")));
        say(if ok {
            "all well, as far as this host can tell; `ops-updater plan` asks ops-meta, too\n"
        } else {
            "something has to be mended\n"
        });
    }
    if ok { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<Command, String> {
        parse(std::iter::once("ops-updater").chain(text.split_whitespace()).map(OsString::from))
    }

    #[test]
    fn nothing_is_the_loop_and_verbs_are_verbs() {
        let verb = |text: &str| match words(text) {
            Ok(Command::Run(arguments)) => arguments.verb,
            other => panic!("{other:?}"),
        };
        assert_eq!(verb(""), Verb::Loop);
        assert_eq!(verb("-c x -v once"), Verb::Once);
        let agent: AgentName = "a".parse().unwrap();
        assert_eq!(verb("hold a it is mine"), Verb::Hold { agent: agent.clone(), why: "it is mine".into() });
        assert_eq!(verb("release a"), Verb::Release { agent });
    }

    #[test]
    fn wrong_use_is_a_sentence() {
        for text in ["fly", "hold", "release", "status now", "--fast", "-c", "hold ../x", "once --json"] {
            assert!(words(text).is_err(), "{text}");
        }
    }
}
