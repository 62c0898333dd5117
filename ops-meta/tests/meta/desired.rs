//! What should run where: said by operators, tried on all hosts, heard by those that it is for.

use serde_json::{Value, json};

use crate::support::first_token;
use crate::support::tarball::{package, sha256, tarball};
use crate::support::{Operator, Reply, Server, bearer, config, config_with, eventually};

/// One whose cfg.json decides nothing.
fn server() -> Server {
    Server::start(&config_with(json!({ "agents": [] })))
}

fn put(admin: &Operator<'_>, path: &str, body: &Value) -> Value {
    let reply = admin.ask("PUT", &format!("/api/v1/{path}"), Some(body));
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.json()
}

fn refused(reply: &Reply, status: u16) -> Value {
    assert_eq!(reply.status, status, "{}", reply.text());
    assert_eq!(reply.header("content-type"), "application/problem+json");
    reply.json()
}

fn sentence(reply: &Reply, status: u16) -> String {
    refused(reply, status)["detail"].as_str().unwrap().to_owned()
}

/// A host with these labels and no agents. What it is told.
fn beat(server: &Server, hostname: &str, labels: &Value) -> Value {
    let beat = json!({"hostname": hostname, "os": "linux", "arch": "x86_64", "ip": "10.0.0.1",
                      "labels": labels, "realAgents": []});
    server.post("/heartbeat", &beat).json()
}

/// `agent version cmd`, of each.
fn told(answer: &Value) -> Vec<String> {
    let text = |agent: &Value, field: &str| agent[field].as_str().unwrap_or_default().to_owned();
    let agents = answer["desiredAgents"].as_array().unwrap().iter();
    agents
        .map(|it| {
            format!("{} {} {}", text(it, "name"), text(it, "version"), text(it, "cmd")).trim().to_owned()
        })
        .collect()
}

fn elsewhere(agent: &str, version: &str) -> Value {
    json!({"agent": agent, "version": version, "cmd": "start", "tarball": "http://elsewhere"})
}

fn push(admin: &Operator<'_>, path: &str, tarball: &[u8]) {
    let head = [&*bearer(&admin.token)];
    let reply = admin.server.ask("PUT", &format!("/api/v1/packages/{path}"), &head, tarball);
    assert_eq!(reply.status, 201, "{}", reply.text());
}

#[test]
fn the_strongest_policy_wins_and_is_heard_with_the_next_beat() {
    let server = server();
    let admin = Operator::first(&server);
    let (prod, none) = (json!({"env": "prod"}), json!({}));
    assert_eq!(told(&beat(&server, "web-1", &prod)), [""; 0]);

    put(&admin, "policies/a", &elsewhere("a", "1"));
    assert_eq!(told(&beat(&server, "web-1", &prod)), ["a 1 start"]);
    put(&admin, "groups/prod", &json!({"select": "env=prod", "priority": 10}));
    put(&admin, "policies/a?group=prod", &json!({"version": "2"}));
    let answer = beat(&server, "web-1", &prod);
    assert_eq!(
        (told(&answer), &answer["desiredAgents"][0]["tarball"]),
        (vec!["a 2 start".to_owned()], &json!("http://elsewhere"))
    );
    assert_eq!(told(&beat(&server, "web-2", &none)), ["a 1 start"]);
    put(&admin, "groups/web", &json!({"select": "hostname=web-*", "priority": 20}));
    put(&admin, "policies/a?group=web", &json!({"version": "3"}));
    put(&admin, "policies/a?host=web-2", &json!({"cmd": "stop"}));
    assert_eq!(told(&beat(&server, "web-1", &prod)), ["a 3 start"]);
    assert_eq!(told(&beat(&server, "web-2", &none)), ["a 3 stop"]);

    // A host that becomes another one is told what that one is told.
    assert_eq!(told(&beat(&server, "db-1", &prod)), ["a 2 start"]);
    assert_eq!(told(&beat(&server, "db-1", &none)), ["a 1 start"]);

    let deleted = admin.delete("/api/v1/policies/a?group=web").json();
    assert_eq!(deleted["differences"][0]["what"], "deleted");
    assert_eq!(told(&beat(&server, "web-1", &prod)), ["a 2 start"]);
    let generation = beat(&server, "web-1", &prod)["generation"].clone();
    assert_eq!(generation, deleted["generation"]);
}

#[test]
fn a_host_for_which_nothing_is_left_is_told_to_leave_its_agents_alone() {
    let server = server();
    let admin = Operator::first(&server);
    let beat = || {
        let agent = json!({"name": "a", "version": "1", "status": "started", "timestamp": 1});
        told(&server.post("/heartbeat", &json!({"hostname": "web-1", "realAgents": [agent]})).json())
    };
    // An ops-meta that never decided anything takes nothing from anybody.
    assert_eq!(beat(), [""; 0]);
    put(&admin, "policies/a", &elsewhere("a", "1"));
    assert_eq!(beat(), ["a 1 start"]);
    assert_eq!(admin.delete("/api/v1/policies/a").status, 200);
    for _ in 0..2 {
        assert_eq!(beat(), ["a"]);
    }
}

#[test]
fn what_was_decided_survives_a_kill() {
    let mut server = server();
    let fleet = json!({
        "settings": {"confirmAbovePercent": 40},
        "lists": {"some": ["b", "a"]},
        "groups": {"listed": {"select": "hostname in @some", "priority": -5, "description": "by name"}},
        "policies": [elsewhere("x", "1"), {"agent": "x", "group": "listed", "version": "2"}],
    });
    let before = {
        let admin = Operator::first(&server);
        put(&admin, "fleet", &fleet);
        admin.get("/api/v1/fleet").json()
    };
    server.restart_killed();
    let admin = Operator::with(&server, first_token(&server.path("data")));
    assert_eq!(admin.get("/api/v1/fleet").json(), before);
    assert_eq!(told(&beat(&server, "a", &json!({}))), ["x 2 start"]);
    assert_eq!(told(&beat(&server, "c", &json!({}))), ["x 1 start"]);
    // The same again is no change.
    let again = put(&admin, "fleet", &fleet);
    assert_eq!(again["differences"], json!([]));
}

#[test]
fn a_package_of_this_server_is_told_whole_and_for_the_hosts_machine() {
    let server = server();
    let admin = Operator::first(&server);
    let (any, arm) = (package("any"), package("arm"));
    push(&admin, "agent/1", &any);
    push(&admin, "agent/1?os=linux&arch=aarch64", &arm);
    put(&admin, "policies/agent", &json!({"version": "1", "cmd": "start"}));
    let told = &beat(&server, "web-1", &json!({}))["desiredAgents"][0];
    let here = format!("http://{}/packages", server.address);
    assert_eq!(
        (&told["tarball"], &told["sha256"], &told["size"]),
        (&json!(here), &json!(sha256(&any)), &json!(any.len()))
    );
    let on_arm = json!({"hostname": "arm-1", "os": "linux", "arch": "aarch64", "realAgents": []});
    let answer = server.post("/heartbeat", &on_arm).json();
    let told = &answer["desiredAgents"][0];
    assert_eq!(
        (&told["tarball"], &told["sha256"]),
        (&json!(format!("{here}/linux-aarch64")), &json!(sha256(&arm)))
    );
    let file = format!("{}/agent-1.tar.gz", told["tarball"].as_str().unwrap());
    assert_eq!(server.get(file.split_once(&server.address.to_string()).unwrap().1).body, arm);

    // What is ordered cannot be deleted, and says by whom.
    let kept = sentence(&admin.delete("/api/v1/packages/agent/1"), 409);
    assert!(kept.contains("a policy orders it for all hosts"), "{kept}");
    put(&admin, "settings", &json!({"packagesUrl": "http://cdn.example/p/"}));
    assert_eq!(beat(&server, "web-1", &json!({}))["desiredAgents"][0]["tarball"], "http://cdn.example/p");
}

#[test]
fn a_version_that_is_not_there_is_refused_with_those_that_are() {
    let server = server();
    let admin = Operator::first(&server);
    push(&admin, "agent/1.0", &package("1"));
    for (path, version, expected) in [
        ("policies/agent", "1.1", "there is no package agent 1.1 here; there is 1.0;"),
        ("policies/agetn", "1.0", "there is no package agetn 1.0 here; agent, perhaps?;"),
    ] {
        let reply =
            admin.ask("PUT", &format!("/api/v1/{path}"), Some(&json!({"version": version, "cmd": "start"})));
        let faults = refused(&reply, 400)["faults"].clone();
        assert_eq!(faults[0]["path"], "version");
        assert!(faults[0]["why"].as_str().unwrap().starts_with(expected), "{faults}");
    }
    assert_eq!(admin.get("/api/v1/policies").json()["policies"], json!([]));
}

#[test]
fn what_a_package_requires_has_to_be_ordered_too() {
    let server = server();
    let admin = Operator::first(&server);
    let manifest = br#"{"requires": {"base": ">=2"}}"#;
    push(&admin, "top/1", &tarball(&[("control", b"#!/bin/sh\n"), ("manifest.json", manifest)]));
    push(&admin, "base/1", &package("1"));
    push(&admin, "base/2", &package("2"));
    beat(&server, "web-1", &json!({}));
    let start = |version: &str| json!({"version": version, "cmd": "start"});
    let reply = admin.ask("PUT", "/api/v1/policies/top", Some(&start("1")));
    let problem = refused(&reply, 409);
    assert_eq!(problem["code"], "needs_confirmation");
    assert!(
        problem["detail"].as_str().unwrap().contains("top 1 requires base >=2, and base is not ordered"),
        "{problem}"
    );
    assert_eq!(problem["changed"]["withheld"][0]["some"], json!(["web-1"]));

    put(&admin, "policies/base", &start("1"));
    put(&admin, "policies/top?confirm=true", &start("1"));
    assert_eq!(told(&beat(&server, "web-1", &json!({}))), ["base 1 start"]);
    put(&admin, "policies/base", &start("2"));
    // It begins once that runs.
    assert_eq!(told(&beat(&server, "web-1", &json!({}))), ["base 2 start"]);
}

#[test]
fn a_dry_run_says_who_would_change_and_changes_nothing() {
    let server = server();
    let admin = Operator::first(&server);
    for n in 0..20 {
        beat(&server, &format!("web-{n:02}"), &json!({"env": if n < 5 { "test" } else { "prod" }}));
    }
    put(&admin, "policies/a?confirm=true", &elsewhere("a", "1"));
    put(&admin, "groups/test", &json!({"select": "env=test"}));
    let (_, viewer) = admin.create("viewer", "viewer", &Value::Null);
    let policy = json!({"version": "2"});
    let dry = put(&viewer, "policies/a?group=test&dryRun=true", &policy);
    let changed = &dry["changed"];
    assert_eq!((&changed["hosts"], &changed["changed"]), (&json!(20), &json!(5)));
    assert_eq!(
        changed["moves"],
        json!([{"agent": "a", "from": {"version": "1", "cmd": "start"}, "to": {"version": "2", "cmd": "start"},
                "fields": [], "hosts": 5, "some": ["web-00", "web-01", "web-02", "web-03", "web-04"]}])
    );
    assert_eq!(told(&beat(&server, "web-00", &json!({"env": "test"}))), ["a 1 start"]);
    assert_eq!(viewer.ask("PUT", "/api/v1/policies/a?group=test", Some(&policy)).status, 403);
    assert_eq!(admin.get("/api/v1/policies/a?group=test").status, 404);

    // Of 20 hosts more than a quarter are many; a few are not.
    put(&admin, "policies/a?group=test", &policy);
    let all = admin.ask("PUT", "/api/v1/policies/a", Some(&elsewhere("a", "3")));
    let problem = refused(&all, 409);
    assert!(problem["detail"].as_str().unwrap().contains("15 of 20 hosts"), "{problem}");
    assert_eq!(problem["changed"]["changed"], 15);
    put(&admin, "policies/a?confirm=true", &elsewhere("a", "3"));
    assert_eq!(told(&beat(&server, "web-19", &json!({"env": "prod"}))), ["a 3 start"]);
}

#[test]
fn a_group_that_nobody_is_in_is_told_of() {
    let server = server();
    let admin = Operator::first(&server);
    let group = |name: &str, select: &str| {
        put(&admin, &format!("groups/{name}"), &json!({ "select": select }))["changed"]["warnings"].clone()
    };
    assert_eq!(group("early", "env=prod"), json!([]), "nobody is known yet");
    beat(&server, "web-1", &json!({"env": "prod"}));
    assert_eq!(group("good", "env=prod"), json!([]));
    assert_eq!(group("none", "env=test"), json!(["group none: no known host is in it"]));
    assert_eq!(
        group("typo", "evn=prod"),
        json!(["group typo: no known host has a label evn; env, perhaps?"])
    );
}

#[test]
fn of_two_who_change_the_same_one_has_to_look_again() {
    let server = server();
    let admin = Operator::first(&server);
    put(&admin, "policies/a", &elsewhere("a", "1"));
    let seen = admin.get("/api/v1/policies/a");
    let tag = seen.header("etag").to_owned();
    let with = |header: &str, version: &str| {
        let head = [&*bearer(&admin.token), "Content-Type: application/json", header];
        let body = elsewhere("a", version).to_string();
        server.ask("PUT", "/api/v1/policies/a", &head, body.as_bytes())
    };
    // What was read can be sent back as it is.
    let (mut body, head) = (seen.json(), format!("If-Match: {tag}"));
    body["version"] = json!("2");
    let headers = [&*bearer(&admin.token), "Content-Type: application/json", &*head];
    let first = server.ask("PUT", "/api/v1/policies/a", &headers, body.to_string().as_bytes());
    assert_eq!(first.status, 200, "{}", first.text());
    let late = sentence(&with(&head, "3"), 412);
    assert!(late.contains("policy a was changed by another in generation"), "{late}");
    assert_eq!(with(&format!("If-Match: {}", first.header("etag")), "3").status, 200);
    assert_eq!(with("If-None-Match: *", "4").status, 412);
    assert_eq!(with("If-Match: 7", "4").status, 400);
    assert_eq!(admin.get("/api/v1/policies/a").json()["version"], "3");
}

#[test]
fn changes_at_once_are_made_one_after_the_other() {
    let server = server();
    let admin = Operator::first(&server);
    std::thread::scope(|scope| {
        for n in 0..8 {
            let admin = &admin;
            scope.spawn(move || {
                for round in 0..5 {
                    put(admin, &format!("groups/g{n}-{round}"), &json!({"select": format!("rack=r{n}")}));
                }
            });
        }
    });
    assert_eq!(admin.get("/api/v1/groups").json()["groups"].as_array().unwrap().len(), 40);
    let events = admin.get("/api/v1/events?kind=group.created").json();
    assert_eq!(events["events"].as_array().unwrap().len(), 40);
}

#[test]
fn while_cfg_json_decides_nobody_else_does() {
    let server = Server::start(&config());
    let admin = Operator::first(&server);
    for (method, path) in
        [("PUT", "/api/v1/policies/a"), ("DELETE", "/api/v1/policies/a"), ("PUT", "/api/v1/fleet")]
    {
        let body = (method == "PUT").then(|| json!({}));
        let problem = refused(&admin.ask(method, path, body.as_ref()), 409);
        assert_eq!(problem["code"], "cfg_json_decides");
        assert!(problem["detail"].as_str().unwrap().contains("ops-meta import cfg.json"), "{problem}");
    }
    // Who means to go over may see before what it would do.
    assert_eq!(put(&admin, "fleet?dryRun=true", &json!({}))["differences"], json!([]));
    let explained = |hostname: &str| {
        beat(&server, hostname, &json!({}));
        admin.get(&format!("/api/v1/hosts/{hostname}/explain")).json()
    };
    let of_lg = explained("lg-1");
    assert_eq!(of_lg["decidedBy"], "cfg.json");
    assert_eq!(
        of_lg["agents"][0]["policies"][0],
        json!({"of": "`others` with the prefix \"lg-\"", "gives": ["version 2.0.0"], "overridden": []})
    );
    // Its agents taken out, the policies count.
    server.configure(&config_with(json!({ "agents": [] })));
    assert!(server.get("/config/reload").text().contains("success"));
    put(&admin, "policies/a", &elsewhere("a", "1"));
    assert_eq!(told(&beat(&server, "lg-1", &json!({}))), ["a 1 start"]);
    server.configure(&config());
    assert!(server.get("/config/reload").text().contains("success"));
    assert_eq!(told(&beat(&server, "lg-1", &json!({}))), ["falcon-agent 2.0.0 start"]);
}

#[test]
fn a_host_is_explained() {
    let server = server();
    let admin = Operator::first(&server);
    put(&admin, "groups/prod", &json!({"select": "env=prod and not ip in 10.3.0.0/16", "priority": 10}));
    put(&admin, "groups/test", &json!({"select": "env=test", "priority": 5}));
    put(&admin, "policies/a", &elsewhere("a", "1"));
    put(&admin, "policies/a?group=prod", &json!({"version": "2"}));
    put(&admin, "policies/a?group=test", &json!({"version": "3"}));
    let report = json!({"hostname": "web-1", "ip": "10.0.0.1", "labels": {"env": "prod"}, "realAgents": [
        {"name": "a", "version": "1", "status": "started", "timestamp": 1, "phase": "held", "desiredVersion": "2",
         "errorCode": "held", "error": "by hand: testing"},
        {"name": "stray", "version": "7", "status": "started", "timestamp": 1},
    ]});
    server.post("/heartbeat", &report);
    let explained = eventually("its report to be written", || {
        let explained = admin.get("/api/v1/hosts/web-1/explain?where=env%3Dtest").json();
        explained["agents"][0]["real"]["error"].is_string().then_some(explained)
    });
    let names: Vec<_> =
        explained["groups"].as_array().unwrap().iter().map(|it| (&it["name"], &it["isIn"])).collect();
    assert_eq!(names, [(&json!("prod"), &json!(true)), (&json!("test"), &json!(false))]);
    assert_eq!(explained["groups"][1]["why"], json!(["`env=test` does not hold: label env is \"prod\""]));
    let a = &explained["agents"][0];
    assert_eq!(
        a["policies"],
        json!([
            {"of": "group prod", "gives": ["version 2"], "overridden": []},
            {"of": "all hosts", "gives": ["cmd start", "tarball http://elsewhere"], "overridden": ["version 1"]},
        ])
    );
    assert_eq!((&a["told"]["version"], &a["current"]), (&json!("2"), &json!("no")));
    let sentences = a["sentences"].to_string();
    for part in
        ["of group prod, says version 2", "told to run version 2", "held: by hand", "ops-updater release"]
    {
        assert!(sentences.contains(part), "{part}: {sentences}");
    }
    let stray = &explained["agents"][1];
    assert!(stray["sentences"][0].as_str().unwrap().starts_with("No policy is of stray"), "{stray}");
    assert_eq!(
        explained["where"],
        json!({"admits": false, "why": ["`env=test` does not hold: label env is \"prod\""]})
    );
    assert_eq!(admin.get("/api/v1/hosts/nobody/explain").status, 404);
}

#[test]
fn lists_select_and_say_who_was_never_seen() {
    let server = server();
    let admin = Operator::first(&server);
    put(&admin, "lists/expected", &json!({"words": ["web-2", "web-1", "web-3", "web-1"]}));
    put(&admin, "groups/expected", &json!({"select": "hostname in @expected"}));
    put(&admin, "policies/a", &elsewhere("a", "1"));
    put(&admin, "policies/a?group=expected", &json!({"version": "2"}));
    for (host, version) in [("web-1", "2"), ("db-1", "1")] {
        assert_eq!(told(&beat(&server, host, &json!({}))), [format!("a {version} start")]);
    }
    let list = admin.get("/api/v1/lists/expected").json();
    assert_eq!(
        (&list["words"], &list["unseen"]),
        (&json!(["web-1", "web-2", "web-3"]), &json!(["web-2", "web-3"]))
    );
    let group = admin.get("/api/v1/groups/expected").json();
    assert_eq!((&group["hosts"], &group["some"]), (&json!(1), &json!(["web-1"])));
    let hosts = |query: &str| {
        let list = admin.get(&format!("/api/v1/hosts?{query}")).json();
        list["hosts"].as_array().unwrap().iter().map(|it| it["hostname"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(hosts("group=expected"), ["web-1"]);
    assert_eq!(hosts("inGroups=false"), ["db-1"]);
    assert_eq!(hosts("where=hostname+in+%40expected"), ["web-1"]);

    // The group reads the list as it is now.
    put(&admin, "lists/expected", &json!({"words": ["db-1"]}));
    assert_eq!(told(&beat(&server, "web-1", &json!({}))), ["a 1 start"]);
    assert_eq!(told(&beat(&server, "db-1", &json!({}))), ["a 2 start"]);
    let needed = sentence(&admin.delete("/api/v1/lists/expected"), 409);
    assert!(needed.contains("group expected names it"), "{needed}");
}

#[test]
fn a_list_may_be_long_and_not_longer() {
    let server = server();
    let admin = Operator::first(&server);
    let words = |count: usize| json!({"words": (0..count).map(|n| format!("web-{n:06}.dc1.example.com")).collect::<Vec<_>>()});
    put(&admin, "lists/long", &words(100_000));
    put(&admin, "groups/long", &json!({"select": "hostname in @long"}));
    put(&admin, "policies/a?group=long", &elsewhere("a", "1"));
    assert_eq!(told(&beat(&server, "web-099999.dc1.example.com", &json!({}))), ["a 1 start"]);
    assert_eq!(told(&beat(&server, "web-100000.dc1.example.com", &json!({}))), [""; 0]);
    let reply = admin.ask("PUT", "/api/v1/lists/long", Some(&words(100_001)));
    assert!(sentence(&reply, 400).contains("more than 100000 words"), "{}", reply.text());
    // What is short as a text, and would not be in memory.
    let many = format!("{{\"policies\":[{}{{}}]}}", "{},".repeat(100_000));
    let head = [&*bearer(&admin.token), "Content-Type: application/json"];
    let reply = server.ask("PUT", "/api/v1/fleet?dryRun=true", &head, many.as_bytes());
    assert!(sentence(&reply, 400).contains("more than 100000 policies"), "{}", reply.text());
    let huge = json!({"words": ["x".repeat(17 << 20)]});
    assert_eq!(admin.ask("PUT", "/api/v1/lists/long", Some(&huge)).status, 413);
}

#[test]
fn a_group_goes_with_its_policies_or_stays() {
    let server = server();
    let admin = Operator::first(&server);
    put(&admin, "groups/g", &json!({"select": "all"}));
    put(&admin, "policies/a?group=g", &elsewhere("a", "1"));
    let needed = sentence(&admin.delete("/api/v1/groups/g"), 409);
    assert!(needed.contains("group g has policies, 1 of them"), "{needed}");
    let gone = admin.delete("/api/v1/groups/g?withPolicies=true").json();
    assert_eq!(gone["differences"].as_array().unwrap().len(), 2);
    let event = admin.get("/api/v1/events?limit=1").json()["events"][0].clone();
    assert_eq!(
        (&event["kind"], &event["before"]["group g"]),
        (&json!("desired.changed"), &json!({"select": "all"}))
    );
    for path in ["groups/g", "policies/a?group=g", "lists/none", "policies/none"] {
        assert_eq!(admin.delete(&format!("/api/v1/{path}")).status, 404, "{path}");
    }
}

#[test]
fn bad_input_is_refused_with_all_that_is_wrong_and_loses_nothing() {
    let server = server();
    let admin = Operator::first(&server);
    put(&admin, "policies/a", &elsewhere("a", "1"));
    let before = admin.get("/api/v1/fleet").json();
    let deep = format!("{}all", "not ".repeat(1000));
    let fleet = json!({
        "groups": {"deep": {"select": deep}, "empty": {"select": ""}, "typo": {"select": "evn=prod adn os=linux"}},
        "policies": [{"agent": "a", "group": "nowhere"}, {"agent": "a", "version": "x y"}],
    });
    let problem = refused(&admin.ask("PUT", "/api/v1/fleet", Some(&fleet)), 400);
    let faults: Vec<_> =
        problem["faults"].as_array().unwrap().iter().map(|it| it["path"].as_str().unwrap()).collect();
    assert_eq!(
        faults,
        [
            "groups.deep.select",
            "groups.empty.select",
            "groups.typo.select",
            "policies[0].group",
            "policies[1].version"
        ]
    );
    for (body, part) in [
        (json!({"polices": []}), "there is no field `polices`; `policies`, perhaps?"),
        (json!({"groups": {"g": {"priority": 1}}}), "select"),
        (json!({"policies": [{"agent": 7}]}), "policies[0].agent"),
        (json!([]), "the body has to be a JSON object"),
    ] {
        let told = sentence(&admin.ask("PUT", "/api/v1/fleet", Some(&body)), 400);
        assert!(told.contains(part), "{told}");
    }
    assert_eq!(admin.get("/api/v1/fleet").json(), before);
}
