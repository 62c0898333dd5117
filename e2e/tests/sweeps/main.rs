//! An upgrade is hurt at every call that changes the disk: killed there, cut from power, told that the disk is full or
//! broken. Whatever happens, the version in use is whole, and two more rounds at most finish the upgrade.
//!
//! `make test` tries a part of all points, always the same; `make test-full` (`OPS_FULL=1`) tries all of them. With
//! `OPS_POINT` only those are tried in whose description its text stands: a finding can be repeated so.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here"
)]

mod audit;
mod host;
mod strace;

use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use host::{Host, Scenario};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use strace::{Call, MUTATING, Strace, calls_of_updater, text};

/// Of all that can be tried (each kind of injury at each point) `make test` tries one in so many, about every fifth point
/// once. Prime, so that every kind of injury has its turn.
const SAMPLE: usize = 31;
/// A point that a run did not come by is tried this often: how many pieces a download comes in is nobody's choice.
const TRIES: usize = 3;
/// Rounds without an injury until the upgrade has to be done.
const ROUNDS_MAX: usize = 2;

/// One call of the upgrade: the `nth` of this name, in one process, that touches this path below BASE.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    name: String,
    path: PathBuf,
    nth: usize,
    /// It is the staging child's.
    in_child: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Injury {
    /// The process that makes the call ends before it is made.
    Kill,
    /// Everything ends after it was made.
    PowerCut,
    Once(&'static str),
    /// From this call on nothing below BASE can be changed any more, until the updater ends.
    FromThenOn(&'static str),
}

const INJURIES: [Injury; 6] = [
    Injury::Kill,
    Injury::PowerCut,
    Injury::Once("ENOSPC"),
    Injury::Once("EIO"),
    Injury::FromThenOn("ENOSPC"),
    Injury::FromThenOn("EIO"),
];

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = if self.in_child { "child" } else { "parent" };
        write!(f, "{} {} #{} of the {whose}", self.name, self.path.display(), self.nth)
    }
}

/// A good upgrade under strace: BASE, its updater's process, and the calls in order.
fn record(scenario: Scenario) -> (PathBuf, i32, Vec<Call>) {
    let host = Host::new(scenario);
    let trace = host.base.outside().join("trace");
    // A path is never cut short, whatever `-s` says.
    let mut words = words("-f -q -y -s 16 -e signal=none");
    words.extend(["-e".to_owned(), format!("trace=execve,{}", MUTATING.join(","))]);
    let strace = Strace::start(&host.base.cfg_file(), &words, &trace);
    strace.until(|| false);
    let updater = strace.updater;
    strace.go();
    host.check(true).and_then(|()| host.is_there(false)).unwrap();
    (host.base.path(), updater, calls_of_updater(&text(&trace)))
}

fn words(options: &str) -> Vec<String> {
    options.split(' ').map(str::to_owned).collect()
}

/// Every call that changes something below BASE, once.
fn points(base: &Path, updater: i32, calls: &[Call]) -> Vec<Point> {
    let mut points = Vec::new();
    for (at, call) in calls.iter().enumerate().filter(|(_, call)| call.mutates()) {
        let Some(path) = call.paths.iter().find(|it| it.starts_with(base)) else { continue };
        // Strace counts per process what its filter lets through: this name with this path.
        let before = calls[..=at].iter();
        let nth = before.filter(|it| it.pid == call.pid && it.name == call.name && it.touches(path)).count();
        let path = path.strip_prefix(base).unwrap().to_owned();
        let point = Point { name: call.name.clone(), path, nth, in_child: call.pid != updater };
        if !points.contains(&point) {
            points.push(point);
        }
    }
    points
}

/// What nobody can change any more when BASE is broken: everything that an upgrade writes or might write.
fn all_paths(points: &[Point]) -> BTreeSet<PathBuf> {
    let mut paths: BTreeSet<PathBuf> = points.iter().map(|it| it.path.clone()).collect();
    for name in [".version", ".upgrade", ".failed"] {
        paths.insert(Path::new("alpha").join(name));
        paths.insert(Path::new("alpha").join(format!("{name}.old")));
        paths.insert(Path::new("alpha").join(format!("{name}.new")));
    }
    paths
}

/// Hurts one upgrade. Tells whether it came by the point at all; an `Err` is a finding.
fn hurt(
    point: &Point,
    injury: Injury,
    scenario: Scenario,
    paths: &BTreeSet<PathBuf>,
) -> Result<bool, String> {
    let mut host = Host::new(scenario);
    let (outside, base) = (host.base.outside().to_owned(), host.base.path());
    let trace = outside.join("trace");
    let what = match injury {
        Injury::Kill => "signal=KILL".to_owned(),
        Injury::PowerCut => "signal=STOP".to_owned(),
        Injury::Once(error) => format!("error={error}"),
        Injury::FromThenOn(error) => format!("error={error}:signal=STOP"),
    };
    let mut first = words("-f -q -y");
    for word in [
        "-P",
        &base.join(&point.path).display().to_string(),
        "-e",
        &format!("trace={}", point.name),
        "-e",
        &format!("inject={}:{what}:when={}", point.name, point.nth),
    ] {
        first.push(word.to_owned());
    }
    let strace = Strace::start(&host.base.cfg_file(), &first, &trace);
    let stopped = || text(&trace).contains("--- stopped by SIGSTOP ---");
    let stops = matches!(injury, Injury::PowerCut | Injury::FromThenOn(_));
    strace.until(|| stops && stopped());
    match injury {
        Injury::PowerCut if stopped() => {
            host.power_cut(&strace.updaters());
            strace.go();
        }
        Injury::FromThenOn(error) if stopped() => {
            let updaters = strace.updaters();
            strace.go();
            host.broken = true;
            break_everything(&updaters, error, paths, &base, &outside);
        }
        _ => strace.go(),
    }
    let shows = match injury {
        Injury::Kill => "+++ killed by SIGKILL +++",
        Injury::Once(_) => "(INJECTED)",
        Injury::PowerCut | Injury::FromThenOn(_) => "--- stopped by SIGSTOP ---",
    };
    if !text(&trace).contains(shows) {
        return Ok(false);
    }
    let interrupted = injury == Injury::PowerCut || injury == Injury::Kill && !point.in_child;
    host.check(!interrupted).map_err(|why| format!("at once: {why}"))?;
    converges(&mut host, injury)?;
    Ok(true)
}

/// What was stopped goes on, and every change that it tries below BASE fails.
fn break_everything(updaters: &[i32], error: &str, paths: &BTreeSet<PathBuf>, base: &Path, outside: &Path) {
    let mut second = words("-f -q -y");
    for path in paths {
        second.extend(["-P".to_owned(), base.join(path).display().to_string()]);
    }
    // A full disk still lets go of what is on it.
    let removes = |it: &&str| it.contains("unlink") || it.contains("rmdir");
    let calls: Vec<&str> = MUTATING.iter().copied().filter(|it| error == "EIO" || !removes(it)).collect();
    let calls = calls.join(",");
    second.extend([
        "-e".to_owned(),
        format!("trace={calls}"),
        "-e".to_owned(),
        format!("inject={calls}:error={error}"),
    ]);
    let strace = Strace::attach(updaters, &second, &outside.join("broken"));
    for pid in updaters {
        match kill(Pid::from_raw(*pid), Signal::SIGCONT) {
            // A child that had ended its work before it could be stopped.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => panic!("failed to let process {pid} go on: {error}"),
        }
    }
    strace.until(|| false);
    strace.go();
}

fn converges(host: &mut Host, injury: Injury) -> Result<(), String> {
    let mut last = Ok(());
    host.broken = false;
    for round in 1..=ROUNDS_MAX {
        host.time_passes();
        host.base.once();
        if injury == Injury::PowerCut && round == 1 {
            host.beta_came_up()?;
        }
        host.check(true).map_err(|why| format!("after round {round}: {why}"))?;
        last = host.is_there(matches!(injury, Injury::Once(_) | Injury::FromThenOn(_)));
        if last.is_ok() {
            break;
        }
    }
    last.map_err(|why| format!("after {ROUNDS_MAX} rounds: {why}"))
}

/// Hurts it at all points, or at the sampled ones.
fn sweep(scenario: Scenario) {
    let begun = Instant::now();
    let (base, updater, calls) = record(scenario);
    let points = points(&base, updater, &calls);
    let paths = all_paths(&points);
    let all: Vec<(&Point, Injury)> =
        points.iter().flat_map(|it| INJURIES.map(|injury| (it, injury))).collect();
    let full = std::env::var_os("OPS_FULL").is_some_and(|it| it == "1");
    let only = std::env::var("OPS_POINT").unwrap_or_default();
    let chosen: Vec<_> = if full { all.clone() } else { all.iter().step_by(SAMPLE).copied().collect() };
    let chosen: Vec<_> =
        chosen.into_iter().filter(|(point, injury)| format!("{point}: {injury:?}").contains(&only)).collect();
    let next = AtomicUsize::new(0);
    let findings = Mutex::new(Vec::new());
    // Most of the time a run waits for others.
    let workers = 2 * std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((point, injury)) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = try_to_hurt(point, *injury, scenario, &paths) {
                        let finding = format!("{point}: {injury:?}: {why}");
                        eprintln!("{finding}");
                        findings.lock().unwrap().push(finding);
                    }
                }
            });
        }
    });
    let findings = findings.into_inner().unwrap();
    println!(
        "{scenario:?}: {} points, {} of {} injuries tried in {:.0} s, {} findings",
        points.len(),
        chosen.len(),
        all.len(),
        begun.elapsed().as_secs_f64(),
        findings.len()
    );
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

fn try_to_hurt(
    point: &Point,
    injury: Injury,
    scenario: Scenario,
    paths: &BTreeSet<PathBuf>,
) -> Result<(), String> {
    for _ in 0..TRIES {
        match catch_unwind(AssertUnwindSafe(|| hurt(point, injury, scenario, paths))) {
            Ok(Ok(true)) => return Ok(()),
            Ok(Ok(false)) => {}
            Ok(Err(why)) => return Err(why),
            Err(panic) => {
                let words = panic.downcast_ref::<String>().cloned();
                return Err(words.unwrap_or_else(|| "the test itself failed".to_owned()));
            }
        }
    }
    Err(format!("{TRIES} runs did not come by this call"))
}

#[test]
fn an_upgrade_without_a_trial_survives_injuries() {
    sweep(Scenario::Upgrade { trial_secs: 0 });
}

#[test]
fn an_upgrade_with_a_trial_survives_injuries() {
    sweep(Scenario::Upgrade { trial_secs: 1 });
}

#[test]
fn a_take_back_survives_injuries() {
    sweep(Scenario::TakeBack);
}

#[test]
fn a_first_install_survives_injuries() {
    sweep(Scenario::Install);
}
