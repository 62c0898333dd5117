//! What it costs to know which policies a host has: `cargo bench -p ops-meta --bench decide`.
//!
//! A program has no crate to link; what decides needs none of its other rooms, so they are read again here.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a measurement fails by panicking")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use domain::precedence::{Group, Order, Policy, Rules, Scope};
use domain::selector::{HostFacts, Lists, Selector};
use table::{Sides, median, row};

#[allow(dead_code, unused_imports, reason = "the program uses more of it")]
#[path = "../src/domain/mod.rs"]
mod domain;
#[allow(dead_code, reason = "e2e's figures use more of it")]
#[path = "../../e2e/benches/table.rs"]
mod table;

const GROUPS: usize = 1000;
const POLICIES_OF_GROUP: usize = 5;
const AGENTS: usize = 40;
const HOSTS: usize = 100_000;
/// With so many hosts every selector is asked, which is what the index spares.
const HOSTS_LOOKED_AT: usize = 2000;
const SHORT_LIST_WORDS: usize = 100;
const LONG_LIST_WORDS: usize = 100_000;
const ROUNDS: usize = 5;

/// Selectors of one kind: the text of the n-th.
type Kind = (&'static str, fn(usize) -> String);

const KINDS: [Kind; 6] = [
    ("labels", labels),
    ("prefixes", prefixes),
    ("mostly-labels", mostly_labels),
    ("networks", |n| format!("ip in 10.{}.{}.0/24", n / 250, n % 250)),
    ("short-lists", |n| format!("hostname in @short{n}")),
    ("long-lists", |n| if n % 10 == 0 { "hostname in @long".to_owned() } else { labels(n) }),
];

fn labels(n: usize) -> String {
    let env = ["prod", "test", "stage"][n % 3];
    match n % 10 {
        0..7 => format!("env={env} and role=role{}", n / 3),
        7 | 8 => format!("rack in (rack{n}, rack{})", n + 1),
        _ => format!("os=linux and dc=dc{} and (team=team{} or has(pinned))", n % 20, n % 50),
    }
}

fn prefixes(n: usize) -> String {
    match n % 10 {
        0..7 => format!("hostname=dc{}-app{}-*", n % 20, n / 20),
        7 | 8 => format!("hostname~\"^dc({}|{})-app{}-web[0-9]+\"", n % 20, (n + 1) % 20, n / 20),
        _ => format!("hostname=dc{}-app{}*", n % 20, n / 20),
    }
}

/// Of a tenth nothing is known that a host needs.
fn mostly_labels(n: usize) -> String {
    match n % 40 {
        0 => format!("hostname=*-web{n}"),
        10 => format!("env!=prod and team!=team{}", n % 50),
        20 => format!("hostname~\"web{n}$\""),
        30 => format!("not (role=role{} or dc=dc{})", n % 300, n % 20),
        _ => labels(n),
    }
}

struct Host {
    hostname: String,
    ip: IpAddr,
    labels: BTreeMap<String, String>,
}

impl Host {
    fn new(n: usize) -> Self {
        let label = |key: &str, value: String| (key.to_owned(), value);
        let labels = [
            label("env", ["prod", "test", "stage"][n % 3].to_owned()),
            label("role", format!("role{}", n % 333)),
            label("rack", format!("rack{}", n % 1000)),
            label("dc", format!("dc{}", n % 20)),
            label("team", format!("team{}", n % 47)),
            label("serial", format!("{n:08x}")),
            label("model", "R640".to_owned()),
            label("kernel", "6.1.0-28-amd64".to_owned()),
        ];
        let ip = Ipv4Addr::from_bits(0x0a00_0000 | u32::try_from(n).unwrap()).into();
        Self { hostname: hostname(n), ip, labels: labels.into() }
    }

    fn facts(&self) -> HostFacts<'_> {
        let Self { hostname, ip, labels } = self;
        HostFacts { hostname, os: "linux", arch: "x86_64", ip: Some(*ip), labels }
    }
}

fn hostname(n: usize) -> String {
    format!("dc{}-app{}-web{}", n % 20, n / 20 % 50, n / 1000)
}

fn lists() -> Lists {
    let words = |numbers: std::ops::Range<usize>| Arc::new(numbers.map(|n| hostname(n).into()).collect());
    let short = (0..GROUPS).map(|n| {
        let from = n * SHORT_LIST_WORDS;
        (format!("short{n}").into(), words(from..from + SHORT_LIST_WORDS))
    });
    short.chain([("long".into(), words(0..LONG_LIST_WORDS))]).collect()
}

fn groups(selector: fn(usize) -> String, lists: &Lists) -> Vec<Group> {
    let group = |n: usize| Group {
        name: format!("group{n}").into(),
        selector: Selector::parse(&selector(n), lists).unwrap(),
        priority: i32::try_from(n % 7).unwrap(),
        windows: Vec::new(),
    };
    (0..GROUPS).map(group).collect()
}

fn policies() -> Vec<Policy> {
    let policy = |n: usize| Policy {
        agent: format!("agent{}", n % AGENTS).parse().unwrap(),
        scope: Scope::Group(format!("group{}", n / POLICIES_OF_GROUP).into()),
        order: Order { version: format!("1.0.{n}").parse().ok(), ..Order::default() },
    };
    (0..GROUPS * POLICIES_OF_GROUP).map(policy).collect()
}

/// What some work takes for each of so many.
fn nanos_each<T>(count: usize, work: impl FnOnce() -> T) -> f64 {
    let began = Instant::now();
    black_box(work());
    began.elapsed().as_nanos() as f64 / count as f64
}

fn measure((name, selector): Kind, lists: &Lists, hosts: &[Host]) {
    let (given, groups) = (policies(), groups(selector, lists));
    let compile = |_| {
        let policies = given.clone();
        nanos_each(1, || Rules::new(self::groups(selector, lists), policies).unwrap()) / 1e6
    };
    let millis = median((0..ROUNDS).map(compile));
    row(
        &format!("{name}: {GROUPS} groups are compiled"),
        &format!("{millis:.1} ms"),
        "",
        "",
        "<= 200 ms",
        Some(millis <= 200.0),
    );

    let rules = Rules::new(groups.clone(), given).unwrap();
    let some: Vec<_> = hosts.iter().step_by(HOSTS / HOSTS_LOOKED_AT).collect();
    let (mut sides, mut numbers, mut found) = (Sides::default(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        found = 0;
        sides.ours.push(nanos_each(hosts.len(), || {
            for host in hosts {
                rules.deciding_groups(&host.facts(), &mut numbers);
                found += black_box(&numbers).len();
            }
        }));
        let looked_at = |host: &&Host| {
            let facts = host.facts();
            groups.iter().filter(|group| group.selector.matches(&facts)).count()
        };
        sides.theirs.push(nanos_each(some.len(), || some.iter().map(looked_at).sum::<usize>()));
    }
    let of_a_host = found as f64 / hosts.len() as f64;
    sides.row(&format!("    {of_a_host:.1} of a host (every selector)"), "ns", 0.2);
    let decide =
        |_| nanos_each(some.len(), || some.iter().map(|it| rules.decide(&it.facts()).len()).sum::<usize>());
    let nanos = median((0..ROUNDS).map(decide));
    row("    what it should run", &format!("{nanos:.0} ns"), "", "", "", None);
}

fn main() {
    let names = KINDS.map(|(name, _)| name);
    let Some(chosen) = table::begin(&names) else { return };
    let (lists, hosts) = (lists(), (0..HOSTS).map(Host::new).collect::<Vec<_>>());
    for kind in KINDS.into_iter().filter(|(name, _)| chosen.contains(name)) {
        measure(kind, &lists, &hosts);
    }
}
