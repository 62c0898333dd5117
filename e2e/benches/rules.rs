//! What a thousand groups and five thousand policies cost.

use std::time::Instant;

use serde_json::{Value, json};

use super::sides::Side;
use super::table::{Sides, median, row};
use super::{FEW_ROUNDS, HOSTS, MILLION, ROUNDS, SECS};

const GROUPS: usize = 1000;
/// Each group has a policy of each; all hosts have one, too.
const AGENTS: u8 = 5;

/// Groups of every kind; a host is in some of them. `digits`: those of a host's number that are of its group.
fn fleet(digits: usize) -> Value {
    let select = |n: usize| match n % 10 {
        0..7 => format!("hostname=host-{n:0digits$}*"),
        7 | 8 => format!("os=linux and hostname~\"^host-{n:0digits$}\""),
        _ => format!("not ip in 10.{}.0.0/16 and hostname~\"{n:03}$\"", n % 200),
    };
    let groups = (0..GROUPS).map(|n| (format!("group-{n}"), json!({"select": select(n), "priority": n})));
    let groups: serde_json::Map<String, Value> = groups.collect();
    let policy = |agent: u8| {
        json!({"agent": format!("agent-{agent}"), "version": "1.0.0", "cmd": "start",
                                    "tarball": "http://packages.example:8080/ops"})
    };
    let of_group = |n: usize, agent: u8| json!({"agent": format!("agent-{agent}"), "group": format!("group-{n}"), "trialSecs": 1 + n % 3});
    let mut policies: Vec<Value> = (1..=AGENTS).map(policy).collect();
    policies.extend((0..GROUPS).flat_map(|n| (1..=AGENTS).map(move |agent| of_group(n, agent))));
    json!({"groups": groups, "policies": policies})
}

/// ops-meta that decides by groups.
fn ours(digits: usize) -> Side {
    let ours = Side::ours_with(0, None);
    let (_, secs) = ours.called("PUT", "/api/v1/fleet?confirm=true", &fleet(digits).to_string());
    let figure =
        format!("{GROUPS} groups, {} policies: read, compiled, written", GROUPS * usize::from(AGENTS));
    row(&figure, &ms(secs), "", "", "<= 200 ms", Some(secs <= 0.2));
    ours
}

/// CPU of a beat, against the same agents in cfg.json.
pub fn rules() {
    let (ours, theirs) = (ours(5), Side::ours_with(AGENTS, None));
    for side in [&ours, &theirs] {
        side.loaded(&["--hosts", HOSTS, "--saturate", "--beats", HOSTS]);
        side.wait_until_written();
    }
    let args = ["--hosts", HOSTS, "--saturate", "--duration", SECS];
    let mut sides = Sides::default();
    for _ in 0..ROUNDS {
        sides.theirs.push(theirs.loaded(&args).cpu_of_a_beat());
        sides.ours.push(ours.loaded(&args).cpu_of_a_beat());
    }
    sides.row("CPU of a beat by groups (by cfg.json)", "us", 1.3);
}

/// What a change would do to a million hosts, and how soon they hear of it.
pub fn simulate() {
    let ours = ours(4);
    ours.loaded(&["--hosts", MILLION, "--saturate", "--beats", MILLION]);
    ours.wait_until_written();
    let change = |version: &str| json!({"version": version, "cmd": "start", "tarball": "http://packages.example:8080/ops"});
    let one = "/api/v1/policies/agent-1?group=group-10&confirm=true";
    let all = "/api/v1/policies/agent-1?confirm=true";
    for (figure, path) in [("of a group's policy", one), ("of everybody's policy", all)] {
        let body = change("2.0.0").to_string();
        let secs = (0..FEW_ROUNDS).map(|_| {
            let (told, secs) = ours.called("PUT", &format!("{path}&dryRun=true"), &body);
            assert!(told["changed"]["changed"].as_u64() > Some(0), "{told:.300}");
            secs
        });
        let secs = median(secs.collect::<Vec<_>>().into_iter());
        let figure = format!("simulate a change {figure}, 1,000,000 hosts");
        row(&figure, &ms(secs), "", "", "<= 1 s", Some(secs <= 1.0));
    }
    let mut answered = Vec::new();
    for n in 0..FEW_ROUNDS {
        let version = format!("3.0.{n}");
        ours.called("PUT", all, &change(&version).to_string());
        let begun = Instant::now();
        let hosts = ["host-0000001", "host-0999999", "nobody-knew-it"];
        let is_told = |host: &&str| {
            let beat = json!({"hostname": host, "realAgents": []}).to_string();
            ours.called("POST", "/heartbeat", &beat).0.to_string().contains(&version)
        };
        while !hosts.iter().all(is_told) {}
        answered.push(begun.elapsed().as_secs_f64());
    }
    let secs = median(answered.into_iter());
    row("a change that is made is answered", &ms(secs), "", "", "<= 100 ms", Some(secs <= 0.1));
}

fn ms(secs: f64) -> String {
    format!("{:.0} ms", secs * 1e3)
}
