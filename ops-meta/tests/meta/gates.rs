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
    let server = Server::start(&config_with(json!({ "agents": [] })));
    let admin = Operator::first(&server);
    let push = |name: &str, version: &str, manifest: &str| {
        let body = package_with(manifest);
        let path = format!("/api/v1/packages/{name}/{version}");
        let put = server.ask("PUT", &path, &[&*bearer(&admin.token)], &body);
        assert_eq!(put.status, 201, "{put:?}");
    };
    push("base", "2", "{}");
    push("top", "1", r#"{"requires": {"base": ">=2"}}"#);
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
