//! What operators see of hosts, and that it survives a restart.

use serde_json::{Value, json};

use crate::support::{Operator, Server, config, eventually};

fn names(list: &Value) -> Vec<&str> {
    list["hosts"].as_array().unwrap().iter().map(|host| host["hostname"].as_str().unwrap()).collect()
}

/// `web01` is as desired, `web02` failed, `lg-01` is moving, `db01` has another agent only and speaks as in 2015.
fn report_all(server: &Server) {
    let agent = |name: &str, version: &str, more: Value| {
        let mut agent =
            json!({ "name": name, "version": version, "status": "started", "timestamp": 1_800_000_000 });
        agent.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        agent
    };
    let host = |hostname: &str, n: u8, agents: Value| {
        json!({
            "hostname": hostname, "realAgents": agents, "ip": format!("10.0.0.{n}"), "os": "linux", "arch": "x86_64",
            "updaterVersion": "0.1.0", "runUser": "root", "machineId": format!("{n:032x}"), "intervalSecs": 60,
            "generation": 1, "labels": { "env": if n == 2 { "test" } else { "prod" } },
        })
    };
    let failed = json!({
        "phase": "rolled_back", "errorCode": "trial_failed", "error": "it died\nafter 5 s", "attempt": 2,
        "nextTry": 1_800_000_300, "desiredVersion": "1.0.0",
        "steps": [{ "step": "fetch", "at": 1_800_000_000, "ms": 1500, "code": "" }],
    });
    let moving =
        json!({ "phase": "downloading", "percent": 40, "desiredVersion": "2.0.0", "rebootRequired": true });
    for beat in [
        host("web01", 1, json!([agent("falcon-agent", "1.0.0", json!({ "phase": "idle" }))])),
        host("web02", 2, json!([agent("falcon-agent", "0.9.0", failed)])),
        host("lg-01", 3, json!([agent("falcon-agent", "1.0.0", moving)])),
        json!({ "hostname": "db01", "realAgents": [agent("other", "1", json!({}))] }),
    ] {
        assert_eq!(server.post("/heartbeat", &beat).status, 200);
    }
}

#[test]
fn hosts_are_found_by_what_they_are() {
    let server = Server::start(&config());
    report_all(&server);
    let admin = Operator::first(&server);
    for (query, expected) in [
        ("", "db01 lg-01 web01 web02"),
        ("sort=-hostname", "web02 web01 lg-01 db01"),
        ("hostname=web*", "web01 web02"),
        ("hostname=web01", "web01"),
        ("hostname=web", ""),
        ("match=0[12]%24&hostname=w*", "web01 web02"),
        ("current=yes", "web01"),
        ("current=failed,pending", "lg-01 web02"),
        ("sort=-current", "web02 db01 lg-01 web01"),
        ("agent=falcon-agent&version=1.0.0", "lg-01 web01"),
        ("version=1", "db01"),
        ("error=*", "web02"),
        ("error=trial_failed", "web02"),
        ("error=md5*", ""),
        ("label=env=prod", "lg-01 web01"),
        ("label=env", "lg-01 web01 web02"),
        ("label=env=prod,env=test", ""),
        ("os=linux&arch=x86_64", "lg-01 web01 web02"),
        ("ip=10.0.0.2", "web02"),
        ("rebootRequired=true", "lg-01"),
        ("claimedTwice=true", ""),
        ("state=new", "db01 lg-01 web01 web02"),
        ("state=late,gone", ""),
        ("status=started&limit=2", "db01 lg-01"),
        ("where=env%3Dprod+and+not+host~%22%5Elg-%22", "web01"),
        ("where=version(falcon-agent)%3C1.0.1", "lg-01 web01 web02"),
        ("where=ip+in+10.0.0.0/30+and+error(falcon-agent)%3D*", "web02"),
        ("where=current+in+(failed,+pending)&hostname=lg*", "lg-01"),
        ("where=reboot%3Dyes+or+state%3Dgone", "lg-01"),
        ("where=all&limit=1", "db01"),
    ] {
        let reply = admin.get(&format!("/api/v1/hosts?{query}"));
        assert_eq!(reply.status, 200, "{query}: {}", reply.text());
        assert_eq!(names(&reply.json()).join(" "), expected, "{query}");
    }
}

#[test]
fn a_list_comes_in_pages() {
    let server = Server::start(&config());
    for n in 0..25 {
        server.post("/heartbeat", &json!({ "hostname": format!("host{n:02}") }));
    }
    let admin = Operator::first(&server);
    for sort in ["hostname", "-hostname", "lastSeen", "-state"] {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let list = admin.get(&format!("/api/v1/hosts?limit=10&total=true&sort={sort}{cursor}")).json();
            assert_eq!(list["total"], 25);
            all.extend(names(&list).into_iter().map(str::to_owned));
            let Some(next) = list["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(all.len(), 25, "{sort}");
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 25, "{sort}");
    }
}

#[test]
fn a_list_by_when_hosts_were_heard_ends_while_they_speak() {
    let server = Server::start(&config());
    let beat = |n: u32| server.post("/heartbeat", &json!({ "hostname": format!("host{n}") }));
    (0..5).for_each(|n| drop(beat(n)));
    let admin = Operator::first(&server);
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let list = admin.get(&format!("/api/v1/hosts?limit=2&sort=lastSeen{cursor}")).json();
        all.extend(names(&list).into_iter().map(str::to_owned));
        let Some(next) = list["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
        assert!(all.len() < 9, "it goes on with {all:?}");
        // Those that were listed speak again, a second later.
        let second = |path: &str| admin.get(path).json()["lastSeen"].as_i64().unwrap();
        for name in &all {
            let path = format!("/api/v1/hosts/{name}");
            let before = second(&path);
            eventually("a later beat", || {
                server.post("/heartbeat", &json!({ "hostname": name }));
                (second(&path) > before).then_some(())
            });
        }
    }
    assert_eq!(all, ["host0", "host1", "host2", "host3", "host4"]);
}

#[test]
fn what_is_wrong_with_a_filter_is_said() {
    let server = Server::start(&config());
    let admin = Operator::first(&server);
    for (query, field) in [
        ("state=dead", "state"),
        ("current=", "current"),
        ("sort=size", "sort"),
        ("cursor=x", "cursor"),
        ("limit=0", "limit"),
        ("match=(", "match"),
        ("match=(((a{100}){100}){100}){100}", "match"),
        ("hostnam=x", "hostnam"),
        ("rebootRequired=1", "rebootRequired"),
        ("where=", "where"),
        ("where=env%3D%3Dprod", "where"),
        ("where=host+in+@edge", "where"),
    ] {
        let reply = admin.get(&format!("/api/v1/hosts?{query}"));
        assert_eq!((reply.status, &reply.json()["field"]), (400, &json!(field)), "{query}: {}", reply.text());
    }
}

#[test]
fn one_host_is_shown_in_full() {
    let server = Server::start(&config());
    report_all(&server);
    let admin = Operator::first(&server);
    eventually("the report to be written", || admin.get("/api/v1/hosts/web02").json()["reported"].as_i64());
    let host = admin.get("/api/v1/hosts/web02").json();
    assert_eq!(
        (&host["state"], &host["current"], &host["machineId"], &host["runUser"], &host["generation"]),
        (&json!("new"), &json!("failed"), &json!(format!("{:032x}", 2)), &json!("root"), &json!(1))
    );
    let agent = &host["agents"][0];
    assert_eq!(
        (&agent["error"], &agent["attempt"], &agent["nextTry"], &agent["looked"]),
        (
            &json!("it died\nafter 5 s"),
            &json!(2),
            &json!(1_800_000_300_000_i64),
            &json!(1_800_000_000_000_i64)
        )
    );
    assert_eq!(
        agent["steps"],
        json!([{ "step": "fetch", "at": 1_800_000_000_000_i64, "ms": 1500, "code": "" }])
    );
    assert_eq!(
        host["desired"],
        json!([{ "name": "falcon-agent", "version": "1.0.0", "cmd": "start", "current": "failed" }])
    );
    assert_eq!(host["history"], json!([]));
    assert_eq!(admin.get("/api/v1/hosts/lg-01").json()["agents"][0]["percent"], 40);
    server.post(
        "/heartbeat",
        &json!({ "hostname": "db01", "realAgents": [{ "name": "other", "version": "2" }] }),
    );
    let history = eventually("the change to be written", || {
        let history = admin.get("/api/v1/hosts/db01").json()["history"].clone();
        (history != json!([])).then_some(history)
    });
    let line = |n: usize| {
        ["agent", "what", "before", "after"].map(|key| history[n][key].as_str().unwrap().to_owned())
    };
    assert_eq!(line(1), ["other", "version", "1", "2"]);
    assert_eq!(line(0), ["other", "status", "started", "stoped"]);
    let missing = admin.get("/api/v1/hosts/nobody");
    assert_eq!(
        (missing.status, missing.json()["detail"].as_str()),
        (404, Some("there is no host \"nobody\""))
    );
}

#[test]
fn hosts_survive_a_restart_and_the_end_by_force() {
    let mut server = Server::start(&config());
    report_all(&server);
    let before = { Operator::first(&server).get("/api/v1/hosts?sort=hostname").json() };
    server.restart();
    let admin = Operator::first(&server);
    assert_eq!(admin.get("/api/v1/hosts?sort=hostname").json(), before);
    assert_eq!(server.get("/status/json/falcon-agent").json()["web01"]["version"], "1.0.0");
    // What was said more than a second ago survives even this.
    server.post("/heartbeat", &json!({ "hostname": "late-comer" }));
    eventually("it to be written", || {
        Operator::first(&server).get("/api/v1/hosts/late-comer").json()["reported"].as_i64()
    });
    server.restart_killed();
    let list = Operator::first(&server).get("/api/v1/hosts").json();
    assert_eq!(names(&list), ["db01", "late-comer", "lg-01", "web01", "web02"]);
}

#[test]
fn a_dropped_host_stays_away_until_it_speaks() {
    let mut server = Server::start(&config());
    report_all(&server);
    {
        let admin = Operator::first(&server);
        assert_eq!(admin.delete("/api/v1/hosts/web02").status, 204);
        assert_eq!(admin.delete("/api/v1/hosts/web02").status, 404);
        let event = &admin.get("/api/v1/events").json()["events"][0];
        assert_eq!((&event["kind"], &event["object"]), (&json!("host.dropped"), &json!("host web02")));
        let (_, viewer) = admin.create("viewer", "viewer", &Value::Null);
        assert_eq!(viewer.delete("/api/v1/hosts/web01").status, 403);
    }
    server.restart();
    let admin = Operator::first(&server);
    assert_eq!(names(&admin.get("/api/v1/hosts").json()), ["db01", "lg-01", "web01"]);
    report_all(&server);
    assert_eq!(names(&admin.get("/api/v1/hosts?hostname=web02").json()), ["web02"]);
}

#[test]
fn the_metrics_count_hosts_and_heartbeats() {
    let server = Server::start(&config());
    report_all(&server);
    server.post("/heartbeat", &json!({ "hostname": "" }));
    let text = server.get("/metrics").text();
    for line in [
        "ops_meta_hosts{state=\"new\"} 4",
        "ops_meta_hosts{state=\"gone\"} 0",
        "ops_meta_heartbeats_total 4",
        "ops_meta_heartbeats_refused_total 1",
        "ops_meta_generation 1",
    ] {
        assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
    }
}

#[test]
fn hosts_are_counted_once_for_all_who_ask_within_some_seconds() {
    let server = Server::start(&config());
    let count = || {
        let text = server.get("/metrics").text();
        text.lines().find_map(|line| line.strip_prefix("ops_meta_hosts{state=\"new\"} ")?.parse::<u32>().ok())
    };
    let began = std::time::Instant::now();
    assert_eq!(count(), Some(0));
    report_all(&server);
    let again = count();
    assert!(again == Some(0) || began.elapsed().as_secs() > 3, "{again:?}");
    eventually("another count", || count().filter(|&hosts| hosts == 4));
}

#[test]
fn a_host_that_is_dropped_while_it_is_written_stays_away() {
    let mut server = Server::start(&config());
    {
        let admin = Operator::first(&server);
        let other = rusqlite::Connection::open(server.path("data/ops-meta.db")).unwrap();
        other.execute_batch("BEGIN EXCLUSIVE").unwrap();
        server.post("/heartbeat", &json!({ "hostname": "ghost" }));
        // The flush comes first, then the drop: both wait.
        std::thread::scope(|scope| {
            scope.spawn(move || {
                std::thread::sleep(std::time::Duration::from_millis(1500));
                other.execute_batch("ROLLBACK").unwrap();
            });
            std::thread::sleep(std::time::Duration::from_millis(1200));
            assert_eq!(admin.delete("/api/v1/hosts/ghost").status, 204);
        });
    }
    server.restart_killed();
    let admin = Operator::first(&server);
    assert_eq!(admin.get("/api/v1/hosts/ghost").status, 404);
    let events = admin.get("/api/v1/events?object=host%20ghost").json();
    assert_eq!(events["events"].as_array().unwrap().len(), 1);
}

#[test]
fn a_misspelt_parameter_drops_nobody() {
    let server = Server::start(&config());
    report_all(&server);
    let admin = Operator::first(&server);
    let refused = admin.delete("/api/v1/hosts/web01?dryRun=true");
    assert_eq!((refused.status, &refused.json()["field"]), (400, &json!("dryRun")));
    assert_eq!(admin.get("/api/v1/hosts/web01").status, 200);
    let long = "a".repeat(1025);
    assert_eq!(admin.get(&format!("/api/v1/hosts?label={long}")).status, 400);
}
