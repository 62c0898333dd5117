//! What keeps hosts from a change: freezes, the windows of groups, and what packages require to run.

use serde_json::{Value, json};

use crate::rollouts::{Hosts, begin, is, plan, say, sentence, show, start};
use crate::support::tarball::package_with;
use crate::support::{Operator, Server, bearer, config_with};

fn freeze(admin: &Operator<'_>, of: Value) -> u64 {
    let mut wanted = of;
    wanted["why"] = json!("sales week");
    let begun = admin.post("/api/v1/freezes", &wanted);
    assert_eq!(begun.status, 201, "{begun:?}");
    begun.json()["id"].as_u64().unwrap()
}

fn end(admin: &Operator<'_>, id: u64) {
    assert_eq!(admin.delete(&format!("/api/v1/freezes/{id}")).status, 204);
}

fn put(admin: &Operator<'_>, path: &str, value: Value) {
    let put = admin.ask("PUT", &format!("/api/v1/{path}"), Some(&value));
    assert_eq!(put.status, 200, "{put:?}");
}

#[test]
fn while_all_is_frozen_nobody_begins_and_nothing_is_changed() {
    let (mut server, mut hosts) = begin(10);
    let admin = Operator::first(&server);
    let id = freeze(&admin, json!({}));
    assert_eq!(freeze(&admin, json!({})), id, "the same again");
    let refused = admin.ask(
        "PUT",
        "/api/v1/policies/a",
        Some(&json!({"version": "3", "tarball": "http://t", "cmd": "start"})),
    );
    assert_eq!(refused.json()["code"], "frozen");
    let why = sentence(&refused, 409);
    assert!(
        why.starts_with("this changes what 10 hosts are told, and all changes are frozen since 20"),
        "{why}"
    );
    assert!(why.contains(&format!("(freeze {id}): sales week; nothing was changed")), "{why}");
    // What no host notices may be changed.
    put(&admin, "groups/web", json!({"select": "hostname=web-*"}));
    let rollout = start(&admin, &plan("2", &json!([{"percent": 100}])));
    let is_said = |_: &Hosts| {
        let what = show(&admin, rollout)["why"]["what"].clone();
        what.as_str()
            .is_some_and(|what| what.contains("waits, since changes are frozen: all changes are frozen"))
    };
    hosts.until("the reason", &server, is_said);
    assert_eq!(hosts.at("1"), 10);
    // It is kept.
    drop(admin);
    server.restart();
    let admin = Operator::first(&server);
    assert_eq!(admin.get("/api/v1/freezes").json()["freezes"][0]["id"], json!(id));
    (0..30).for_each(|_| hosts.beat(&server));
    assert_eq!(hosts.at("1"), 10);
    end(&admin, id);
    hosts.until("all", &server, |_| is(&admin, rollout, "completed"));
    let gone = admin.delete(&format!("/api/v1/freezes/{id}"));
    assert_eq!(sentence(&gone, 404), format!("there is no freeze {id}"));
}

#[test]
fn a_frozen_group_stays_as_it_is_and_is_waited_for() {
    let (server, mut hosts) = begin(10);
    let admin = Operator::first(&server);
    put(&admin, "groups/db", json!({"select": "hostname in (web-00, web-01, web-02)"}));
    let id = freeze(&admin, json!({"group": "db"}));
    let rollout = start(&admin, &plan("2", &json!([{"percent": 100}])));
    hosts.until("the others", &server, |hosts| hosts.at("2") == 7);
    hosts.until("the count", &server, |_| {
        show(&admin, rollout)["each"][0]["of"] == json!({"done": 7, "shut": 3})
    });
    let listed = admin.get(&format!("/api/v1/rollouts/{rollout}/hosts?class=shut")).json();
    assert_eq!(listed["hosts"].as_array().unwrap().len(), 3, "{listed}");
    let explained = admin.get("/api/v1/hosts/web-01/explain").json()["agents"][0]["rollouts"][0].clone();
    assert_eq!(explained["tells"], false);
    let why = explained["sentence"].as_str().unwrap();
    assert!(why.contains("it may not begin yet, since changes in group db are frozen since"), "{why}");
    // Nobody ends that by the way.
    say(&admin, rollout, "next");
    (0..50).for_each(|_| hosts.beat(&server));
    assert_eq!((hosts.at("2"), is(&admin, rollout, "running")), (7, true));
    let deleted = admin.delete("/api/v1/groups/db");
    assert!(
        sentence(&deleted, 409)
            .starts_with("the group cannot be deleted, since changes in group db are frozen")
    );
    end(&admin, id);
    hosts.until("the end", &server, |_| is(&admin, rollout, "completed"));
    assert_eq!(hosts.at("2"), 10);
}

#[test]
fn hosts_of_a_group_begin_in_its_windows() {
    let (server, mut hosts) = begin(4);
    let admin = Operator::first(&server);
    // Both within the last and the next minutes.
    let at = |minutes: i64| {
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
        let minute = (now / 60 + minutes).rem_euclid(1440);
        format!("{:02}:{:02}", minute / 60, minute % 60)
    };
    let group = |window: Value| json!({"select": "hostname=web-00", "windows": [window]});
    put(&admin, "groups/night", group(json!({"start": at(600), "durationSecs": 60})));
    assert_eq!(admin.get("/api/v1/groups/night").json()["windows"][0]["durationSecs"], 60);
    let rollout = start(&admin, &plan("2", &json!([{"percent": 100}])));
    hosts.until("the others", &server, |hosts| hosts.at("2") == 3);
    let explained = admin.get("/api/v1/hosts/web-00/explain").json()["agents"][0]["rollouts"][0].clone();
    let why = explained["sentence"].as_str().unwrap();
    assert!(
        why.contains("since no maintenance window of group night is open, the next one opens at 20"),
        "{why}"
    );
    put(&admin, "groups/night", group(json!({"start": at(-5), "durationSecs": 3600})));
    hosts.until("the last", &server, |_| is(&admin, rollout, "completed"));
    let wrong = admin.ask(
        "PUT",
        "/api/v1/groups/never",
        Some(&json!({"select": "all", "windows": [{"start": "1:00"}]})),
    );
    assert_eq!(wrong.json()["faults"][0]["path"], "groups.never.windows[0].durationSecs");
}

/// Two packages of which one requires the other, and a host that says which of them run.
#[test]
fn an_agent_waits_until_what_it_requires_runs() {
    let server = with_packages(&[("base", "2", "{}"), ("top", "1", r#"{"requires": {"base": ">=2"}}"#)]);
    let admin = Operator::first(&server);
    put(&admin, "policies/base", json!({"version": "2", "cmd": "start"}));
    put(&admin, "policies/top", json!({"version": "1", "cmd": "start"}));
    let told = |agents: Value| -> Vec<String> {
        let beat = json!({"hostname": "h", "intervalSecs": 1, "realAgents": agents});
        let told = server.post("/heartbeat", &beat).json()["desiredAgents"].clone();
        told.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
    };
    let agent = |name: &str, version: &str, status: &str, phase: &str| json!({"name": name, "version": version, "status": status, "phase": phase, "timestamp": 1_800_000_000});
    assert_eq!(told(json!([])), ["base"]);
    let explained = admin.get("/api/v1/hosts/h/explain").json();
    let withheld = explained["agents"][1]["withheld"].as_str().unwrap();
    assert!(withheld.starts_with("top 1 requires base >=2, which does not run there yet"), "{explained}");
    assert_eq!(told(json!([agent("base", "2", "starting", "starting")])), ["base"]);
    assert_eq!(told(json!([agent("base", "2", "started", "trial")])), ["base"]);
    assert_eq!(told(json!([agent("base", "2", "started", "idle")])), ["base", "top"]);
    // Who has it keeps it.
    let both = json!([agent("base", "2", "stoped", "idle"), agent("top", "1", "stoped", "idle")]);
    assert_eq!(told(both), ["base", "top"]);
}

fn agent(name: &str, version: &str, status: &str, rollout: Option<u64>) -> Value {
    json!({"name": name, "version": version, "status": status, "phase": "idle", "timestamp": 1_800_000_000,
           "rollout": rollout})
}

/// What this host is told: `a 1 start`.
fn beat(server: &Server, host: &str, agents: &Value) -> Vec<String> {
    let beat =
        json!({"hostname": host, "os": "linux", "arch": "x86_64", "intervalSecs": 1, "realAgents": agents});
    let told = server.post("/heartbeat", &beat).json()["desiredAgents"].clone();
    let word = |agent: &Value, field: &str| agent[field].as_str().unwrap_or_default().to_owned();
    let told = told.as_array().unwrap().iter();
    told.map(|it| ["name", "version", "cmd"].map(|field| word(it, field)).join(" ")).collect()
}

/// Beats until it is told so.
fn until_told(server: &Server, host: &str, agents: &Value, expected: &[&str]) {
    let begun = std::time::Instant::now();
    loop {
        let told = beat(server, host, agents);
        if told == expected {
            return;
        }
        assert!(begun.elapsed().as_secs() < 30, "{told:?}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// Packages by name, version and what they require.
fn with_packages(packages: &[(&str, &str, &str)]) -> Server {
    let server = Server::start(&config_with(json!({ "agents": [] })));
    let admin = Operator::first(&server);
    for (name, version, manifest) in packages {
        let path = format!("/api/v1/packages/{name}/{version}");
        let put = server.ask("PUT", &path, &[&*bearer(&admin.token)], &package_with(manifest));
        assert_eq!(put.status, 201, "{put:?}");
    }
    server
}

/// Of two agents, of which one requires the other at its second version.
const TOP_2_NEEDS_BASE_2: [(&str, &str, &str); 4] = [
    ("base", "1", "{}"),
    ("base", "2", "{}"),
    ("top", "1", "{}"),
    ("top", "2", r#"{"requires": {"base": ">=2"}}"#),
];

/// With policies that order the first version of both, `base` and `top`, everywhere.
fn with_both(packages: &[(&str, &str, &str)]) -> Server {
    let server = with_packages(packages);
    let admin = Operator::first(&server);
    for name in ["base", "top"] {
        put(&admin, &format!("policies/{name}"), json!({"version": "1", "cmd": "start"}));
    }
    server
}

#[test]
fn a_frozen_host_that_is_held_or_silent_is_waited_for_too() {
    let (server, mut hosts) = begin(4);
    let admin = Operator::first(&server);
    put(&admin, "groups/db", json!({"select": "hostname in (sleepy, stuck)"}));
    let mut held = agent("a", "1", "started", None);
    held["phase"] = json!("held");
    let held = json!([held]);
    beat(&server, "sleepy", &json!([agent("a", "1", "started", None)]));
    beat(&server, "stuck", &held);
    let id = freeze(&admin, json!({"group": "db"}));
    let rollout = start(&admin, &plan("2", &json!([{"percent": 100}])));
    let waits = "2 hosts are kept from beginning by a freeze or the windows of a group";
    hosts.until("the reason", &server, |_| {
        beat(&server, "stuck", &held);
        show(&admin, rollout)["why"]["what"] == waits
    });
    assert_eq!(beat(&server, "stuck", &json!([agent("a", "1", "started", None)])), ["a 1 start"]);
    end(&admin, id);
    hosts.until("the end", &server, |_| {
        beat(&server, "stuck", &json!([agent("a", "2", "started", Some(rollout))]));
        is(&admin, rollout, "completed")
    });
}

#[test]
fn nobody_begins_with_what_is_taken_back() {
    let (server, mut hosts) = begin(6);
    let admin = Operator::first(&server);
    put(&admin, "groups/db", json!({"select": "hostname in (web-00, web-01)"}));
    let id = freeze(&admin, json!({"group": "db"}));
    let rollout = start(&admin, &plan("2", &json!([{"percent": 100, "maxInFlight": 3}])));
    hosts.until("the others", &server, |hosts| hosts.at("2") == 4);
    say(&admin, rollout, "rollback");
    end(&admin, id);
    let was = hosts.at("2");
    (0..20).for_each(|_| hosts.beat(&server));
    assert!(hosts.at("2") <= was);
    hosts.until("the end", &server, |_| is(&admin, rollout, "rolled_back"));
    assert_eq!(hosts.at("1"), 6);
}

#[test]
fn an_agent_that_waits_keeps_running_as_it_is() {
    let server = with_both(&TOP_2_NEEDS_BASE_2);
    let admin = Operator::first(&server);
    let dead = json!([agent("base", "1", "started", None), agent("top", "1", "stoped", None)]);
    assert_eq!(beat(&server, "h", &dead), ["base 1 start", "top 1 start"]);
    // By a rollout, whose turn comes when that of the other is approved.
    start(&admin, &json!({"agent": "base", "version": "2", "waves": [{"percent": 100, "approval": true}]}));
    let top = json!({"agent": "top", "version": "2", "waves": [{"percent": 100}]});
    let dry = admin.post("/api/v1/rollouts?dryRun=true", &top).json()["tried"].clone();
    let changed = &dry["changed"];
    assert_eq!((&changed["changed"], &dry["unconfirmed"]), (&json!(1), &Value::Null), "{dry}");
    assert_eq!((&changed["moves"][0]["agent"], &changed["moves"][1]), (&json!("top"), &Value::Null));
    // What it requires is brought, so nobody is left out.
    let rollout = start(&admin, &top);
    let begun = std::time::Instant::now();
    while show(&admin, rollout)["each"][0]["of"] != json!({"waiting": 1}) {
        assert!(begun.elapsed().as_secs() < 30, "{}", show(&admin, rollout));
        assert_eq!(beat(&server, "h", &dead), ["base 1 start", "top 1 start"]);
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(beat(&server, "h", &dead), ["base 1 start", "top 1 start"]);
    // By policies.
    say(&admin, 1, "stop");
    say(&admin, rollout, "stop");
    for name in ["base", "top"] {
        put(&admin, &format!("policies/{name}?confirm=true"), json!({"version": "2", "cmd": "start"}));
    }
    assert_eq!(beat(&server, "h", &dead), ["base 2 start", "top 1 start"]);
}

#[test]
fn what_is_taken_back_waits_for_nothing() {
    let needs = r#"{"requires": {"base": ">=1"}}"#;
    let server = with_both(&[("base", "1", "{}"), ("top", "1", needs), ("top", "2", needs)]);
    let admin = Operator::first(&server);
    let good = json!([agent("base", "1", "started", None), agent("top", "1", "started", None)]);
    beat(&server, "h", &good);
    let id = start(
        &admin,
        &json!({"agent": "top", "version": "2", "waves": [{"percent": 100, "soakSecs": 3600}]}),
    );
    until_told(&server, "h", &good, &["base 1 start", "top 2 start"]);
    let broken = json!([agent("base", "1", "stoped", None), agent("top", "2", "started", Some(id))]);
    beat(&server, "h", &broken);
    say(&admin, id, "rollback");
    until_told(&server, "h", &broken, &["base 1 start", "top 1 start"]);
}

#[test]
fn who_already_is_as_wanted_stays_so_in_a_freeze() {
    let (server, _hosts) = begin(0);
    let admin = Operator::first(&server);
    // An updater of 2015 says of no rollout.
    let says =
        |status: &str| json!([{"name": "a", "version": "1", "status": status, "timestamp": 1_800_000_000}]);
    beat(&server, "old", &says("started"));
    start(&admin, &json!({"agent": "a", "cmd": "stop", "waves": [{"percent": 100, "soakSecs": 3600}]}));
    until_told(&server, "old", &says("started"), &["a 1 stop"]);
    freeze(&admin, json!({}));
    assert_eq!(beat(&server, "old", &says("stoped")), ["a 1 stop"]);
}

#[test]
fn who_was_to_wait_before_he_fell_silent_has_not_heard_of_it() {
    let server = with_both(&TOP_2_NEEDS_BASE_2);
    let admin = Operator::first(&server);
    let runs = json!([agent("base", "1", "started", None), agent("top", "1", "started", None)]);
    beat(&server, "h", &runs);
    start(&admin, &json!({"agent": "base", "version": "2", "waves": [{"percent": 100, "approval": true}]}));
    let id =
        start(&admin, &json!({"agent": "top", "version": "2", "waves": [{"percent": 100, "maxFailed": 0}]}));
    let begun = std::time::Instant::now();
    let mut of = Value::Null;
    while of != json!({"waiting": 1}) {
        assert!(begun.elapsed().as_secs() < 30, "{}", show(&admin, id));
        beat(&server, "h", &runs);
        std::thread::sleep(std::time::Duration::from_millis(100));
        of = show(&admin, id)["each"][0]["of"].clone();
    }
    while of == json!({"waiting": 1}) {
        assert!(begun.elapsed().as_secs() < 60, "{}", show(&admin, id));
        std::thread::sleep(std::time::Duration::from_millis(100));
        of = show(&admin, id)["each"][0]["of"].clone();
    }
    assert_eq!((of, &show(&admin, id)["state"]), (json!({"away": 1}), &json!("running")));
}

#[test]
fn who_is_told_already_and_does_not_do_it_is_not_taken_for_done() {
    let server = with_packages(&[("base", "1", "{}")]);
    let admin = Operator::first(&server);
    put(&admin, "policies/base", json!({"version": "1", "cmd": "start"}));
    let install = || admin.post("/api/v1/hosts/h/install", &json!({"agent": "base", "version": "1"}));
    beat(&server, "h", &json!([agent("base", "1", "started", None)]));
    let nothing = install();
    assert_eq!((nothing.status, &nothing.json()["rollout"]), (200, &Value::Null));
    assert_eq!(nothing.json()["already"], "that is ordered already (base on host h)");
    let mut held = agent("base", "0", "started", None);
    held["phase"] = json!("held");
    beat(&server, "h", &json!([held]));
    let refused = install();
    assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("held")));
}

#[test]
fn a_host_begins_once_what_another_rollout_brings_runs_there_and_waits_when_that_is_taken_back() {
    let server = with_both(&TOP_2_NEEDS_BASE_2);
    let admin = Operator::first(&server);
    let at = |base: (&str, Option<u64>), top: (&str, Option<u64>)| {
        json!([agent("base", base.0, "started", base.1), agent("top", top.0, "started", top.1)])
    };
    let old = at(("1", None), ("1", None));
    for host in ["h", "i", "j"] {
        beat(&server, host, &old);
    }
    let soak = json!([{"percent": 100, "soakSecs": 3600}]);
    let base = start(&admin, &json!({"agent": "base", "version": "2", "waves": soak}));
    let top = start(
        &admin,
        &json!({"agent": "top", "version": "2", "waves": [{"percent": 100, "timeoutSecs": 600}]}),
    );
    until_told(&server, "h", &old, &["base 2 start", "top 1 start"]);
    let new = at(("2", Some(base)), ("1", None));
    until_told(&server, "h", &new, &["base 2 start", "top 2 start"]);
    let done = at(("2", Some(base)), ("2", Some(top)));
    let begun = std::time::Instant::now();
    let is = |done: &Value, of: &Value| {
        assert!(begun.elapsed().as_secs() < 60, "{}", show(&admin, top));
        beat(&server, "h", done);
        ["i", "j"].iter().for_each(|host| _ = beat(&server, host, &old));
        std::thread::sleep(std::time::Duration::from_millis(50));
        show(&admin, top)["each"][0]["of"] == *of
    };
    while !is(&done, &json!({"done": 1, "waiting": 2})) {}
    say(&admin, base, "rollback");
    let back = at(("1", None), ("2", Some(top)));
    while !is(&back, &json!({"done": 1, "unmet": 2})) {}
    // It is not taken for done, though all others are left out.
    let shown = show(&admin, top);
    assert_eq!((&shown["state"], &shown["percent"]), (&json!("running"), &json!(33)), "{shown}");
    let why = shown["why"]["what"].as_str().unwrap();
    assert!(why.ends_with("without what their package requires, and 1 host is done"), "{shown}");
}
