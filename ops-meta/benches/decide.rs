//! What it costs to know which policies a host has: `cargo bench -p ops-meta --bench decide`.
//!
//! A program has no crate to link; what decides needs none of its other rooms, so they are read again here.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a measurement fails by panicking")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::precedence::{Group, Order, Policy, Rules, Scope};
use domain::selector::{HostFacts, Lists, Selector};
use table::row;

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
/// Of so many hosts each selector is looked at, which is what the index spares.
const HOSTS_LOOKED_AT: usize = 2000;
const LISTS: usize = 100;
const LONG_LIST_WORDS: usize = 100_000;
const ROUNDS: usize = 5;

/// Selectors of one kind: the text of the n-th.
type Kind = (&'static str, fn(usize) -> String);

const KINDS: [Kind; 6] = [
    ("labels", labels),
    ("prefixes", prefixes),
    ("labels, a tenth unindexable", mostly_labels),
    ("networks", |n| format!("ip in 10.{}.{}.0/24", n / 250, n % 250)),
    ("short lists", |n| format!("hostname in @short{}", n % LISTS)),
    ("a tenth long lists", |n| if n % 10 == 0 { "hostname in @long".to_owned() } else { labels(n) }),
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
    let short = (0..LISTS).map(|n| (format!("short{n}").into(), words(n * 500..n * 500 + 500)));
    short.chain([("long".into(), words(0..LONG_LIST_WORDS))]).collect()
}

fn groups(selector: fn(usize) -> String, lists: &Lists) -> Vec<Group> {
    let group = |n: usize| Group {
        name: format!("group{n}").into(),
        selector: Selector::parse(&selector(n), lists).unwrap(),
        priority: i32::try_from(n % 7).unwrap(),
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

/// The least of some rounds, and what the last one made.
fn least<T>(mut work: impl FnMut() -> T) -> (Duration, T) {
    let mut round = || {
        let began = Instant::now();
        let made = work();
        (began.elapsed(), made)
    };
    let (mut least, mut made) = round();
    for _ in 1..ROUNDS {
        let (took, again) = round();
        (least, made) = (least.min(took), again);
    }
    (least, made)
}

fn nanos_each(took: Duration, count: usize) -> f64 {
    took.as_nanos() as f64 / count as f64
}

fn measure((name, selector): Kind, lists: &Lists, hosts: &[Host]) {
    let given = policies();
    let (reading, groups) = least(|| groups(selector, lists));
    let inputs: Vec<_> = (0..ROUNDS).map(|_| (groups.clone(), given.clone())).collect();
    let mut inputs = inputs.into_iter();
    let (ranking, rules) = least(|| {
        let (groups, policies) = inputs.next().unwrap();
        Rules::new(groups, policies).unwrap()
    });

    let mut numbers = Vec::new();
    let (finding, found) = least(|| {
        let mut found = 0;
        for host in hosts {
            rules.deciding_groups(&host.facts(), &mut numbers);
            found += black_box(&numbers).len();
        }
        found
    });
    let some: Vec<_> = hosts.iter().step_by(HOSTS / HOSTS_LOOKED_AT).collect();
    let (looking, _) = least(|| {
        let in_it = |host: &Host| groups.iter().filter(|group| group.selector.matches(&host.facts())).count();
        some.iter().map(|host| black_box(in_it(host))).sum::<usize>()
    });
    let (deciding, _) =
        least(|| some.iter().map(|it| black_box(rules.decide(&it.facts())).len()).sum::<usize>());

    let compiling = (reading + ranking).as_secs_f64() * 1e3;
    let parts = format!("{:.1} + {:.1}", reading.as_secs_f64() * 1e3, ranking.as_secs_f64() * 1e3);
    let figure = format!("{name}: to read and to rank");
    row(&figure, &format!("{compiling:.1} ms"), "", &parts, "<= 200 ms", Some(compiling <= 200.0));
    let (index, each) = (nanos_each(finding, hosts.len()), nanos_each(looking, some.len()));
    row(
        &format!("    the groups of a host, {:.1} of {GROUPS}", found as f64 / hosts.len() as f64),
        &format!("{index:.0} ns"),
        &format!("{each:.0} ns"),
        &format!("{:.4} (1/{:.0})", index / each, each / index),
        "<= 2000 ns",
        Some(index <= 2000.0),
    );
    row("    with all decisions", &format!("{:.0} ns", nanos_each(deciding, some.len())), "", "", "", None);
}

fn main() {
    let names = KINDS.map(|(name, _)| name);
    let Some(chosen) = table::begin(&names) else { return };
    let (lists, hosts) = (lists(), (0..HOSTS).map(Host::new).collect::<Vec<_>>());
    for kind in KINDS.into_iter().filter(|(name, _)| chosen.contains(name)) {
        measure(kind, &lists, &hosts);
    }
}
