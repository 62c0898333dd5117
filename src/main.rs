//! ops-updater: keeps the agents of this host at the versions that ops-meta wants.

mod account;
mod apply;
mod child;
mod cli;
mod config;
mod control;
mod error;
mod fs_layout;
mod heartbeat;
mod http;
mod inventory;
mod log;
mod memory;
mod plan;
mod processes;
mod report;
mod round;
mod stage;
mod sweep;
mod upgrade;
mod wake;

use std::process::ExitCode;
use std::time::Duration;

use crate::cli::{Arguments, Command};
use crate::config::Config;
use crate::error::Fault;
use crate::fs_layout::{Layout, Lock};
use crate::log::Level;
use crate::round::{Ended, Host};
use crate::upgrade::Moment;
use crate::wake::{Request, Schedule, Sleeper, now};

/// `once` waits this long for what is to be deleted.
const LAST_SWEEP_TIME: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    if let Some(kind) = cli::child_kind() {
        return cli::exit(run_child(&kind));
    }
    let arguments = match cli::parse(std::env::args_os()) {
        Ok(Command::Print(text)) => return cli::print(&text),
        Ok(Command::Run(arguments)) => arguments,
        Err(sentence) => return cli::wrong_use(&sentence),
    };
    match cli::load(&arguments) {
        Ok(config) => run(&arguments, config),
        Err(faults) => cli::bad_config(&arguments, &faults),
    }
}

fn run_child(kind: &str) -> Result<(), Fault> {
    match kind {
        heartbeat::KIND => heartbeat::run(),
        stage::KIND => stage::run(),
        sweep::KIND => sweep::run(),
        _ => Err(Fault::new(ops_wire::ErrorCode::Io, "no such child")),
    }
}

fn run(arguments: &Arguments, config: Config) -> ExitCode {
    log::set_debug(arguments.verbose || config.debug);
    match &arguments.verb {
        cli::Verb::Loop => cli::exit(keep(arguments, config)),
        cli::Verb::Once => cli::once_exit(once(config)),
        _ => cli::run(arguments, config),
    }
}

/// What both ways to work begin with: one updater to a BASE, signals heard, nothing inherited.
fn start(config: &Config) -> Result<(Layout, Sleeper, Lock), Fault> {
    forget_inherited();
    let layout = Layout::open(&config.base)?;
    layout.make_own()?;
    let lock = layout.lock()?;
    Ok((layout, Sleeper::new()?, lock))
}

/// Descriptors of whoever started us must not stay open here or in agents, and files are made with the modes that are
/// asked for. Nothing of our own is open yet.
fn forget_inherited() {
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let open: Vec<i32> = open.filter_map(|it| it.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open.into_iter().filter(|it| *it > 2) {
        let _ = nix::unistd::close(descriptor);
    }
}

/// The loop: until somebody ends it.
fn keep(arguments: &Arguments, config: Config) -> Result<(), Fault> {
    let (layout, sleeper, _lock) = start(&config)?;
    if let Err(fault) = layout.write_pid() {
        log::event(Level::Error, "not_noted", &[("error", &fault.sentence)]);
    }
    log_start(&config, &layout);
    let mut host = Host::new(config, layout.clone());
    host.agents.clear_staging();
    let mut schedule = Schedule::new(&host.config.wake, now().boot);
    host.begin_starts(now());
    let mut ending: Option<Duration> = None;
    loop {
        let moment = now();
        if ending.is_none() && moment.boot >= schedule.due() && host.is_idle() {
            schedule.begun(&host.config.wake, moment.boot);
            host.begin(moment);
        }
        match host.tick(moment) {
            Some(Ended::Heard { next_interval_secs }) => {
                schedule.succeeded();
                next_interval_secs.into_iter().for_each(|secs| schedule.hint(secs, moment.boot));
            }
            Some(Ended::Failed(fault)) => {
                schedule.failed(&host.config.wake, fault.retry_after_secs, moment.boot)
            }
            Some(Ended::Started) | None => {}
        }
        if host.take_news() {
            schedule.bring_forward(moment.boot);
        }
        if ending.is_some_and(|until| !host.agents.is_switching() || moment.boot >= until) {
            break;
        }
        reopen_log(&layout);
        let until =
            [host.next_wake(), ending, Some(schedule.due()).filter(|_| host.is_idle() && ending.is_none())];
        let until = until.into_iter().flatten().min().unwrap_or(moment.boot + Duration::from_secs(60));
        for request in sleeper.sleep(until, &host.pipes()) {
            match request {
                Request::End => ending = ending.or_else(|| Some(end_by(&mut host, now()))),
                Request::Reload => reload(arguments, &mut host),
            }
        }
    }
    layout.remove_pid();
    log::event(Level::Info, "ended", &[]);
    Ok(())
}

fn log_start(config: &Config, layout: &Layout) {
    for warning in &config.warnings {
        log::event(Level::Warn, "configuration", &[("warning", warning)]);
    }
    log::event(
        Level::Info,
        "started",
        &[
            ("version", &env!("CARGO_PKG_VERSION")),
            ("base", &layout.base().display()),
            ("server", &config.heartbeat.server),
            ("hostname", &config.heartbeat.hostname),
        ],
    );
}

/// An end waits only between stopping the old version and the flip.
fn end_by(host: &mut Host, moment: Moment) -> Duration {
    host.wind_down(moment);
    let waits = host.agents.is_switching();
    log::event(Level::Info, "ending", &[("waits", &waits)]);
    moment.boot + host.config.apply.control.stop_timeout + host.config.apply.control.start_timeout
}

/// A bad file is refused, and the one before stays.
fn reload(arguments: &Arguments, host: &mut Host) {
    match cli::load(arguments) {
        Ok(config) if config.base != host.config.base => {
            log::event(
                Level::Error,
                "not_reloaded",
                &[("error", &"`baseDir` cannot change while the updater runs")],
            );
        }
        Ok(config) => {
            log::set_debug(arguments.verbose || config.debug);
            host.config = config;
            log::event(Level::Info, "reloaded", &[]);
        }
        Err(faults) => log::event(Level::Error, "not_reloaded", &[("error", &faults)]),
    }
}

/// A log that grew too long was moved aside: standard error writes to the new one.
fn reopen_log(layout: &Layout) {
    if let Some(file) = layout.rotate_log() {
        let _ = nix::unistd::dup2_stderr(&file);
    }
}

/// One beat, work until every agent rests, a second beat to report, a moment for what is to be deleted. `Ok(false)`: something failed.
fn once(mut config: Config) -> Result<bool, Fault> {
    // Somebody waits for it.
    config.apply.download_spread = Duration::ZERO;
    let (layout, sleeper, _lock) = start(&config)?;
    let mut work = Work { host: Host::new(config, layout), sleeper, ending: false };
    work.host.agents.clear_staging();
    work.host.begin(now());
    let first = work.round()?;
    while !work.host.agents.all_at_rest() {
        work.step()?;
    }
    work.host.begin_last(now());
    let second = work.round()?;
    work.sweep();
    let failed = work.host.agents.report(now()).iter().any(|agent| cli::is_failure(&agent.error_code));
    Ok(first && second && !failed)
}

struct Work {
    host: Host,
    sleeper: Sleeper,
    /// A signal came.
    ending: bool,
}

impl Work {
    /// The round that was begun. `Ok(false)`: the beat failed.
    fn round(&mut self) -> Result<bool, Fault> {
        loop {
            match self.step()? {
                Some(Ended::Heard { .. }) => return Ok(true),
                Some(Ended::Failed(_)) => return Ok(false),
                Some(Ended::Started) | None => {}
            }
        }
    }

    /// What is still to be deleted after this goes at the next start.
    fn sweep(&mut self) {
        let until = now().boot + LAST_SWEEP_TIME;
        while self.host.agents.is_sweeping() && now().boot < until && self.step_until(until).is_ok() {}
    }

    fn step(&mut self) -> Result<Option<Ended>, Fault> {
        self.step_until(Duration::MAX)
    }

    fn step_until(&mut self, limit: Duration) -> Result<Option<Ended>, Fault> {
        let ended = self.host.tick(now());
        if self.ending && !self.host.agents.is_switching() {
            return Err(Fault::new(ops_wire::ErrorCode::Io, "ended by a signal"));
        }
        if ended.is_none() {
            let until = self.host.next_wake().unwrap_or(now().boot).min(limit);
            if self.sleeper.sleep(until, &self.host.pipes()).contains(&Request::End) {
                self.ending = true;
                self.host.wind_down(now());
            }
        }
        Ok(ended)
    }
}
