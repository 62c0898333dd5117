//! fleet-sim simulates hosts by the hundred thousand against an ops-meta, by the real wire, and measures what they see of
//! it. It does no work that a host would do: packages are neither fetched nor unpacked.

mod agent;
mod answer;
mod args;
mod arrivals;
mod beat;
mod chance;
mod connection;
mod engine;
mod fleet;
mod histogram;
mod host;
mod identity;
mod load;
mod orders;
mod ports;
mod pressure;
mod report;
mod schedule;
mod server;
mod tally;
mod words;

use std::fmt;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::Value;

use args::{Args, Mode};
use engine::Engine;
use fleet::Fleet;
use load::Load;
use pressure::Pressure;
use report::Lines;
use server::{NoServer, Server};
use tally::Tally;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("fleet-sim: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Why nothing was measured.
enum Failure {
    Server(NoServer),
    Names(String),
    /// None was answered with 200 and understood; so many failed, and the server that was asked.
    NoAnswer(u64, String),
    Io(io::Error),
}

fn run(args: &Args) -> Result<(), Failure> {
    allow_open_files();
    let server = Server::new(&args.server, args.tls, args.trust(), args.token.as_deref());
    let server = server.map_err(Failure::Server)?;
    let (hosts, installed) = (args.hosts(), args.installed());
    let no_names = || Failure::Names(installed.version.clone());
    let report = match args.mode() {
        Mode::Hosts => {
            let fleet = Fleet::new(hosts, &installed, args.common(), args.ways(), args.time_scale());
            measure(fleet.ok_or_else(no_names)?, server, args)
        }
        Mode::Pressure(pace, beats_max) => {
            let pressure = Pressure::new(hosts, &installed, args.common(), pace, beats_max);
            measure(pressure.ok_or_else(no_names)?, server, args)
        }
    };
    let (report, answers) = report.map_err(Failure::Io)?;
    print(&report, args.json).map_err(Failure::Io)?;
    match answers {
        Answers::Some => Ok(()),
        Answers::None { errors } => Err(Failure::NoAnswer(errors, args.server.clone())),
    }
}

/// Whether there is anything to measure.
enum Answers {
    Some,
    None { errors: u64 },
}

impl Answers {
    fn of(tally: &Tally) -> Self {
        if tally.beats > 0 { Self::Some } else { Self::None { errors: tally.errors() } }
    }
}

fn measure(load: impl Load, server: Server, args: &Args) -> io::Result<(Value, Answers)> {
    let mut lines = Lines::default();
    let told = |tally: &Tally, now| eprintln!("fleet-sim: {}", lines.line(tally, now));
    let (load, tally, took) = Engine::new(load, server, args.engine())?.run(told)?;
    Ok((report::report(args.hosts(), &tally, took, load.fleet()), Answers::of(&tally)))
}

fn print(report: &Value, json: bool) -> io::Result<()> {
    let text = if json { format!("{report:#}\n") } else { report::text(report) };
    io::stdout().write_all(text.as_bytes())
}

/// Each connection is a file to the kernel. Where more are not allowed, connecting says so.
fn allow_open_files() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(why) => why.fmt(f),
            Self::Names(version) => {
                write!(f, "`{version}` is no version, or a beat cannot be printed with it")
            }
            Self::NoAnswer(errors, server) => write!(
                f,
                "failed to measure `{server}`: no beat was answered as ops-meta does ({errors} failed); is one there, and does \
                 it hear these hosts?"
            ),
            Self::Io(error) => write!(f, "failed to go on: {error}"),
        }
    }
}
