//! Some hosts do something once each: told by a real server in its answers to their beats, which they answer in their next.

use serde_json::{Value, json};

use crate::support::{Operator, Reply, Server, bearer, config_with, eventually};

/// A server without orders, and an admin of it.
fn server() -> Server {
    Server::start(&config_with(json!({ "agents": [] })))
}

/// One beat of a host that has done this; what it is to do.
fn beat(server: &Server, hostname: &str, done: &Value) -> Value {
    let agent = json!({"name": "a", "version": "1", "status": "started", "timestamp": 1_800_000_000});
    let mut beat = json!({"hostname": hostname, "labels": {"env": "prod"}, "realAgents": [agent]});
    if done != &json!([]) {
        beat["actionsDone"] = done.clone();
    }
    // As a host writes it: what begins otherwise is never taken for a repeat.
    let text = beat.to_string();
    let rest = text.trim_start_matches('{').replace(&format!(r#""hostname":"{hostname}","#), "");
    let rest = rest.replace(&format!(r#","hostname":"{hostname}""#), "");
    let body = format!(r#"{{"hostname":"{hostname}",{rest}"#);
    let reply = server.ask("POST", "/heartbeat", &[], body.as_bytes());
    assert_eq!(reply.status, 200, "{}", reply.text());
    let answer = reply.json();
    assert_eq!(answer["errorMessage"], "");
    answer["actions"].clone()
}

fn quiet(server: &Server, hostname: &str) -> Value {
    beat(server, hostname, &json!([]))
}

fn names(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("web-{n:02}")).collect()
}

/// That many hosts, heard twice: their next beats are repeats.
fn heard(server: &Server, count: usize) -> Vec<String> {
    let names = names(count);
    for name in names.iter().chain(&names) {
        assert_eq!(quiet(server, name), Value::Null);
    }
    names
}

fn restart(hosts: &[String]) -> Value {
    json!({"kind": "restart", "agent": "a", "hosts": hosts})
}

fn with(mut wanted: Value, key: &str, value: Value) -> Value {
    wanted[key] = value;
    wanted
}

fn create(admin: &Operator<'_>, wanted: &Value) -> u64 {
    let reply = admin.post("/api/v1/jobs", wanted);
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()["id"].as_u64().unwrap()
}

fn show(admin: &Operator<'_>, id: u64) -> Value {
    let reply = admin.get(&format!("/api/v1/jobs/{id}"));
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

fn counts(admin: &Operator<'_>, id: u64) -> [u64; 5] {
    let counts = show(admin, id)["counts"].clone();
    ["pending", "sent", "done", "failed", "expired"].map(|state| counts[state].as_u64().unwrap())
}

fn is_over(admin: &Operator<'_>, id: u64, state: &str) -> Value {
    eventually(&format!("the job to be {state}"), || {
        Some(show(admin, id)).filter(|job| job["state"] == state && job["finished"].is_i64())
    })
}

fn action(id: u64) -> Value {
    json!([{"id": id, "kind": "restart", "agent": "a"}])
}

fn sentence(reply: &Reply, status: u16) -> String {
    assert_eq!(reply.status, status, "{}", reply.text());
    reply.json()["detail"].as_str().unwrap().to_owned()
}

fn events(admin: &Operator<'_>, id: u64) -> Vec<String> {
    let events = admin.get(&format!("/api/v1/events?object=job%20{id}")).json();
    let kind = |event: &Value| event["kind"].as_str().unwrap().to_owned();
    events["events"].as_array().unwrap().iter().rev().map(kind).collect()
}

#[test]
fn hosts_are_told_until_they_have_answered_and_then_it_is_done() {
    let server = server();
    let admin = Operator::first(&server);
    let hosts = heard(&server, 3);
    let id = create(&admin, &with(restart(&hosts[..2]), "note", json!("it leaks")));
    assert_eq!(counts(&admin, id), [2, 0, 0, 0, 0]);

    assert_eq!(quiet(&server, "web-01"), action(id), "its beat is a repeat");
    assert_eq!(quiet(&server, "web-01"), action(id), "the answer may have been lost");
    assert_eq!(quiet(&server, "web-03"), Value::Null, "it is not of the job");
    assert_eq!(counts(&admin, id), [1, 1, 0, 0, 0]);

    let done = json!([{"id": id, "code": ""}]);
    assert_eq!(beat(&server, "web-01", &done), Value::Null);
    assert_eq!(beat(&server, "web-01", &done), Value::Null, "said again it changes nothing");
    beat(&server, "web-03", &done);
    assert_eq!((counts(&admin, id), show(&admin, id)["percent"].clone()), ([1, 0, 1, 0, 0], json!(50)));

    assert_eq!(quiet(&server, "web-02"), action(id));
    beat(&server, "web-02", &json!([{"id": 7, "code": ""}, {"id": id, "code": "bad_name"}]));
    let job = is_over(&admin, id, "done");
    assert_eq!(job["failures"], json!({"bad_name": {"hosts": 1, "some": ["web-02"]}}));
    assert_eq!(
        (&job["percent"], &job["note"], &job["actor"]),
        (&json!(100), &json!("it leaks"), &json!("token 1 (first admin)"))
    );
    assert_eq!(events(&admin, id), ["job.created", "job.done"]);

    let listed = admin.get(&format!("/api/v1/jobs/{id}/hosts")).json()["hosts"].clone();
    let [one, two] = listed.as_array().unwrap().as_slice() else { panic!("{listed}") };
    assert_eq!((&one["state"], &one["code"], &one["why"]), (&json!("done"), &Value::Null, &Value::Null));
    assert!(one["told"].as_i64() <= one["answered"].as_i64() && one["told"].is_i64(), "{one}");
    assert_eq!((&two["state"], &two["code"]), (&json!("failed"), &json!("bad_name")));
    assert_eq!(two["why"], "there is no such agent on this host");
    assert_eq!(quiet(&server, "web-01"), Value::Null);
}

#[test]
fn no_more_hosts_are_under_way_than_may_be() {
    let server = server();
    let admin = Operator::first(&server);
    let hosts = heard(&server, 4);
    let id = create(&admin, &with(restart(&hosts), "maxInFlight", json!(2)));
    let told = |server: &Server| hosts.iter().filter(|host| quiet(server, host) == action(id)).count();
    assert_eq!((told(&server), told(&server)), (2, 2));
    beat(&server, "web-02", &json!([{"id": id, "code": "held"}]));
    assert_eq!(told(&server), 2, "web-01 again, and one more");
    assert_eq!(counts(&admin, id), [1, 2, 0, 1, 0]);
}

#[test]
fn a_server_that_was_killed_goes_on_from_there() {
    let mut server = server();
    let hosts = heard(&server, 3);
    let id = create(&Operator::first(&server), &with(restart(&hosts), "maxInFlight", json!(2)));
    quiet(&server, "web-01");
    quiet(&server, "web-02");
    beat(&server, "web-01", &json!([{"id": id, "code": ""}]));
    let database = rusqlite::Connection::open(server.path("data/ops-meta.db")).unwrap();
    let written = "SELECT count(*) FROM job_hosts WHERE state = 'sent' OR answered IS NOT NULL";
    eventually("what hosts said to be written", || {
        let count: i64 = database.query_row(written, [], |row| row.get(0)).unwrap();
        (count == 2).then_some(())
    });
    drop(database);
    server.restart_killed();

    let admin = Operator::first(&server);
    assert_eq!(counts(&admin, id), [1, 1, 1, 0, 0]);
    assert_eq!(quiet(&server, "web-01"), Value::Null);
    assert_eq!((quiet(&server, "web-02"), quiet(&server, "web-03")), (action(id), action(id)));
    // What was lost with the last second is said again.
    server.restart_killed();
    let admin = Operator::first(&server);
    for host in ["web-02", "web-03"] {
        beat(&server, host, &json!([{"id": id, "code": ""}]));
    }
    assert_eq!(is_over(&admin, id, "done")["counts"]["done"], 3);
    server.restart();
    let admin = Operator::first(&server);
    assert_eq!((show(&admin, id)["state"].clone(), counts(&admin, id)), (json!("done"), [0, 0, 3, 0, 0]));
}

#[test]
fn who_has_not_answered_in_time_is_told_nothing_more() {
    let server = server();
    let admin = Operator::first(&server);
    let hosts = heard(&server, 3);
    let id = create(&admin, &with(restart(&hosts), "expiresSecs", json!(4)));
    assert_eq!(quiet(&server, "web-01"), action(id));
    quiet(&server, "web-02");
    beat(&server, "web-02", &json!([{"id": id, "code": ""}]));
    let job = is_over(&admin, id, "expired");
    assert_eq!((job["percent"].clone(), counts(&admin, id)), (json!(33), [0, 0, 1, 0, 2]));
    assert_eq!(quiet(&server, "web-01"), Value::Null);
    beat(&server, "web-01", &json!([{"id": id, "code": ""}]));
    assert_eq!(counts(&admin, id), [0, 0, 1, 0, 2], "it is too late");
    let expired = admin.get(&format!("/api/v1/jobs/{id}/hosts?state=expired")).json()["hosts"].clone();
    let why: Vec<&str> = expired.as_array().unwrap().iter().map(|it| it["why"].as_str().unwrap()).collect();
    assert_eq!(
        why,
        [
            "it was told, and did not answer before the job was over",
            "it could not be told before the job was over"
        ]
    );
    assert_eq!(events(&admin, id), ["job.created", "job.done"]);
}

#[test]
fn one_that_is_stopped_tells_nobody_else_and_may_be_deleted() {
    let server = server();
    let admin = Operator::first(&server);
    let hosts = heard(&server, 2);
    let id = create(&admin, &restart(&hosts));
    quiet(&server, "web-01");
    let path = format!("/api/v1/jobs/{id}");
    assert!(sentence(&admin.delete(&path), 409).contains("is not over; wait for its end, or stop it"));
    for _ in 0..2 {
        let stopped = admin.ask("POST", &format!("{path}/stop"), None);
        assert_eq!((stopped.status, stopped.json()["state"].clone()), (200, json!("stopped")));
    }
    assert_eq!((quiet(&server, "web-01"), quiet(&server, "web-02")), (Value::Null, Value::Null));
    assert_eq!(counts(&admin, id), [1, 1, 0, 0, 0], "who was told, and who was not");
    assert_eq!(admin.delete(&path).status, 204);
    assert_eq!((admin.get(&path).status, admin.delete(&path).status), (404, 404));
    assert_eq!(admin.get(&format!("{path}/hosts")).status, 404);
    assert_eq!(events(&admin, id), ["job.created", "job.stopped", "job.deleted"]);
    assert!(create(&admin, &restart(&hosts)) > id, "a number is never given again");
}

#[test]
fn a_job_says_nothing_of_what_should_run() {
    let server = server();
    let admin = Operator::first(&server);
    let hosts = heard(&server, 1);
    let answer = |server: &Server| {
        let beat =
            json!({"hostname": "web-01", "realAgents": [{"name": "a", "version": "1", "status": "started"}]});
        server.post("/heartbeat", &beat).json()
    };
    let without = answer(&server);
    assert_eq!(without["desiredAgents"], json!([]), "no change");
    let id = create(&admin, &restart(&hosts));
    let mut with = answer(&server);
    assert_eq!(with["actions"].take(), action(id));
    with.as_object_mut().unwrap().remove("actions");
    assert_eq!(with["desiredAgents"], without["desiredAgents"]);

    // Where policies decided once, it is told to leave its agents alone.
    let policy = json!({"version": "1", "cmd": "start", "tarball": "http://elsewhere"});
    assert_eq!(admin.ask("PUT", "/api/v1/policies/a", Some(&policy)).status, 200);
    assert_eq!(answer(&server)["desiredAgents"][0]["cmd"], "start");
    assert_eq!(answer(&server)["actions"], action(id));
    assert_eq!(admin.delete("/api/v1/policies/a").status, 200);
    let alone = answer(&server);
    assert_eq!((&alone["desiredAgents"][0]["cmd"], &alone["actions"]), (&json!(""), &action(id)));
}

#[test]
fn who_is_meant_is_worked_out_when_it_is_made() {
    let server = server();
    let admin = Operator::first(&server);
    heard(&server, 4);
    let canaries = json!({"words": ["web-03", "web-04"]});
    assert_eq!(admin.ask("PUT", "/api/v1/lists/canaries", Some(&canaries)).status, 200);
    let meant = |wanted: Value| {
        let reply = admin.post("/api/v1/jobs?dryRun=true", &wanted);
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.json()["id"], Value::Null);
        let hosts = reply.json()["hosts"].as_array().unwrap().clone();
        hosts.iter().map(|host| host.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let report = |hosts: &[&str]| json!({"kind": "report", "hosts": hosts});
    assert_eq!(meant(report(&["@canaries", "web-01", "web-03"])), ["web-01", "web-03", "web-04"]);
    let select = |text: &str| json!({"kind": "report", "select": text});
    assert_eq!(meant(select("env=prod and not hostname in @canaries")), ["web-01", "web-02"]);
    assert_eq!(
        meant(with(select("hostname=web-02"), "hosts", json!(["@canaries"]))),
        ["web-02", "web-03", "web-04"]
    );
    assert_eq!(meant(with(report(&["new-01"]), "allowUnknown", json!(true))), ["new-01"]);
    assert_eq!(admin.get("/api/v1/jobs").json()["jobs"], json!([]), "nothing was made");

    let id = create(&admin, &with(report(&["new-01"]), "allowUnknown", json!(true)));
    assert_eq!(
        quiet(&server, "new-01"),
        json!([{"id": id, "kind": "report", "agent": ""}]),
        "its first beat"
    );
}

#[test]
fn what_makes_no_sense_is_refused_with_the_field() {
    let server = server();
    let admin = Operator::first(&server);
    let hosts = heard(&server, 1);
    let many: Vec<String> = (0..10_001).map(|n| format!("h{n}")).collect();
    for (wanted, field, why) in [
        (json!({"kind": "explode", "hosts": hosts}), "kind", "unknown variant"),
        (json!({"kind": "restart", "hosts": hosts}), "agent", "is no agent's name"),
        (with(restart(&hosts), "agent", json!("../x")), "agent", "is no agent's name"),
        (json!({"kind": "report", "agent": "a", "hosts": hosts}), "agent", "leave `agent` out"),
        (restart(&[]), "hosts", "nobody is meant"),
        (restart(&["nobody".to_owned()]), "hosts", "not known: nobody (1 of those named)"),
        (restart(&["@none".to_owned()]), "hosts", "there is no list \"none\""),
        (restart(&["a b".to_owned()]), "hosts", "is no host"),
        (json!({"kind": "report", "select": "version(a)=1"}), "select", "`select`, "),
        (json!({"kind": "report", "select": "env=test"}), "select", "no host is selected"),
        (
            with(restart(&many), "allowUnknown", json!(true)),
            "hosts",
            "10001 hosts are meant, and 10000 may be",
        ),
        (with(restart(&hosts), "maxInFlight", json!(0)), "maxInFlight", "no host would be told"),
        (with(restart(&hosts), "expiresSecs", json!(0)), "expiresSecs", "which is 30 days"),
        (with(restart(&hosts), "expiresSecs", json!(2_592_001)), "expiresSecs", "which is 30 days"),
        (with(restart(&hosts), "note", json!("x".repeat(1025))), "note", "1024 bytes"),
    ] {
        let reply = admin.post("/api/v1/jobs", &wanted);
        assert!(sentence(&reply, 400).contains(why), "{field}: {}", reply.text());
        assert_eq!(reply.json()["field"], field, "{}", reply.text());
    }
    for path in ["/api/v1/jobs/1", "/api/v1/jobs/x", "/api/v1/jobs/1/hosts"] {
        assert_eq!(admin.get(path).status, 404, "{path}");
    }
    assert_eq!(admin.ask("POST", "/api/v1/jobs/1/stop", None).status, 404);
}

#[test]
fn no_more_jobs_run_than_hosts_remember() {
    let server = server();
    let admin = Operator::first(&server);
    let hosts = heard(&server, 1);
    let ids: Vec<u64> = (0..100).map(|_| create(&admin, &restart(&hosts))).collect();
    assert!(ids.is_sorted_by(|one, other| one < other), "each has a number of its own: {ids:?}");
    let refused = admin.post("/api/v1/jobs", &restart(&hosts));
    assert_eq!(
        sentence(&refused, 409),
        "100 jobs run, and there may be no more at once; wait for the end of one, or stop one"
    );
    assert_eq!(quiet(&server, "web-01").as_array().unwrap().len(), 100);
    admin.ask("POST", &format!("/api/v1/jobs/{}/stop", ids[7]), None);
    create(&admin, &restart(&hosts));
}

#[test]
fn operators_make_jobs_and_viewers_look() {
    let server = server();
    let admin = Operator::first(&server);
    let hosts = heard(&server, 1);
    let (_, viewer) = admin.create("viewer", "viewer", &Value::Null);
    let (_, operator) = admin.create("operator", "operator", &Value::Null);
    assert_eq!(viewer.post("/api/v1/jobs?dryRun=true", &restart(&hosts)).status, 200);
    assert!(
        sentence(&viewer.post("/api/v1/jobs", &restart(&hosts)), 403).contains("needs the role operator")
    );
    let id = create(&operator, &restart(&hosts));
    assert_eq!(show(&viewer, id)["hosts"], 1);
    assert_eq!(viewer.ask("POST", &format!("/api/v1/jobs/{id}/stop"), None).status, 403);
    assert_eq!(viewer.delete(&format!("/api/v1/jobs/{id}")).status, 403);
}

#[test]
fn a_job_that_is_asked_for_again_with_its_key_is_made_once() {
    let server = server();
    let admin = Operator::first(&server);
    let body = restart(&heard(&server, 1)).to_string();
    let made = || {
        let token = bearer(&admin.token);
        let head = [&*token, "Content-Type: application/json", "Idempotency-Key: once"];
        server.ask("POST", "/api/v1/jobs", &head, body.as_bytes())
    };
    let (first, second) = (made(), made());
    assert_eq!((first.status, second.status), (201, 201));
    assert_eq!(first.json(), second.json());
    assert_eq!(admin.get("/api/v1/jobs").json()["jobs"].as_array().unwrap().len(), 1);
}

#[test]
fn jobs_and_their_hosts_come_in_pages() {
    let server = server();
    let admin = Operator::first(&server);
    let hosts = heard(&server, 3);
    let ids: Vec<u64> = (0..3).map(|_| create(&admin, &restart(&hosts))).collect();
    admin.ask("POST", &format!("/api/v1/jobs/{}/stop", ids[1]), None);
    let first = admin.get("/api/v1/jobs?limit=2").json();
    let second =
        admin.get(&format!("/api/v1/jobs?limit=2&cursor={}", first["next"].as_str().unwrap())).json();
    let id = |page: &Value, at: usize| page["jobs"][at]["id"].as_u64().unwrap();
    assert_eq!([id(&first, 0), id(&first, 1), id(&second, 0)], [ids[2], ids[1], ids[0]]);
    assert_eq!(second["next"], Value::Null);
    assert_eq!(admin.get("/api/v1/jobs?state=running").json()["jobs"].as_array().unwrap().len(), 2);
    // One that runs is shown from memory, and one that is over from the database.
    for id in [ids[0], ids[1]] {
        let page = admin.get(&format!("/api/v1/jobs/{id}/hosts?limit=2&state=pending,sent")).json();
        assert_eq!(page["next"], "web-02");
        let rest = admin.get(&format!("/api/v1/jobs/{id}/hosts?cursor=web-02")).json();
        assert_eq!((&rest["hosts"][0]["hostname"], &rest["next"]), (&json!("web-03"), &Value::Null));
        let none = admin.get(&format!("/api/v1/jobs/{id}/hosts?state=done")).json();
        assert_eq!(none["hosts"], json!([]));
    }
    assert!(
        sentence(&admin.get(&format!("/api/v1/jobs/{}/hosts?state=x", ids[0])), 400)
            .contains("pending, sent")
    );
    // All of them are told at once, in the order in which they were made.
    let told = quiet(&server, "web-01");
    let told: Vec<u64> = told.as_array().unwrap().iter().map(|it| it["id"].as_u64().unwrap()).collect();
    assert_eq!(told, [ids[0], ids[2]]);
}
