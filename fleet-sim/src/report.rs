//! What is said at the end, and now and then before it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde_json::{Value, json};

use crate::arrivals::{WINDOW_SECS, Windows};
use crate::fleet::Fleet;
use crate::orders::{Orders, Progress, Wanted};
use crate::tally::Tally;
use crate::words::Words;

/// Orders that are told of, the newest.
const ORDERS_TOLD_MAX: usize = 10;

/// The whole report, as JSON has it; times in milliseconds, or in seconds where the name says so.
pub fn report(hosts: u32, tally: &Tally, took: Duration, fleet: Option<&Fleet>) -> Value {
    let secs = took.as_secs_f64();
    let ms = |quantile: f64| tally.latency.quantile(quantile) as f64 / 1000.0;
    let mut report = json!({
        "hosts": hosts,
        "secs": secs,
        "beats": tally.beats,
        "rate": tally.beats as f64 / secs.max(1e-9),
        "errors": tally.errors,
        "connections": tally.connections,
        "bytesPerBeat": tally.sent_bytes as f64 / (tally.beats + tally.errors()).max(1) as f64,
        "latencyMs": {
            "p50": ms(0.5), "p90": ms(0.9), "p99": ms(0.99), "p99.9": ms(0.999),
            "max": tally.latency.max() as f64 / 1000.0,
        },
        "ownCpuSecs": own_cpu_secs(),
    });
    if let (Some(fleet), Some(fields)) = (fleet, report.as_object_mut()) {
        fields.insert("arrivals".to_owned(), arrivals(fleet));
        fields.insert("outage".to_owned(), since_outage(fleet));
        fields.insert("orders".to_owned(), orders(fleet));
        fields.insert("rollouts".to_owned(), rollouts(fleet).into());
        fields.insert("vanished".to_owned(), fleet.vanished.into());
        fields.insert("convergeSecs".to_owned(), converge_secs(hosts, fleet).into());
    }
    report
}

/// The first interval is left out: hosts that were not there before come within it at random, and settle into theirs.
fn arrivals(fleet: &Fleet) -> Value {
    let steady = fleet.arrivals.from(fleet.interval_secs() as usize);
    json!(steady.map(windows))
}

fn since_outage(fleet: &Fleet) -> Value {
    let outage = fleet.arrivals.since_outage();
    json!(outage.map(|(away_secs, since)| json!({"awaySecs": away_secs, "arrivals": windows(since)})))
}

fn windows(of: Windows) -> Value {
    json!({"windowSecs": WINDOW_SECS, "secs": of.secs, "peak": of.peak, "mean": of.mean, "ratio": of.ratio()})
}

fn orders(fleet: &Fleet) -> Value {
    let newest = fleet.book.all().iter().rev().filter(|it| it.progress.living() + it.progress.vanished > 0);
    newest.take(ORDERS_TOLD_MAX).map(|it| order(it, fleet.words())).collect()
}

/// By its number, how many hosts were told what a rollout changes, whatever they were told after that.
fn rollouts(fleet: &Fleet) -> serde_json::Map<String, Value> {
    let mut told: BTreeMap<u64, u32> = BTreeMap::new();
    for orders in fleet.book.all() {
        for rollout in orders.agents.iter().filter_map(|it| it.rollout) {
            *told.entry(rollout).or_default() += orders.progress.told;
        }
    }
    told.into_iter().map(|(rollout, told)| (rollout.to_string(), told.into())).collect()
}

fn order(orders: &Orders, words: &Words) -> Value {
    let Progress { heard_ms, settled_ms, told, under_way, as_wanted, failed, vanished } = orders.progress;
    let agents = orders.agents.iter().map(|it| {
        let name = words.text(it.name);
        match it.wanted {
            Wanted::Started(version) => format!("{name} {}", words.text(version)),
            Wanted::Stopped => format!("{name} stopped"),
            Wanted::Uninstalled => format!("{name} uninstalled"),
            Wanted::LeftAlone => format!("{name} left alone"),
        }
    });
    json!({
        "agents": agents.collect::<Vec<_>>(),
        "told": told, "underWay": under_way, "asWanted": as_wanted, "failed": failed, "vanished": vanished,
        "secs": settled_ms.saturating_sub(heard_ms) as f64 / 1000.0,
    })
}

/// From the first host that heard the newest of the orders in force until the last living one told that it rests, in
/// seconds of the hosts' time; null when some do not.
fn converge_secs(hosts: u32, fleet: &Fleet) -> Option<f64> {
    let in_force = || fleet.book.all().iter().map(|it| it.progress).filter(|it| it.living() > 0);
    let (living, under_way) =
        in_force().fold((0, 0), |(living, under_way), it| (living + it.living(), under_way + it.under_way));
    let all = living + fleet.vanished == hosts && under_way == 0;
    let heard_ms = in_force().map(|it| it.heard_ms).max()?;
    let settled_ms = in_force().map(|it| it.settled_ms).max()?;
    all.then(|| settled_ms.saturating_sub(heard_ms) as f64 / 1000.0)
}

/// Seconds that this process has had of a processor: near the time that it took, and the generator measures itself.
fn own_cpu_secs() -> f64 {
    let micros = getrusage(UsageWho::RUSAGE_SELF)
        .map(|it| it.user_time().num_microseconds() + it.system_time().num_microseconds());
    micros.unwrap_or(0) as f64 / 1e6
}

/// The same for reading.
pub fn text(report: &Value) -> String {
    let number = |path: &str| report.pointer(path).and_then(Value::as_f64).unwrap_or(0.0);
    let mut text = format!(
        "{} beats in {:.1} s, {:.0}/s, {:.0} bytes each, {} connections; own CPU {:.2} s\n",
        number("/beats"),
        number("/secs"),
        number("/rate"),
        number("/bytesPerBeat"),
        number("/connections"),
        number("/ownCpuSecs"),
    );
    text.push_str("latency in ms:");
    for name in ["p50", "p90", "p99", "p99.9", "max"] {
        let _ = write!(text, " {name} {:.2}", number(&format!("/latencyMs/{name}")));
    }
    text.push('\n');
    for (kind, count) in report["errors"].as_object().into_iter().flatten() {
        let _ = writeln!(text, "error: {kind}: {count}");
    }
    for (name, path) in [("whole time", "/arrivals"), ("since the server was away", "/outage/arrivals")] {
        if report.pointer(path).is_some_and(Value::is_object) {
            let of = |field: &str| number(&format!("{path}/{field}"));
            let (secs, peak, mean, ratio) = (of("secs"), of("peak"), of("mean"), of("ratio"));
            let _ = writeln!(
                text,
                "arrivals in 10 s, {name} ({secs} s): peak {peak}, mean {mean:.1}, ratio {ratio:.2}"
            );
        }
    }
    for order in report["orders"].as_array().into_iter().flatten() {
        let _ = writeln!(
            text,
            "ordered {}: {} as wanted, {} under way, {} failed, {} vanished; {:.1} s from the first to the last",
            order["agents"],
            order["asWanted"],
            order["underWay"],
            order["failed"],
            order["vanished"],
            order["secs"].as_f64().unwrap_or(0.0),
        );
    }
    if let Some(secs) = report["convergeSecs"].as_f64() {
        let _ = writeln!(text, "all living hosts at rest, {secs:.1} s after the first heard");
    }
    text
}

/// Counts at the last line, so that the next tells what happened since.
#[derive(Debug, Default)]
pub struct Lines {
    beats: u64,
    errors: u64,
    at: Duration,
}

impl Lines {
    pub fn line(&mut self, tally: &Tally, now: Duration) -> String {
        let secs = now.saturating_sub(self.at).as_secs_f64().max(1e-9);
        let (beats, errors) = (tally.beats - self.beats, tally.errors() - self.errors);
        *self = Self { beats: tally.beats, errors: tally.errors(), at: now };
        format!(
            "{:.0} s: {:.0} beats/s, {errors} errors; {} beats",
            now.as_secs_f64(),
            beats as f64 / secs,
            tally.beats
        )
    }
}
