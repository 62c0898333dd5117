//! What the 2015 ops-meta got wrong, each seen there; one test each.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::support::{Server, beat, config, config_with, eventually, read_reply, refused, request};
use serde_json::{Value, json};

#[test]
fn m1_a_null_entry_in_agents_is_refused_and_heartbeats_go_on() {
    let mut bad = config();
    bad["agents"].as_array_mut().unwrap().push(Value::Null);
    let said = refused(&["-c", "cfg.json"], Some(&bad.to_string()));
    assert!(said.contains("agents[1]") && said.contains("null"), "{said}");

    let server = Server::start(&config());
    server.configure(&bad);
    let reply = server.get("/config/reload").json();
    assert!(reply["msg"].as_str().unwrap().contains("agents[1]"), "{reply}");
    assert_eq!(
        server.post("/heartbeat", &beat("web01", "started")).json()["desiredAgents"][0]["version"],
        "1.0.0"
    );
}

#[test]
fn m2_an_empty_object_is_refused_and_takes_nothing_away() {
    let said = refused(&["-c", "cfg.json"], Some("{}"));
    assert!(said.contains("agents"), "{said}");

    let server = Server::start(&config());
    server.configure(&json!({}));
    assert_ne!(server.get("/config/reload").json()["msg"], "success");
    assert_eq!(
        server.post("/heartbeat", &beat("web01", "started")).json()["desiredAgents"][0]["version"],
        "1.0.0"
    );
}

#[test]
fn m3_a_null_among_the_real_agents_spoils_only_itself() {
    let server = Server::start(&config());
    let mut with_null = beat("web01", "started");
    with_null["realAgents"].as_array_mut().unwrap().insert(0, Value::Null);
    assert_eq!(server.post("/heartbeat", &with_null).status, 200);
    assert_eq!(server.get("/status/json/falcon-agent").json()["web01"]["status"], "started");
    let only_null = json!({ "hostname": "web02", "realAgents": [null] });
    assert_eq!(server.post("/heartbeat", &only_null).status, 200);
}

#[test]
fn m4_a_host_without_agents_is_recorded() {
    let server = Server::start(&config());
    for (hostname, agents) in [("null", json!(null)), ("none", json!([]))] {
        server.post("/heartbeat", &json!({ "hostname": hostname, "realAgents": agents }));
    }
    server.post("/heartbeat", &json!({ "hostname": "missing" }));
    let known = server.get("/status/json/falcon-agent").json();
    assert_eq!(known, json!({ "null": null, "none": null, "missing": null }));
}

#[test]
fn m5_an_agent_that_is_no_longer_reported_is_gone() {
    let server = Server::start(&config());
    server.post("/heartbeat", &beat("web01", "started"));
    assert!(server.get("/status/text/falcon-agent").text().starts_with("web01 1.0.0 started "));
    let other = json!({ "name": "other", "version": "1", "status": "started", "timestamp": 1 });
    server.post("/heartbeat", &json!({ "hostname": "web01", "realAgents": [other] }));
    assert_eq!(server.get("/status/text/falcon-agent").text(), "web01 not found\n");
    server.post("/heartbeat", &json!({ "hostname": "web01", "realAgents": [] }));
    assert_eq!(server.get("/status/text/other").text(), "web01 not found\n");
}

#[test]
fn m6_nobody_forges_a_line_of_the_status_text() {
    let server = Server::start(&config());
    for evil in ["x\nweb02 9.9.9 started 1 1970", "x\r\u{85}\u{2028}y", "\u{1b}[2K\u{202e}z"] {
        assert_eq!(server.post("/heartbeat", &beat("web01", evil)).status, 200);
        let text = server.get("/status/text/falcon-agent").text();
        assert_eq!(text.lines().count(), 1, "{text:?}");
        let odd = |c: char| c != '\n' && (c.is_control() || matches!(c, '\u{2028}' | '\u{202e}'));
        assert!(!text.contains(odd), "{text:?}");
        assert_eq!(server.get("/status/json/falcon-agent").json()["web01"]["status"], evil);
    }
    for hostname in ["a\nb", "a b", "a\tb", "a\u{2028}b", "a\u{0}b", &"a".repeat(254)] {
        let reply = server.post("/heartbeat", &beat(hostname, "started"));
        assert_eq!((reply.status, reply.text().lines().count()), (400, 1), "{hostname:?}");
    }
    assert_eq!(server.get("/status/text/falcon-agent").text().lines().count(), 1);
}

#[test]
fn m7_a_body_above_256_kib_is_refused() {
    let server = Server::start(&config());
    let padded = |bytes: usize| {
        let mut text = beat("web01", "started").to_string();
        text.push_str(&" ".repeat(bytes - text.len()));
        text.into_bytes()
    };
    assert_eq!(server.ask("POST", "/heartbeat", &[], &padded(256 << 10)).status, 200);
    for bytes in [(256 << 10) + 1, 1 << 20] {
        assert_eq!(server.ask("POST", "/heartbeat", &[], &padded(bytes)).status, 413, "{bytes}");
    }
    // Without a length, and for ever: sooner or later the server stops reading.
    let mut stream = server.connect();
    stream.write_all(b"POST /heartbeat HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    let chunk = [b"10000\r\n", &*vec![b' '; 0x10000], b"\r\n"].concat();
    let sent = (0..3200).take_while(|_| stream.write_all(&chunk).is_ok()).count();
    assert!(sent < 1600, "{sent} chunks of 64 KiB were taken");
    assert_eq!(server.post("/heartbeat", &beat("web01", "started")).status, 200);
}

#[test]
fn m8_connections_that_say_nothing_are_closed() {
    let short = json!({ "headerMillis": 300, "bodyMillis": 300, "idleMillis": 300 });
    let server = Server::start(&config_with(json!({ "timeouts": short })));
    let whole = request("POST", "/heartbeat", &[], beat("web01", "started").to_string().as_bytes());
    let cases: [(&str, &[u8]); 4] = [
        ("nothing", b""),
        ("half a head", b"POST /heartbeat HTTP/1.1\r\nHost: m\r\n"),
        ("half a body", &whole[..whole.len() - 5]),
        ("a kept connection", &whole),
    ];
    for (what, bytes) in cases {
        let mut stream = server.connect();
        stream.write_all(bytes).unwrap();
        let began = Instant::now();
        let mut rest = Vec::new();
        // Its end, or a reset: closed either way.
        let _ = stream.read_to_end(&mut rest);
        assert!(began.elapsed() < Duration::from_secs(5), "{what} stayed open");
    }
    drip_is_closed(&server, b"GET /health HTTP/1.1\r\nX: ");
    drip_is_closed(&server, b"POST /heartbeat HTTP/1.1\r\nHost: m\r\nContent-Length: 9999\r\n\r\n");
}

#[test]
fn m8_a_host_that_went_away_without_a_word_is_asked_whether_it_is_there() {
    let server = Server::start(&config());
    let mut stream = server.connect();
    stream.write_all(&request("GET", "/health", &[], b"")).unwrap();
    assert_eq!(read_reply(&mut stream, false).unwrap().text(), "ok");
    // proc(5): the server's end of the connection, and its timer, which is 2 for keepalive once all is acknowledged.
    let hex = |address: SocketAddr| format!("0100007F:{:04X}", address.port());
    let ends = format!("{} {} 01", hex(stream.peer_addr().unwrap()), hex(stream.local_addr().unwrap()));
    eventually("a keepalive timer", || {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let line = table.lines().find(|line| line.contains(&ends)).unwrap();
        line.split_whitespace().nth(5).unwrap().starts_with("02:").then_some(())
    });
}

/// A head or a body that comes a byte at a time makes progress all the time, and still has an end.
fn drip_is_closed(server: &Server, begun: &[u8]) {
    let mut stream = server.connect();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    stream.write_all(begun).unwrap();
    let began = Instant::now();
    while stream.write_all(b"x").is_ok() && !matches!(stream.read(&mut [0; 64]), Ok(0)) {
        assert!(began.elapsed() < Duration::from_secs(5), "the drip stayed open");
    }
}
