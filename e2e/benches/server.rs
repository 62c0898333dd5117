//! `make bench`: measures ops-meta as it is under the load of fleet-sim, in turns with nginx that answers a constant to the
//! same load. Words after `--` choose: keep, new, tls, p99, million, herd, upload, download, rules, simulate,
//! rollouts-breach, rollouts-million; `rollouts` both of these. It needs two cores.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a measurement that cannot go on ends here, and it starts programs as it needs"
)]

mod packages;
mod rollouts;
mod rules;
mod sides;
mod table;

use std::time::{Duration, Instant};

use e2e::{Authority, resident_bytes, wait_for};

use sides::{Loaded, Side};
use table::{Sides, median, row};

/// Rounds of a comparison; the sides take turns in each.
const ROUNDS: usize = 5;
const FEW_ROUNDS: usize = 3;
const SECS: &str = "4";
/// Many source addresses: at these rates the ports of one do not suffice.
const NEW: &[&str] = &["--new-connections", "--sources", "16"];
const HOSTS: &str = "100000";
const MILLION: &str = "1000000";
/// A million hosts, each once in five minutes.
const FLEET_RATE: &str = "3333";
/// What is written behind is written within a second.
const WRITTEN: Duration = Duration::from_secs(3);
const WRITTEN_SECS: &str = "ops_meta_flush_seconds_total";
/// Of the herd: an hour of the hosts is two minutes here. Faster, and a busy machine would not keep up.
const TIME_SCALE: u32 = 30;
const INTERVAL_SECS: u32 = 300;
/// A beat counts for when it was due; one that is answered later than this, in seconds of the hosts, may move the next.
const LATE_SECS_MAX: f64 = INTERVAL_SECS as f64 / 2.0;

fn main() {
    let names = [
        "keep",
        "new",
        "tls",
        "p99",
        "million",
        "herd",
        "upload",
        "download",
        "rules",
        "simulate",
        "rollouts-breach",
        "rollouts-million",
    ];
    let Some(chosen) = table::begin(&names) else { return };
    for name in chosen {
        match name {
            "keep" => compare("CPU of a beat (nginx)", 1.6, None, &[]),
            "new" => compare("the same, a connection for each (nginx)", 1.4, None, NEW),
            "tls" => {
                let authority = Authority::new();
                let args = [NEW, &["--tls"]].concat();
                compare("the same, a TLS handshake for each (nginx)", 1.2, Some(&authority), &args);
            }
            "p99" => p99(),
            "million" => million(),
            "herd" => herd(),
            "upload" => packages::upload(),
            "download" => packages::download(),
            "rules" => rules::rules(),
            "simulate" => rules::simulate(),
            "rollouts-breach" => rollouts::breach(),
            _ => rollouts::million(),
        }
    }
}

/// CPU of the server for each beat, 100,000 hosts of 3 agents, 64 connections.
fn compare(figure: &str, most: f64, tls: Option<&Authority>, args: &[&str]) {
    let (ours, theirs) = (Side::ours(tls), Side::nginx(tls));
    let tls_arg: &[&str] = if tls.is_some() { &["--tls"] } else { &[] };
    ours.loaded(&[&["--hosts", HOSTS, "--saturate", "--beats", HOSTS], tls_arg].concat());
    ours.wait_until_written();
    let args = [&["--hosts", HOSTS, "--saturate", "--duration", SECS], args].concat();
    let (mut sides, mut runs) = (Sides::default(), Vec::new());
    for _ in 0..ROUNDS {
        let (nginx, meta) = (theirs.loaded(&args), ours.loaded(&args));
        sides.theirs.push(nginx.cpu_of_a_beat());
        sides.ours.push(meta.cpu_of_a_beat());
        runs.push((meta, nginx));
    }
    sides.row(figure, "us", most);
    println!("    of ops-meta: {}", how(runs.iter().map(|it| &it.0)));
    println!("    of nginx:    {}", how(runs.iter().map(|it| &it.1)));
}

/// Who was the bottleneck.
fn how<'a>(runs: impl Iterator<Item = &'a Loaded> + Clone) -> String {
    let of = |number: fn(&Loaded) -> f64| median(runs.clone().map(number));
    format!(
        "{:.0} beats/s; the server had {:.2} of a core, the load {:.2}",
        of(|it| it.number("/rate")),
        of(|it| it.shares().0),
        of(|it| it.shares().1)
    )
}

/// At half the rate that saturates ops-meta, for both.
fn p99() {
    let (ours, theirs) = (Side::ours(None), Side::nginx(None));
    let saturate = ["--hosts", HOSTS, "--saturate", "--duration", SECS];
    ours.loaded(&saturate);
    ours.wait_until_written();
    let rate = median((0..FEW_ROUNDS).map(|_| ours.loaded(&saturate).number("/rate"))) / 2.0;
    let rate = format!("{rate:.0}");
    let args = ["--hosts", HOSTS, "--rate", &rate, "--duration", SECS];
    let mut sides = Sides::default();
    for _ in 0..ROUNDS {
        sides.theirs.push(theirs.loaded(&args).number("/latencyMs/p99"));
        sides.ours.push(ours.loaded(&args).number("/latencyMs/p99"));
    }
    let (ours, theirs) = (median(sides.ours.into_iter()), median(sides.theirs.into_iter()));
    let figure = format!("p99 at half the most, {rate} beats/s (nginx)");
    let ratio = format!("{:.2}", ours / theirs);
    row(&figure, &ms(ours), &ms(theirs), &ratio, "<= 3 ms", Some(ours <= 3.0));
}

fn ms(ms: f64) -> String {
    format!("{ms:.2} ms")
}

/// A million hosts of 3 agents: the memory for them, the load of their beats, and a start with them.
fn million() {
    let (mut ours, theirs) = (Side::ours(None), Side::nginx(None));
    ours.loaded(&["--hosts", MILLION, "--saturate", "--beats", MILLION]);
    ours.wait_until_written();
    let megabytes = resident_bytes(ours.pid()) as f64 / 1e6;
    let measured = format!("{megabytes:.0} MB");
    row("RSS with 1,000,000 hosts of 3 agents", &measured, "", "", "<= 350 MB", Some(megabytes <= 350.0));
    their_beats(&ours, &theirs);
    lists(&ours);
    ready(&mut ours);
}

fn their_beats(ours: &Side, theirs: &Side) {
    let args = [&["--hosts", MILLION, "--rate", FLEET_RATE, "--duration", "10"], NEW].concat();
    let (mut sides, mut writing) = (Sides::default(), Vec::new());
    for _ in 0..FEW_ROUNDS {
        sides.theirs.push(theirs.loaded(&args).shares().0 * 100.0);
        let written = ours.gauge(WRITTEN_SECS);
        let loaded = ours.loaded(&args);
        sides.ours.push(loaded.shares().0 * 100.0);
        writing.push((ours.gauge(WRITTEN_SECS) - written) / loaded.number("/secs") * 100.0);
    }
    let (ours, theirs) = (median(sides.ours.into_iter()), median(sides.theirs.into_iter()));
    let ratio = format!("{:.2}", ours / theirs);
    let percent = |it: f64| format!("{it:.1} %");
    row(
        "a core's share for their 3,333 beats/s (nginx)",
        &percent(ours),
        &percent(theirs),
        &ratio,
        "<= 10 %",
        Some(ours <= 10.0),
    );
    let writing = median(writing.into_iter());
    let met = Some(writing <= 10.0);
    row("    of the time, how much it was writing meanwhile", &percent(writing), "", "", "<= 10 %", met);
}

/// What operators ask for while a million hosts beat, and what it does to the beats.
fn lists(ours: &Side) {
    let args = [&["--hosts", MILLION, "--rate", FLEET_RATE, "--duration", "10"], NEW].concat();
    let load = ours.load(&args);
    std::thread::sleep(Duration::from_secs(1));
    let slowest = |queries: &[&str]| {
        let secs = |query: &&str| ours.called_secs(&format!("/api/v1/hosts?limit=100&{query}"));
        queries.iter().map(secs).fold(0.0, f64::max)
    };
    let listed = slowest(&["", "sort=-hostname", "sort=-lastSeen", "sort=state", "sort=-current"]);
    let filtered =
        slowest(&["hostname=*7*", "match=1%2B2", "current=failed", "status=stoped", "label=no=no"]);
    let counted = slowest(&["total=true", "total=true&version=1.2.3", "total=true&state=late,gone"]);
    let p99 = Loaded { server_cpu_secs: 0.0, report: load.report() }.number("/latencyMs/p99");
    for (figure, secs) in [("list", listed), ("filter", filtered), ("count", counted)] {
        let figure = format!("{figure} 1,000,000 hosts while they beat, slowest");
        row(&figure, &format!("{secs:.2} s"), "", "", "<= 0.5 s", Some(secs <= 0.5));
    }
    row("    p99 of the beats meanwhile", &ms(p99), "", "", "<= 20 ms", Some(p99 <= 20.0));
}

/// From a start, after a kill, until it says that it is ready.
fn ready(ours: &mut Side) {
    let figure = "ready after a kill, with 1,000,000 hosts";
    std::thread::sleep(WRITTEN);
    let mut secs = Vec::new();
    for _ in 0..FEW_ROUNDS {
        ours.kill();
        let begun = Instant::now();
        ours.begin_with_all_cores();
        let mut status = None;
        wait_for("it is ready", Duration::from_secs(120), || {
            status = ours.get("/readyz");
            // No such URL, or not yet.
            status.is_some_and(|it| it == 200 || it == 404)
        });
        if status == Some(404) {
            return row(figure, "not there", "", "", "<= 3 s", None);
        }
        secs.push(begun.elapsed().as_secs_f64());
    }
    let secs = median(secs.into_iter());
    row(figure, &format!("{secs:.2} s"), "", "", "<= 3 s", Some(secs <= 3.0));
}

/// How evenly 100,000 hosts come after the server was away. Its restart takes as long as it takes, which is half a minute
/// for every second here.
fn herd() {
    after("peak/mean in 10 s after a restart", 0, 3 * INTERVAL_SECS);
    // The back-off of the last hosts ends an hour after.
    after("peak/mean in 10 s after an hour's outage", 3600, 3600 + INTERVAL_SECS);
}

fn after(figure: &str, away_secs: u32, watched_secs: u32) {
    let mut ours = Side::ours(None);
    let (interval, scale) = (INTERVAL_SECS.to_string(), TIME_SCALE.to_string());
    // All have come within the first interval.
    let begin_secs = INTERVAL_SECS + INTERVAL_SECS / 5;
    let begun = Instant::now();
    let load = ours.load(&["--hosts", HOSTS, "--interval", &interval, "--time-scale", &scale]);
    let until =
        |secs: u32| std::thread::sleep((begun + real(secs)).saturating_duration_since(Instant::now()));
    until(begin_secs);
    ours.kill();
    until(begin_secs + away_secs);
    ours.begin();
    until(begin_secs + away_secs + watched_secs);
    let report = Loaded { server_cpu_secs: 0.0, report: load.interrupt() };
    let (ratio, late_secs) = (
        report.number("/outage/arrivals/ratio"),
        report.number("/latencyMs/p99") / 1000.0 * f64::from(TIME_SCALE),
    );
    let met = (late_secs <= LATE_SECS_MAX).then_some(ratio <= 1.5);
    row(figure, &format!("{ratio:.2}"), "", "", "<= 1.5", met);
    println!(
        "    away for {} s of theirs; then {} in the busiest 10 s, {:.0} on average, {:.0} if all come in turn; p99 {late_secs:.1} s{}",
        report.number("/outage/awaySecs"),
        report.number("/outage/arrivals/peak"),
        report.number("/outage/arrivals/mean"),
        HOSTS.parse::<f64>().unwrap() * 10.0 / f64::from(INTERVAL_SECS),
        if met.is_none() { ": this machine was too busy to tell" } else { "" },
    );
}

fn real(secs: u32) -> Duration {
    Duration::from_secs(secs.into()) / TIME_SCALE
}
