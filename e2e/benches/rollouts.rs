//! How soon a bad rollout stops and is taken back, and what rollouts cost with a million hosts.
//!
//! With `OPS_BENCH_QUICK` in the environment there are few hosts, and what is measured only shows that all of it works.
//! `OPS_BENCH_HOSTS` and `OPS_BENCH_INTERVAL_SECS` are of the fleet whose rollouts are bad, `OPS_BENCH_KNOWN_HOSTS` of the
//! one that is only known.

use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use e2e::{Sim, wait_for};
use serde_json::{Value, json};

use super::FEW_ROUNDS;
use super::sides::{Loaded, Side};
use super::table::{median, row};

const TARBALL: &str = "http://packages.example:8080/ops";
/// So many fail, or vanish.
const SICK: &str = "0.05";
const MAX_FAILED_PERCENT: u64 = 2;
/// Of fewer hosts ordered a percentage counts for nothing (`minSample`).
const SAMPLE: u64 = 10;
/// The first wave has this part of the hosts, and half of it may be under way at once.
const FIRST_WAVE_PERCENT: u64 = 1;
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// A server that was started listens first for as long as the longest interval, and for no longer than this.
const LEARNING_SECS_MAX: u64 = 300;

/// Rollouts under way at once.
const ROLLOUTS: usize = 20;
/// What the server does by itself is measured for so long, and from the end of one look to that of another.
const WATCHED: Duration = Duration::from_secs(30);
/// The slowest that a look at all hosts may follow another here.
const LOOKS_WITHIN: Duration = Duration::from_secs(1200);
/// For so long it is waited until each of the rollouts has hosts under way.
const BEGIN_WITHIN: Duration = Duration::from_secs(180);

/// How much is measured.
struct Sizes {
    hosts: u64,
    interval_secs: u64,
    known_hosts: u64,
    /// Of those that are only known and say nothing any more: they must not be late while something is measured.
    known_interval_secs: u64,
    rounds_max: usize,
}

impl Sizes {
    fn of_environment() -> Self {
        let usual = match std::env::var_os("OPS_BENCH_QUICK") {
            None => Self {
                hosts: 100_000,
                interval_secs: 60,
                known_hosts: 1_000_000,
                known_interval_secs: 1200,
                rounds_max: FEW_ROUNDS,
            },
            Some(_) => Self {
                hosts: 2_000,
                interval_secs: 4,
                known_hosts: 20_000,
                known_interval_secs: 60,
                rounds_max: 1,
            },
        };
        let number = |name: &str, usual: u64| {
            std::env::var(name)
                .map_or(usual, |it| it.parse().unwrap_or_else(|_| panic!("{name} is no number")))
        };
        Self {
            hosts: number("OPS_BENCH_HOSTS", usual.hosts),
            interval_secs: number("OPS_BENCH_INTERVAL_SECS", usual.interval_secs),
            known_hosts: number("OPS_BENCH_KNOWN_HOSTS", usual.known_hosts),
            ..usual
        }
    }

    fn first_wave(&self) -> u64 {
        self.hosts * FIRST_WAVE_PERCENT / 100
    }

    fn in_flight(&self) -> u64 {
        self.first_wave().div_ceil(2)
    }

    fn intervals(&self, ms: i64) -> f64 {
        ms as f64 / 1000.0 / self.interval_secs as f64
    }
}

/// What is wrong with a version.
struct Fault {
    /// Of fleet-sim.
    option: &'static str,
    what: &'static str,
    /// The hosts of which ops-meta knows it, as a filter, and in words.
    filter: &'static str,
    known: &'static str,
    rounds: usize,
}

const FAULTS: [Fault; 2] = [
    Fault {
        option: "--fail",
        what: "fail",
        filter: "agent=agent-1&error=trial_failed",
        known: "have said so",
        rounds: FEW_ROUNDS,
    },
    Fault {
        option: "--vanish",
        what: "vanish",
        filter: "state=late",
        known: "are late, 3 intervals after they were told",
        rounds: 1,
    },
];

/// Bad versions, with which a part of the hosts fails or vanishes: how soon they stop, and how many hosts they reach.
pub fn breach() {
    let sizes = Sizes::of_environment();
    FAULTS.iter().for_each(|fault| bad_versions(&sizes, fault));
}

/// One bad rollout, in Unix milliseconds.
struct Bad {
    id: u64,
    started: i64,
    /// When more hosts than may were known to be sick, by lists of hosts.
    breached: i64,
    stopped: i64,
    taken_back: i64,
    /// Hosts that have it then all the same.
    left: u64,
}

fn bad_versions(sizes: &Sizes, fault: &Fault) {
    let fleet = Beating::new(sizes, fault);
    let (cpu_secs, begun) = (fleet.meta.cpu_secs(), Instant::now());
    let rounds: Vec<Bad> = (1..=fault.rounds.min(sizes.rounds_max))
        .map(|n| fleet.bad_version(sizes, fault, &format!("1.0.{n}")))
        .collect();
    let share = (fleet.meta.cpu_secs() - cpu_secs) / begun.elapsed().as_secs_f64();
    let report = Loaded { server_cpu_secs: 0.0, report: fleet.sim.interrupt() };
    let intervals = |of: fn(&Bad) -> i64| median(rounds.iter().map(|it| sizes.intervals(of(it))));
    let (of, what) = (sizes.hosts, fault.what);
    let row_of = |figure: &str, intervals: f64, most: Option<f64>| {
        let target = most.map_or(String::new(), |most| format!("<= {most}"));
        row(figure, &format!("{intervals:.2} int."), "", "", &target, most.map(|most| intervals <= most));
    };
    let stopped = intervals(|it| it.stopped - it.breached);
    row_of(&format!("5 % of {of} {what}: from breach to stop"), stopped, Some(2.0));
    row_of("    from its start to its stop", intervals(|it| it.stopped - it.started), None);
    let told = |it: &Bad| report.number(&format!("/rollouts/{}", it.id));
    let told = rounds.iter().map(told).fold(0.0, f64::max);
    let most = (sizes.first_wave() + sizes.in_flight()) as f64;
    row(
        "    hosts told, at most (1 % + in flight)",
        &format!("{told:.0}"),
        &format!("{most:.0}"),
        &format!("{:.2}", told / most),
        "<= 1",
        Some(told <= most),
    );
    row_of(
        "    from its stop until all is taken back",
        intervals(|it| it.taken_back - it.stopped),
        Some(3.0),
    );
    let left: u64 = rounds.iter().map(|it| it.left).sum();
    println!(
        "    median of {}, intervals of {} s; a breach: more than {MAX_FAILED_PERCENT} % of those ordered {}; {left} hosts had it after \
         the end; p99 of beats {:.1} ms, the server had {share:.2} of a core",
        rounds.len(),
        sizes.interval_secs,
        fault.known,
        report.number("/latencyMs/p99"),
    );
}

/// Hosts that beat, all at 1.0.0 by a policy.
struct Beating {
    meta: Side,
    sim: Sim,
}

impl Beating {
    fn new(sizes: &Sizes, fault: &Fault) -> Self {
        let meta = Side::ours_with(0, None);
        let begun = Instant::now();
        decide(&meta, &json!({"policies": [policy("agent-1", None)]}));
        let (hosts, interval) = (sizes.hosts.to_string(), sizes.interval_secs.to_string());
        let sim =
            meta.load(&["--hosts", &hosts, "--interval", &interval, "--agents", "1", fault.option, SICK]);
        let fleet = Self { meta, sim };
        wait_for("all hosts are there", Duration::from_secs(3 * sizes.interval_secs + 60), || {
            sleep(LOOK_PAUSE);
            fleet.count("agent=agent-1&version=1.0.0&state=new,alive") == sizes.hosts
        });
        learned(&fleet.meta, begun, sizes.interval_secs);
        fleet
    }

    fn bad_version(&self, sizes: &Sizes, fault: &Fault, version: &str) -> Bad {
        let sick_before = self.count(fault.filter);
        let most = json!(format!("{MAX_FAILED_PERCENT}%"));
        let wave = |percent: u64| json!({"percent": percent, "maxFailed": most, "minSample": SAMPLE, "maxInFlight": sizes.in_flight()});
        let plan = json!({"agent": "agent-1", "version": version, "onBreach": "rollback",
                          "waves": [wave(FIRST_WAVE_PERCENT), wave(10), wave(100)]});
        let (said, _) = self.meta.called("POST", "/api/v1/rollouts?confirm=true", &plan.to_string());
        let id = said["id"].as_u64().unwrap();
        let mut breached = None;
        let within = Duration::from_secs(20 * sizes.interval_secs + 120);
        wait_for("it stops", within, || {
            sleep(LOOK_PAUSE);
            let sick = self.count(fault.filter).saturating_sub(sick_before);
            let rollout = self.rollout(id);
            let ordered = ordered(&rollout);
            if ordered >= SAMPLE && sick * 100 > ordered * MAX_FAILED_PERCENT {
                breached.get_or_insert_with(now_ms);
            }
            rollout["breach"].is_object()
        });
        wait_for("it is taken back", within, || {
            sleep(LOOK_PAUSE);
            self.rollout(id)["state"] == "rolled_back"
        });
        let left = self.count(&format!("agent=agent-1&version={version}"));
        let at = |kind: &str| self.at(id, kind);
        let (started, stopped, taken_back) =
            (at("rollout.started"), at("rollout.breached"), at("rollout.taken_back"));
        // Where ops-meta was before the list, it was at once.
        let breached = breached.unwrap_or(stopped).min(stopped);
        Bad { id, started, breached, stopped, taken_back, left }
    }

    fn rollout(&self, id: u64) -> Value {
        shown(&self.meta, id)
    }

    /// Hosts that these filters admit.
    fn count(&self, filters: &str) -> u64 {
        let path = format!("/api/v1/hosts?limit=1&total=true&{filters}");
        self.meta.called("GET", &path, "").0["total"].as_u64().unwrap()
    }

    /// When that happened to it, in Unix milliseconds.
    fn at(&self, id: u64, kind: &str) -> i64 {
        let path = format!("/api/v1/events?limit=1&kind={kind}&object=rollout+{id}");
        let (found, _) = self.meta.called("GET", &path, "");
        found["events"][0]["at"].as_i64().unwrap_or_else(|| panic!("no {kind} of rollout {id}: {found}"))
    }
}

/// As ops-meta counts them for its stop rule.
fn ordered(rollout: &Value) -> u64 {
    let classes =
        ["ordered", "moving", "trial", "done", "failed", "rolled_back", "timed_out", "vanished"].iter();
    let of_wave = |wave: &Value| classes.clone().filter_map(|class| wave["of"][class].as_u64()).sum::<u64>();
    rollout["each"].as_array().unwrap().iter().map(of_wave).sum()
}

fn shown(meta: &Side, id: u64) -> Value {
    meta.called("GET", &format!("/api/v1/rollouts/{id}"), "").0
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// Before that no rollout goes on.
fn learned(meta: &Side, begun: Instant, interval_secs: u64) {
    // A second more for each rounding.
    let until = begun + Duration::from_secs(interval_secs.min(LEARNING_SECS_MAX) + 2);
    sleep(until.saturating_duration_since(Instant::now()));
    assert_eq!(meta.get("/readyz"), Some(200));
}

fn policy(agent: &str, group: Option<&str>) -> Value {
    let policy = json!({"agent": agent, "version": "1.0.0", "cmd": "start", "tarball": TARBALL});
    match group {
        None => policy,
        Some(group) => json!({"agent": agent, "group": group, "version": "1.0.0"}),
    }
}

fn decide(meta: &Side, fleet: &Value) {
    meta.called("PUT", "/api/v1/fleet?confirm=true", &fleet.to_string());
}

/// What a rollout is of.
struct Of {
    agent: String,
    group: Option<String>,
}

impl Of {
    /// Everybody's agents, each of its own.
    fn agents() -> Vec<Self> {
        (1..=ROLLOUTS).map(|n| Self { agent: format!("agent-{n}"), group: None }).collect()
    }

    /// One agent for groups that have a twentieth of the hosts each.
    fn groups() -> Vec<Self> {
        let group = |n: usize| Self { agent: "agent-1".to_owned(), group: Some(format!("group-{n}")) };
        (0..ROLLOUTS).map(group).collect()
    }

    fn plan(&self, version: &str, hosts: u64) -> String {
        let in_flight = (hosts / 100).max(1);
        let wave = |percent: u64| json!({"percent": percent, "maxInFlight": in_flight});
        let mut plan = json!({"agent": self.agent, "version": version, "waves": [wave(1), wave(100)]});
        if let Some(group) = &self.group {
            plan["group"] = json!(group);
        }
        plan.to_string()
    }
}

/// What twenty rollouts cost where a million hosts are known: of twenty agents of every host, and of twenty groups.
pub fn million() {
    let sizes = Sizes::of_environment();
    twenty(&sizes, "groups", 1, &Of::groups());
    twenty(&sizes, "agents", ROLLOUTS, &Of::agents());
}

fn twenty(sizes: &Sizes, what: &str, agents: usize, of: &[Of]) {
    let meta = Side::ours_with(0, None);
    let begun = Instant::now();
    decide(&meta, &standing(agents, of));
    let (hosts, agents, interval) =
        (sizes.known_hosts.to_string(), agents.to_string(), sizes.known_interval_secs.to_string());
    let beats = ["--hosts", &hosts, "--saturate", "--beats", &hosts, "--agents", &agents];
    meta.loaded(&[&beats[..], &["--interval", &interval]].concat());
    meta.wait_until_written();
    let dry =
        (0..FEW_ROUNDS).map(|_| posted(&meta, "dryRun=true", &of[0].plan("1.0.1", sizes.known_hosts)).secs);
    let dry = median(dry.collect::<Vec<_>>().into_iter());
    let (idle, _) = watched(&meta, None);
    let posts: Vec<Posted> =
        of.iter().map(|it| posted(&meta, "confirm=true", &it.plan("1.0.1", sizes.known_hosts))).collect();
    let post = median(posts.iter().map(|it| it.secs));
    row(
        &format!("POST a rollout of {what}, {hosts} hosts (dry)"),
        &ms(post),
        &ms(dry),
        &format!("{:.2}", post / dry),
        "<= 50 ms",
        Some(post <= 0.05),
    );
    println!(
        "    median of {}, the first {}, the last {}, the slowest {}; {} were told to come later, and did",
        posts.len(),
        ms(posts[0].secs),
        ms(posts[posts.len() - 1].secs),
        ms(posts.iter().map(|it| it.secs).fold(0.0, f64::max)),
        posts.iter().filter(|it| it.refusals > 0).count()
    );
    let ids: Vec<u64> = posts.iter().filter_map(|it| it.id).collect();
    learned(&meta, begun, sizes.known_interval_secs);
    let under_way = under_way(&meta, &ids);
    let (busy, between) = watched(&meta, Some(ids[0]));
    let caused = busy - idle;
    row(
        &format!("CPU a second by {ROLLOUTS} rollouts, of {what} (none)"),
        &ms(caused),
        &ms(idle),
        "",
        "<= 50 ms",
        Some(caused <= 0.05),
    );
    let look = between.map_or_else(String::new, |secs| format!("{secs:.1} s"));
    row("    between two looks at all hosts", &look, "", "", "", None);
    println!("    {under_way} of them had hosts under way by then");
}

/// A rollout that was begun, or would be.
struct Posted {
    id: Option<u64>,
    /// Until it was done, whatever was answered before.
    secs: f64,
    refusals: u32,
}

/// Until it is done: while hosts are looked at for long, it is refused for lack of a turn.
fn posted(meta: &Side, query: &str, plan: &str) -> Posted {
    let path = format!("/api/v1/rollouts?{query}");
    let (begun, mut refusals) = (Instant::now(), 0);
    loop {
        match meta.answered("POST", &path, plan) {
            Ok(said) => {
                let secs = begun.elapsed().as_secs_f64();
                let tried = said["tried"]["changed"]["changed"].as_u64();
                assert!(said["id"].is_u64() || tried > Some(0), "{said:.300}");
                return Posted { id: said["id"].as_u64(), secs, refusals };
            }
            Err(reply) => assert!(reply.starts_with("HTTP/1.0 503"), "{reply:.500}"),
        }
        refusals += 1;
    }
}

/// How many rollouts have hosts that are to be moved, once all have, or nobody can wait any longer.
fn under_way(meta: &Side, ids: &[u64]) -> usize {
    let begun = Instant::now();
    loop {
        let count = ids.iter().filter(|id| ordered(&shown(meta, **id)) > 0).count();
        if count == ids.len() || begun.elapsed() > BEGIN_WITHIN {
            return count;
        }
        sleep(LOOK_PAUSE);
    }
}

/// Policies that the rollouts are of.
fn standing(agents: usize, of: &[Of]) -> Value {
    let mut policies: Vec<Value> = (1..=agents).map(|n| policy(&format!("agent-{n}"), None)).collect();
    let mut groups = serde_json::Map::new();
    for (n, of) in of.iter().enumerate() {
        let Some(group) = &of.group else { continue };
        policies.push(policy(&of.agent, Some(group)));
        let endings: Vec<String> = (n..100).step_by(ROLLOUTS).map(|it| format!("{it:02}")).collect();
        let select = format!("hostname~\"({})$\"", endings.join("|"));
        groups.insert(group.clone(), json!({"select": select}));
    }
    json!({"groups": groups, "policies": policies})
}

/// CPU of the server in one second, while nobody asks it anything but this: from the end of one look at all hosts to that
/// of another, where there are any; and the seconds between two looks.
fn watched(meta: &Side, rollout: Option<u64>) -> (f64, Option<f64>) {
    let counted = || {
        sleep(LOOK_PAUSE);
        let path =
            rollout.map_or("/api/v1/rollouts?limit=1".to_owned(), |id| format!("/api/v1/rollouts/{id}"));
        meta.called("GET", &path, "").0["counted"].as_i64()
    };
    let next_after = |last: Option<i64>| {
        let end = Instant::now() + LOOKS_WITHIN;
        loop {
            let now = counted();
            if now != last || rollout.is_none() {
                return now;
            }
            assert!(Instant::now() < end, "no look at all hosts within {LOOKS_WITHIN:?}");
        }
    };
    let first = next_after(counted());
    let (mut last, mut looks) = (first, 0_u32);
    let (begun, cpu_secs) = (Instant::now(), meta.cpu_secs());
    while begun.elapsed() < WATCHED {
        last = next_after(last);
        looks += 1;
    }
    let cpu = (meta.cpu_secs() - cpu_secs) / begun.elapsed().as_secs_f64();
    let between = first.zip(last).map(|(first, last)| (last - first) as f64 / 1000.0 / f64::from(looks));
    (cpu, between)
}

fn ms(secs: f64) -> String {
    format!("{:.1} ms", secs * 1e3)
}
