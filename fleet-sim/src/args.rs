//! The command line.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::beat::Common;
use crate::chance::Fates;
use crate::engine::{self, Keep};
use crate::fleet::Installed;
use crate::host::Ways;
use crate::identity::HOSTS_MAX;
use crate::pressure::Pace;
use crate::server::Trust;

/// Simulates hosts by the hundred thousand against an ops-meta, and measures what they see of it.
#[derive(Parser)]
#[command(name = "fleet-sim", version)]
pub struct Args {
    /// [http://|https://]HOST[:PORT][/PATH]
    #[arg(long, value_name = "URL")]
    pub server: String,
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(HOSTS_MAX)))]
    hosts: u32,
    /// Agents that a host has before it hears anything: agent-1, agent-2 ...
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = clap::value_parser!(u16).range(0..=200))]
    agents: u16,
    /// Their version
    #[arg(long, value_name = "VERSION", default_value = "1.0.0")]
    installed: String,
    /// Between two beats of a host, in its own time
    #[arg(long, value_name = "SECS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    interval: u32,
    /// Hosts are called this and seven digits
    #[arg(long, value_name = "TEXT", default_value = "host-")]
    prefix: String,
    /// What every host says of itself; may be given several times
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label, default_values = ["idc=sim", "tier=web"])]
    labels: Vec<(String, String)>,

    /// A connection for each beat, as the updater does
    #[arg(long)]
    new_connections: bool,
    /// Connections at once
    #[arg(long, value_name = "C", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=20_000))]
    connections: u16,
    /// Connect from this many addresses, 127.0.0.2 and up, where the ports of one do not suffice
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=250))]
    sources: u8,
    /// Speak TLS 1.3, whatever the URL says
    #[arg(long)]
    pub tls: bool,
    /// Authorities in PEM; without it any certificate is taken unseen
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Sent as Authorization: Bearer
    #[arg(long, value_name = "T")]
    pub token: Option<String>,
    /// Seconds that a beat may take
    #[arg(long, value_name = "SECS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3600))]
    timeout: u32,

    /// Decides who fails, who vanishes, and when hosts beat
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Part of the hosts that take a new version back, 0 to 1
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = part)]
    fail: f64,
    /// Part of the hosts that fall silent for ever when told to upgrade, 0 to 1
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = part)]
    vanish: f64,
    /// How long a new version is on trial, unless the order says so
    #[arg(long, value_name = "SECS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=86_400))]
    trial_secs: u32,
    /// Seconds of the hosts' time in a real second
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = scale)]
    time_scale: f64,

    /// No schedules: each connection sends the next beat as soon as the last is answered
    #[arg(long, conflicts_with = "rate")]
    saturate: bool,
    /// No schedules: so many beats a second, whatever the server does
    #[arg(long, value_name = "R", value_parser = rate)]
    rate: Option<f64>,
    /// End after so many beats; with --saturate or --rate
    #[arg(long, value_name = "N")]
    beats: Option<u64>,
    /// End after so many real seconds; else Ctrl-C does
    #[arg(long, value_name = "SECS", value_parser = seconds)]
    duration: Option<Duration>,

    /// The report as JSON
    #[arg(long)]
    pub json: bool,
    /// Real seconds between two lines on the standard error; 0: none
    #[arg(long, value_name = "SECS", default_value_t = 10)]
    every: u32,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("a label is written KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn number(text: &str, most: f64) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    let fits = (0.0..=most).contains(&number);
    fits.then_some(number).ok_or_else(|| format!("it has to be from 0 to {most}"))
}

fn part(text: &str) -> Result<f64, String> {
    number(text, 1.0)
}

fn above_zero(text: &str, most: f64) -> Result<f64, String> {
    let number = number(text, most)?;
    (number > 0.0).then_some(number).ok_or_else(|| "it has to be above 0".to_owned())
}

fn scale(text: &str) -> Result<f64, String> {
    above_zero(text, 10_000.0)
}

fn rate(text: &str) -> Result<f64, String> {
    above_zero(text, 10_000_000.0)
}

fn seconds(text: &str) -> Result<Duration, String> {
    above_zero(text, 31_536_000.0).map(Duration::from_secs_f64)
}

/// What is sent.
pub enum Mode {
    /// Each host by its schedule.
    Hosts,
    Pressure(Pace, Option<u64>),
}

impl Args {
    pub fn hosts(&self) -> u32 {
        self.hosts
    }

    pub fn mode(&self) -> Mode {
        match self.rate {
            Some(rate) => Mode::Pressure(Pace::Rate(rate), self.beats),
            None if self.saturate => Mode::Pressure(Pace::Saturating, self.beats),
            None => Mode::Hosts,
        }
    }

    pub fn time_scale(&self) -> f64 {
        self.time_scale
    }

    pub fn trust(&self) -> Trust<'_> {
        self.ca.as_deref().map_or(Trust::Anybody, Trust::Authorities)
    }

    pub fn installed(&self) -> Installed {
        Installed { agents: self.agents, version: self.installed.clone() }
    }

    pub fn common(&self) -> Common {
        let labels: BTreeMap<String, String> = self.labels.iter().cloned().collect();
        Common { hostname_prefix: self.prefix.clone(), labels, interval_secs: self.interval }
    }

    pub fn ways(&self) -> Ways {
        Ways {
            fates: Fates { seed: self.seed, fail: self.fail, vanish: self.vanish },
            interval_ms: u64::from(self.interval) * 1000,
            trial_secs: self.trial_secs,
        }
    }

    pub fn engine(&self) -> engine::Settings {
        let every = if self.every == 0 { u64::from(u32::MAX) } else { self.every.into() };
        engine::Settings {
            connections: self.connections.into(),
            keep: if self.new_connections { Keep::Closed } else { Keep::Kept },
            timeout: Duration::from_secs(self.timeout.into()),
            duration: self.duration,
            sources: self.sources,
            every: Duration::from_secs(every),
        }
    }
}
