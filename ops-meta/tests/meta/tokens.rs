//! Who may do what, and who may not.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::support::command_line::{asking, run};
use crate::support::{Operator, Reply, Server, bearer, beat, config_with, eventually, read_reply, request};

/// On this machine only.
fn server() -> Server {
    Server::start(&config_with(json!({ "agents": [] })))
}

/// Where hosts have to show a token.
fn open_to_all() -> Server {
    Server::run(tempfile::tempdir().unwrap(), &["serve", "--listen", "0.0.0.0:0"])
}

/// The sentence of a problem, after a look at the rest of it.
fn problem(reply: &Reply, status: u16) -> String {
    assert_eq!(reply.status, status, "{}", reply.text());
    assert_eq!(reply.header("content-type"), "application/problem+json");
    let said = reply.json();
    assert_eq!((&said["status"], &said["type"]), (&json!(status), &json!("about:blank")));
    said["detail"].as_str().unwrap().to_owned()
}

fn beat_with(server: &Server, token: &str, hostname: &str) -> Reply {
    server.ask("POST", "/heartbeat", &[&bearer(token)], beat(hostname, "started").to_string().as_bytes())
}

#[test]
fn a_call_needs_a_token_on_this_machine_too() {
    let server = server();
    for path in ["/api/v1/whoami", "/api/v1/tokens", "/api/v1/events"] {
        let reply = server.get(path);
        assert!(problem(&reply, 401).contains("a token is needed"));
        assert_eq!(reply.header("www-authenticate"), "Bearer");
        let other = server.ask("GET", path, &["Authorization: Basic YTpi"], b"");
        assert!(problem(&other, 401).contains("a token is needed"));
    }
}

#[test]
fn what_is_wrong_with_a_token_is_said_and_the_token_never_is() {
    let server = server();
    let admin = Operator::first(&server);
    let wrong = Operator::with(&server, format!("opsm_{}", "5".repeat(64)));
    assert!(problem(&wrong.get("/api/v1/whoami"), 401).contains("not known"));

    let (id, gone) = admin.create("gone", "viewer", &Value::Null);
    assert_eq!(gone.get("/api/v1/whoami").status, 200);
    for _ in 0..2 {
        assert_eq!(admin.delete(&format!("/api/v1/tokens/{id}")).status, 204);
    }
    assert!(problem(&gone.get("/api/v1/whoami"), 401).contains(&format!("token {id} (gone) was revoked")));

    let (_, brief) = admin.create("brief", "viewer", &json!({ "expiresInSecs": 1 }));
    let expired = eventually("the token to expire", || {
        Some(brief.get("/api/v1/whoami")).filter(|reply| reply.status != 200)
    });
    assert!(problem(&expired, 401).contains("(brief) has expired"));
    server.wait_for_log(&["token_refused", "(brief) has expired"]);
    for secret in [&admin.token, &wrong.token, &gone.token, &brief.token] {
        assert!(!expired.text().contains(secret.as_str()));
        assert!(!server.log().iter().any(|line| line.contains(secret.as_str())));
    }
}

#[test]
fn a_role_may_do_what_is_its_own() {
    let server = server();
    let admin = Operator::first(&server);
    let wanted = json!({ "name": "x", "role": "admin" });
    for (role, looks) in [("host", 403), ("viewer", 200), ("publisher", 200), ("operator", 200)] {
        let (id, caller) = admin.create(role, role, &Value::Null);
        assert_eq!(caller.get("/api/v1/events").status, looks, "{role}");
        let who = caller.get("/api/v1/whoami").json();
        assert_eq!((&who["role"], &who["actor"]), (&json!(role), &json!(format!("token {id} ({role})"))));
        let said = problem(&caller.post("/api/v1/tokens", &wanted), 403);
        assert!(
            said.contains("needs the role admin") && said.ends_with(&format!("has the role {role}")),
            "{said}"
        );
        assert_eq!(caller.get("/api/v1/tokens").status, 403);
        assert_eq!(caller.delete("/api/v1/tokens/1").status, 403);
    }
    assert_eq!(admin.get("/api/v1/events?kind=token.created").json()["events"].as_array().unwrap().len(), 5);
}

#[test]
fn elsewhere_a_host_shows_a_token() {
    let server = open_to_all();
    let admin = Operator::first(&server);
    let (_, fleet) = admin.create("fleet", "host", &Value::Null);
    let (_, one) = admin.create("one", "host", &json!({ "hostname": "web01" }));

    let refused = server.post("/heartbeat", &beat("web01", "started"));
    assert_eq!((refused.status, refused.text().lines().count()), (401, 1));
    let what_to_do = "put a host token into the file that `tokenFile` in the updater's cfg.json names";
    assert!(refused.text().contains(what_to_do), "{}", refused.text());
    let wrong = beat_with(&server, "opsm_wrong", "web01").text();
    assert!(wrong.contains("not known here") && wrong.contains(what_to_do), "{wrong}");
    assert!(
        refused.text().starts_with("a token is needed")
            && refused.header("content-type").starts_with("text/plain")
    );

    server.wait_for_log(&["token_refused", "without a token"]);

    assert_eq!(beat_with(&server, &fleet.token, "web01").status, 200);
    assert_eq!(beat_with(&server, &fleet.token, "web02").status, 200);
    assert_eq!(beat_with(&server, &one.token, "web01").status, 200);
    let other = beat_with(&server, &one.token, "web02");
    assert_eq!(other.status, 403);
    assert!(other.text().contains("(one) is for the host web01 only, this heartbeat is of web02"));
    let operator = beat_with(&server, &admin.token, "web01");
    assert_eq!(operator.status, 403);
    assert!(operator.text().contains("needs a token of the role host"));
}

#[test]
fn a_token_that_is_given_counts_where_none_is_needed() {
    let server = server();
    let admin = Operator::first(&server);
    let (id, host) = admin.create("h", "host", &Value::Null);
    assert_eq!(server.post("/heartbeat", &beat("web01", "started")).status, 200);
    assert_eq!(beat_with(&server, "opsm_wrong", "web01").status, 401);
    assert_eq!(beat_with(&server, &host.token, "web01").status, 200);
    admin.delete(&format!("/api/v1/tokens/{id}"));
    assert_eq!(beat_with(&server, &host.token, "web01").status, 401);
    // A proxy's own.
    let basic = server.ask("POST", "/heartbeat", &["Authorization: Basic YTpi"], b"{\"hostname\":\"a\"}");
    assert_eq!(basic.status, 200);
}

#[test]
fn whoever_guesses_is_slowed_down_and_nobody_else() {
    let server = server();
    let admin = Operator::first(&server);
    let (_, host) = admin.create("h", "host", &Value::Null);
    let guess = |n: usize| Operator::with(&server, format!("opsm_{n:064}")).get("/api/v1/whoami");
    let slowed = (0..30).map(guess).find(|reply| reply.status != 401).unwrap();
    assert!(problem(&slowed, 429).contains("too many wrong tokens"));
    let said = run(&mut asking(&server.url(), &["whoami"]));
    assert!(
        said.code == 1 && said.err.matches("try again").count() == 1 && said.err.contains(" (wait "),
        "{said:?}"
    );
    assert!((1..=60).contains(&slowed.header("retry-after").parse().unwrap()));
    let beat = beat_with(&server, "opsm_wrong", "web01");
    assert_eq!((beat.status, beat.header("retry-after").is_empty()), (429, false));

    assert_eq!(admin.get("/api/v1/whoami").status, 200);
    assert_eq!(beat_with(&server, &host.token, "web01").status, 200);
    (0..200).for_each(|n| drop(guess(n)));
    let told = server.log().iter().filter(|line| line.contains("token_refused")).count();
    assert!((1..10).contains(&told), "{told} lines");
}

#[test]
fn every_change_is_an_event_with_its_actor() {
    let server = server();
    let admin = Operator::first(&server);
    let (_, alice) = admin.create("alice", "admin", &Value::Null);
    let (id, _) = alice.create("web", "host", &json!({ "hostname": "web01" }));
    alice.delete(&format!("/api/v1/tokens/{id}"));

    let events = admin.get("/api/v1/events").json();
    let newest = &events["events"][0];
    assert_eq!(newest["actor"], "token 2 (alice)");
    assert_eq!(
        (&newest["kind"], &newest["object"]),
        (&json!("token.revoked"), &json!(format!("token {id}")))
    );
    assert_eq!(newest["before"]["hostname"], "web01");
    assert_eq!(newest["after"], Value::Null);
    let created = &events["events"][1];
    assert_eq!((&created["before"], &created["after"]["name"]), (&Value::Null, &json!("web")));
    assert_eq!(events["events"][3]["actor"], "ops-meta");
    assert!(!events.to_string().contains("opsm_"));

    let ids = |query: &str| -> Vec<i64> {
        let events = admin.get(&format!("/api/v1/events?{query}")).json();
        events["events"].as_array().unwrap().iter().map(|event| event["id"].as_i64().unwrap()).collect()
    };
    assert_eq!(ids("actor=token+2+%28alice%29"), [4, 3]);
    assert_eq!(ids("kind=token.revoked"), [4]);
    assert_eq!(ids("object=token%201"), [1]);
    assert_eq!(ids("after=2"), [4, 3]);
    assert_eq!(ids("until=0"), [0; 0]);
    assert_eq!(ids("limit=2"), [4, 3]);
    assert_eq!(ids("limit=2&cursor=3"), [2, 1]);
    assert_eq!(admin.get("/api/v1/events?limit=2").json()["next"], "3");
    assert_eq!(admin.get("/api/v1/events?limit=2&cursor=3").json()["next"], Value::Null);
}

#[test]
fn tokens_are_listed_without_their_secrets() {
    let server = server();
    let admin = Operator::first(&server);
    let (_, used) = admin.create("used", "viewer", &json!({ "expiresInSecs": 100 }));
    used.get("/api/v1/whoami");
    let list = admin.get("/api/v1/tokens?total=true");
    assert!(!list.text().contains(&used.token) && !list.text().contains("hash"));
    let list = list.json();
    assert_eq!((&list["total"], &list["next"]), (&json!(2), &Value::Null));
    let token = &list["tokens"][1];
    assert_eq!(
        (&token["name"], &token["role"], &token["revoked"]),
        (&json!("used"), &json!("viewer"), &Value::Null)
    );
    let ms = |key: &str| token[key].as_i64().unwrap();
    assert!((99_000..=100_000).contains(&(ms("expires") - ms("created"))) && ms("lastUsed") >= ms("created"));

    let page = admin.get("/api/v1/tokens?limit=1").json();
    assert_eq!(
        (&page["tokens"][0]["id"], &page["next"], &page["total"]),
        (&json!(1), &json!("1"), &Value::Null)
    );
    assert_eq!(admin.get("/api/v1/tokens?limit=1&cursor=1").json()["tokens"][0]["id"], 2);
}

#[test]
fn what_is_wrong_in_a_call_is_named() {
    let server = server();
    let admin = Operator::first(&server);
    for (query, field, word) in [
        ("limt=5", "limt", "`limit`, perhaps"),
        ("colour=red", "colour", "there are `limit`"),
        ("limit=0", "limit", "1 to 1000"),
        ("limit=1001", "limit", "1 to 1000"),
        ("limit=x", "limit", "limit"),
        ("limit=1&limit=2", "limit", "more than once"),
        ("cursor=-1", "cursor", "next"),
    ] {
        let reply = admin.get(&format!("/api/v1/events?{query}"));
        let said = problem(&reply, 400);
        assert!(said.contains(word) && reply.json()["field"] == field, "{query}: {said}");
    }
    for (more, field, word) in [
        (json!({ "name": "" }), "name", "1 to 64"),
        (json!({ "name": " a" }), "name", "blank"),
        (json!({ "name": "a\nb" }), "name", "printable"),
        (json!({ "name": "x".repeat(65) }), "name", "1 to 64"),
        (json!({ "role": "root" }), "role", "`viewer`"),
        (json!({ "hostname": "web01" }), "hostname", "role host"),
        (json!({ "role": "host", "hostname": "a b" }), "hostname", "hostname has"),
        (json!({ "expiresInSecs": 0 }), "expiresInSecs", "1 to 315360000"),
        (json!({ "expiresInSecs": 315_360_001 }), "expiresInSecs", "1 to 315360000"),
        (json!({ "expiresInSec": 5 }), "expiresInSec", "`expiresInSecs`, perhaps"),
    ] {
        let mut wanted = json!({ "name": "a", "role": "viewer" });
        wanted.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let reply = admin.post("/api/v1/tokens", &wanted);
        let said = problem(&reply, 400);
        assert!(said.contains(word) && reply.json()["field"] == field, "{wanted}: {said}");
    }
    admin.create("twice", "viewer", &Value::Null);
    problem(&admin.post("/api/v1/tokens", &json!({ "name": "twice", "role": "viewer" })), 409);
    problem(&admin.delete("/api/v1/tokens/99"), 404);
    problem(&admin.delete("/api/v1/tokens/x"), 404);
    problem(&admin.delete("/api/v1/tokens/%ff"), 404);
}

#[test]
fn a_body_that_is_none_is_refused() {
    let server = server();
    let admin = Operator::first(&server);
    let token = bearer(&admin.token);
    let post =
        |head: &[&str], body: &[u8]| server.ask("POST", "/api/v1/tokens", &[&[&*token], head].concat(), body);
    let json = &["Content-Type: application/json"][..];
    let deep = "[".repeat(50_000);
    for body in ["", "x", "{", "[]", "5", "null", &deep, "{\"name\":\"a\",\"role\":\"viewer\"} {}"] {
        problem(&post(json, body.as_bytes()), 400);
    }
    problem(&post(&["Content-Type: text/plain"], b"{}"), 415);
    problem(&post(&[], b"{}"), 415);
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(70_000));
    problem(&post(json, large.as_bytes()), 413);
    // Nobody reads what somebody without a token sends; the reason arrives all the same.
    problem(&server.ask("POST", "/api/v1/tokens", json, large.as_bytes()), 401);
}

#[test]
fn a_body_that_does_not_come_is_given_up() {
    let server = Server::start(&config_with(json!({ "timeouts": { "bodyMillis": 200 } })));
    let admin = Operator::first(&server);
    let head = [&*bearer(&admin.token), "Content-Type: application/json", "Content-Length: 50"];
    problem(&server.ask("POST", "/api/v1/tokens", &head, b""), 408);
}

#[test]
fn what_a_client_began_is_done_whole_when_it_goes_away() {
    let server = server();
    let admin = Operator::first(&server);
    let head = [&*bearer(&admin.token), "Content-Type: application/json"];
    for n in 0..50 {
        let wanted = json!({ "name": format!("token {n}"), "role": "viewer" }).to_string();
        let mut stream = server.connect();
        stream.write_all(&request("POST", "/api/v1/tokens", &head, wanted.as_bytes())).unwrap();
        // Sooner or later: before it is begun, while it is done, when it is done.
        std::thread::sleep(std::time::Duration::from_millis(n));
    }
    // What counts is in memory, what happened is in the database.
    let ids = |list: &str, noun: &str| -> Vec<i64> {
        let list = admin.get(&format!("/api/v1/{list}")).json();
        list[noun].as_array().unwrap().iter().map(|it| it["id"].as_i64().unwrap()).collect()
    };
    eventually("each token to be told and to count", || {
        let (mut told, tokens) = (ids("events?limit=1000", "events"), ids("tokens?limit=1000", "tokens"));
        told.reverse();
        (told == tokens && told.len() > 1).then_some(())
    });
}

#[test]
fn tokens_and_events_survive_a_restart() {
    let mut server = server();
    let (token, events) = {
        let admin = Operator::first(&server);
        let (_, alice) = admin.create("alice", "operator", &Value::Null);
        alice.get("/api/v1/whoami");
        let (id, _) = admin.create("gone", "viewer", &Value::Null);
        admin.delete(&format!("/api/v1/tokens/{id}"));
        (alice.token, admin.get("/api/v1/events").text())
    };
    server.restart();
    let alice = Operator::with(&server, token);
    assert_eq!(alice.get("/api/v1/events").text(), events);
    let admin = Operator::first(&server);
    let tokens = admin.get("/api/v1/tokens").json();
    assert!(tokens["tokens"][1]["lastUsed"].is_i64(), "{tokens}");
    assert!(tokens["tokens"][2]["revoked"].is_i64(), "{tokens}");
}

#[test]
fn who_is_refused_is_told_so_whatever_becomes_of_the_body() {
    let hasty = json!({ "agents": [], "timeouts": { "bodyMillis": 200 } }).to_string();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cfg.json"), hasty).unwrap();
    let server = Server::run(folder, &["serve", "--listen", "0.0.0.0:0", "-c", "cfg.json"]);
    let large = server.ask("POST", "/heartbeat", &[], &vec![b' '; 300 << 10]);
    let mut stream = server.connect();
    stream.write_all(b"POST /heartbeat HTTP/1.1\r\nHost: m\r\nContent-Length: 9\r\n\r\n{").unwrap();
    let slow = read_reply(&mut stream, false).unwrap();
    assert_eq!((large.status, slow.status), (401, 401));
}

#[test]
fn where_hosts_show_a_token_the_lists_of_2015_are_for_viewers() {
    let server = open_to_all();
    let admin = Operator::first(&server);
    let (_, host) = admin.create("h", "host", &Value::Null);
    let (_, viewer) = admin.create("v", "viewer", &Value::Null);
    beat_with(&server, &host.token, "web01");
    for path in ["/status/text/falcon-agent", "/status/json/falcon-agent"] {
        let refused = server.get(path);
        assert!(refused.status == 401 && refused.text().starts_with("a token is needed"), "{path}");
        assert_eq!((host.get(path).status, viewer.get(path).status), (403, 200), "{path}");
        assert!(viewer.get(path).text().contains("web01"));
    }
    assert!(host.get("/status/text/a").text().contains("needs the role viewer"));
    assert_eq!(server.get("/metrics").status, 200);
}

#[test]
fn what_cfg_json_orders_anew_is_an_event_of_what_differs() {
    let mut config = config_with(json!({}));
    config["agents"].as_array_mut().unwrap().push(json!({ "default": { "name": "same" } }));
    let server = Server::start(&config);
    config["agents"][0]["default"]["tarball"] = json!("http://alice:secret@h/p");
    server.configure(&config);
    assert_eq!(server.get("/config/reload").json()["msg"], "success");
    let events = Operator::first(&server).get("/api/v1/events?kind=orders.changed").json();
    let event = &events["events"][0];
    let tarball = |side: &str| event[side]["agents"][0]["default"]["tarball"].clone();
    assert_eq!(
        (tarball("before"), tarball("after")),
        (json!("http://10.0.0.1:8888/falcon"), json!("http://...@h/p"))
    );
    assert_eq!(event["after"]["agents"].as_array().unwrap().len(), 1);
}

#[test]
fn a_call_that_is_made_again_with_its_key_is_done_once() {
    let server = server();
    let admin = Operator::first(&server);
    let ask = |token: &str, key: &str, name: &str| {
        let body = json!({"name": name, "role": "viewer"}).to_string();
        let head = [&*bearer(token), "Content-Type: application/json", &*format!("Idempotency-Key: {key}")];
        server.ask("POST", "/api/v1/tokens", &head, body.as_bytes())
    };
    let first = ask(&admin.token, "k-1", "a");
    assert_eq!(first.status, 201, "{}", first.text());
    let again = ask(&admin.token, "k-1", "a");
    assert_eq!((again.status, again.text()), (201, first.text()));
    assert!(problem(&ask(&admin.token, "k-1", "b"), 422).contains("another call"));
    // Another key is another call, and another's key is another's.
    assert_eq!(ask(&admin.token, "k-2", "a").status, 409);
    let (_, other) = admin.create("other", "admin", &Value::Null);
    assert_eq!(ask(&other.token, "k-1", "c").status, 201);
    // Who may not is not remembered.
    let (_, viewer) = admin.create("viewer", "viewer", &Value::Null);
    assert_eq!(ask(&viewer.token, "k-3", "d").status, 403);
    assert!(problem(&ask(&admin.token, "k 4", "e"), 400).contains("visible ASCII"));
    assert_eq!(ask(&admin.token, &"k".repeat(129), "e").status, 400);
    let names = admin.get("/api/v1/tokens").json()["tokens"].as_array().unwrap().len();
    assert_eq!(names, 5);
}
