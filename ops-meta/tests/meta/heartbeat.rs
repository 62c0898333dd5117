//! A host speaks, in the words of 2015 and of today.

use std::cell::RefCell;
use std::net::TcpStream;

use crate::support::{Operator, Server, beat, config, config_with, exchange, request};
use proptest::prelude::*;
use serde_json::{Value, json};

#[test]
fn a_beat_of_the_go_updater_is_answered_on_both_urls() {
    let server = Server::start(&config());
    let body = beat("web01", "started").to_string();
    let expected = json!({
        "errorMessage": "",
        "desiredAgents": [{
            "name": "falcon-agent", "version": "1.0.0", "tarball": "http://10.0.0.1:8888/falcon", "md5": "",
            "cmd": "start"
        }],
        "generation": 1
    });
    for path in ["/heartbeat", "/api/heartbeat"] {
        for head in [&[][..], &["Content-Type: application/x-www-form-urlencoded"], &["Content-Type: x"]] {
            let reply = server.ask("POST", path, head, body.as_bytes());
            assert_eq!((reply.status, reply.json()), (200, expected.clone()), "{path} {head:?}");
            assert!(reply.header("content-type").starts_with("application/json"));
        }
    }
}

#[test]
fn a_prefix_of_the_hostname_overrides() {
    let server = Server::start(&config());
    for (hostname, version) in [("lg-01", "2.0.0"), ("lg-", "2.0.0"), ("lg", "1.0.0"), ("xlg-01", "1.0.0")] {
        let answer = server.post("/heartbeat", &beat(hostname, "started")).json();
        assert_eq!(answer["desiredAgents"][0]["version"], version, "{hostname}");
        assert_eq!(answer["desiredAgents"][0]["tarball"], "http://10.0.0.1:8888/falcon");
    }
}

#[test]
fn a_blank_hostname_is_refused_in_the_words_of_2015() {
    let server = Server::start(&config());
    for body in [json!({ "hostname": "" }), json!({ "realAgents": [] }), json!([]), beat(" ", "started")] {
        let reply = server.post("/heartbeat", &body);
        assert_eq!((reply.status, reply.text().trim_end()), (400, "hostname is blank"), "{body}");
        assert!(reply.header("content-type").starts_with("text/plain"));
    }
}

#[test]
fn what_is_no_beat_is_refused_with_a_reason() {
    let server = Server::start(&config());
    for body in ["x", "{", "null", "5", "\"x\"", "{\"hostname\":\"a\"} {}"] {
        let reply = server.ask("POST", "/heartbeat", &[], body.as_bytes());
        assert_eq!((reply.status, reply.text().lines().count()), (400, 1), "{body}");
    }
    assert_eq!(server.ask("POST", "/heartbeat", &["Content-Length: 0"], b"").status, 400);
    assert_eq!(server.get("/heartbeat").status, 405);
}

#[test]
fn json_that_is_too_deep_is_refused() {
    let server = Server::start(&config());
    for deep in ["[".repeat(100_000), format!("{{\"hostname\":{}", "{\"a\":".repeat(40_000))] {
        assert_eq!(server.ask("POST", "/heartbeat", &[], deep.as_bytes()).status, 400);
    }
    // In a field that nobody reads it does no harm; refused or not, the server lives.
    let hidden = format!("{{\"hostname\":\"a\",\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(server.ask("POST", "/heartbeat", &[], hidden.as_bytes()).status < 500);
    assert_eq!(server.post("/heartbeat", &beat("web01", "started")).status, 200);
}

#[test]
fn one_bad_entry_spoils_only_itself() {
    let server = Server::start(&config());
    let mut body = beat("web01", "started");
    let agents = body["realAgents"].as_array_mut().unwrap();
    for bad in [json!(5), json!({}), json!({ "name": "../x" }), json!({ "name": "a", "version": "../../x" })]
    {
        agents.insert(0, bad);
    }
    assert_eq!(server.post("/heartbeat", &body).status, 200);
    assert_eq!(server.get("/status/json/falcon-agent").json()["web01"]["version"], "1.0.0");
}

#[test]
fn a_host_with_very_many_agents_is_still_seen() {
    let server = Server::start(&config());
    let agent = |n| json!({ "name": format!("a{n}"), "version": "1", "status": "started", "timestamp": 1 });
    let many: Vec<Value> = (0..1000).map(agent).collect();
    assert_eq!(server.post("/heartbeat", &json!({ "hostname": "web01", "realAgents": many })).status, 200);
    assert_eq!(server.get("/status/json/a0").json()["web01"]["status"], "started");
    assert_eq!(server.get("/status/json/a999").json()["web01"], Value::Null);
}

#[test]
fn a_long_status_is_cut_at_two_kib() {
    let server = Server::start(&config());
    server.post("/heartbeat", &beat("web01", &"ä".repeat(5000)));
    let status =
        server.get("/status/json/falcon-agent").json()["web01"]["status"].as_str().unwrap().to_owned();
    assert_eq!(status.len(), 2048);
}

#[test]
fn what_is_kept_of_a_host_is_short() {
    let server = Server::start(&config());
    let mut body = beat("web01", "started");
    let long = "ä".repeat(5000);
    for field in ["ip", "os", "arch", "runUser", "updaterVersion", "machineId"] {
        body[field] = json!(long);
    }
    body["labels"] = (10..90).map(|n| (format!("k{n}"), json!("v"))).collect();
    body["realAgents"][0]["errorCode"] = json!(long);
    // The second beat is not recognised by its bytes: what was cut is no longer what was said.
    for _ in 0..2 {
        assert_eq!(server.post("/heartbeat", &body).status, 200);
    }
    let host = Operator::first(&server).get("/api/v1/hosts/web01").json();
    for field in ["ip", "os", "arch", "runUser", "updaterVersion", "machineId"] {
        assert_eq!(host[field].as_str().unwrap().len(), 256, "{field}");
    }
    assert_eq!(host["agents"][0]["errorCode"].as_str().unwrap().len(), 64);
    let labels = host["labels"].as_object().unwrap();
    assert_eq!((labels.len(), labels.contains_key("k10"), labels.contains_key("k89")), (64, true, false));

    body["labels"] = (0..9).map(|n| (format!("k{n}"), json!("x".repeat(1000)))).collect();
    server.post("/heartbeat", &body);
    let host = Operator::first(&server).get("/api/v1/hosts/web01").json();
    assert_eq!(host["labels"].as_object().unwrap().len(), 4);
}

#[test]
fn beyond_the_most_hosts_new_ones_are_answered_and_not_recorded() {
    let server = Server::start(&config_with(json!({ "hostsMax": 2 })));
    for hostname in ["a", "b", "c", "d"] {
        let answer = server.post("/heartbeat", &beat(hostname, "started"));
        assert_eq!(answer.json()["desiredAgents"][0]["version"], "1.0.0");
    }
    let known = server.get("/status/json/falcon-agent").json();
    assert_eq!(known.as_object().unwrap().keys().collect::<Vec<_>>(), ["a", "b"]);
    server.post("/heartbeat", &beat("b", "stoped"));
    assert_eq!(server.get("/status/json/falcon-agent").json()["b"]["status"], "stoped");
    server.wait_for_log(&["level=warn", "host=c"]);
    assert!(!server.log().iter().any(|line| line.contains("host=d")), "said twice within a minute");
}

/// A connection that is used again while it lasts.
fn ask_again(server: &Server, kept: &RefCell<Option<TcpStream>>, body: &[u8]) -> u16 {
    let length = format!("Content-Length: {}", body.len());
    let head: &[&str] = if body.is_empty() { &[&length] } else { &[] };
    let mut stream = kept.borrow_mut().take().unwrap_or_else(|| server.connect());
    let reply = exchange(&mut stream, &request("POST", "/heartbeat", head, body)).unwrap();
    if reply.header("connection") != "close" {
        kept.replace(Some(stream));
    }
    reply.status
}

fn json_like() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop_oneof!["started", "stoped", "a", "1.0", "\\PC{1,8}"].prop_map(Value::from),
    ];
    let key = prop_oneof![
        Just("hostname"),
        Just("realAgents"),
        Just("name"),
        Just("version"),
        Just("status"),
        Just("timestamp"),
        Just("errors"),
        Just("labels"),
        Just("generation"),
        Just("steps"),
        Just("phase"),
        Just("x")
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|pairs| pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

#[test]
fn no_body_whatever_makes_the_server_fail() {
    let server = Server::start(&config());
    let kept = RefCell::new(None);
    proptest!(ProptestConfig::with_cases(300), |(bytes in prop::collection::vec(any::<u8>(), 0..400))| {
        prop_assert!(ask_again(&server, &kept, &bytes) < 500);
    });
    proptest!(ProptestConfig::with_cases(600), |(fields in json_like(), hostname in "\\PC{0,12}")| {
        let mut body = fields;
        if let Some(fields) = body.as_object_mut() {
            fields.insert("hostname".to_owned(), hostname.into());
        }
        prop_assert!(ask_again(&server, &kept, body.to_string().as_bytes()) < 500);
    });
    assert_eq!(server.get("/status/text/a").status, 200);
    server.get("/status/json/a").json();
}
