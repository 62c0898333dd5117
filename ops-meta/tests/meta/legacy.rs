//! The other URLs of 2015, for operators and their scripts.

use std::io::{Read as _, Write as _};

use crate::support::{Server, beat, config, config_with, eventually, exchange, read_reply, request};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

#[test]
fn the_status_of_an_agent_is_shown_as_in_2015() {
    let server = Server::start(&config());
    server.post("/heartbeat", &beat("web01", "started"));
    server.post("/heartbeat", &json!({ "hostname": "web02", "realAgents": null }));

    let text = server.get("/status/text/falcon-agent");
    let mut lines: Vec<_> = text.text().lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["web01 1.0.0 started 1709210096 2024-02-29 12:34:56", "web02 not found"]);
    assert!(text.header("content-type").starts_with("text/plain"));

    let agent = json!({ "name": "falcon-agent", "version": "1.0.0", "status": "started", "timestamp": 1_709_210_096 });
    assert_eq!(server.get("/status/json/falcon-agent").json(), json!({ "web01": agent, "web02": null }));
}

#[test]
fn with_no_host_the_status_is_empty() {
    let server = Server::start(&config());
    assert_eq!(server.get("/status/text/falcon-agent").text(), "");
    assert_eq!(server.get("/status/json/falcon-agent").json(), json!({}));
}

#[test]
fn a_status_of_no_agent_is_refused() {
    let server = Server::start(&config());
    for path in ["/status/json/", "/status/text/"] {
        let reply = server.get(path);
        assert_eq!((reply.status, reply.text().trim_end()), (400, "agent name is blank"), "{path}");
    }
    for path in ["/status/json/a%0Ab", "/status/text/..%2f..", "/status/text/%20"] {
        assert_eq!(server.get(path).status, 400, "{path}");
    }
}

#[test]
fn five_hundred_hosts_are_all_shown_once() {
    let server = Server::start(&config());
    for n in 0..500 {
        server.post("/heartbeat", &beat(&format!("web{n:03}"), "started"));
    }
    assert_eq!(server.get("/status/json/falcon-agent").json().as_object().unwrap().len(), 500);
    let text = server.get("/status/text/falcon-agent").text();
    let hosts: std::collections::BTreeSet<_> =
        text.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!((text.lines().count(), hosts.len()), (500, 500));
}

#[test]
fn the_small_urls_answer_as_in_2015() {
    let server = Server::start(&config());
    assert_eq!(server.get("/health").text(), "ok");
    assert_eq!(server.get("/version").text(), env!("CARGO_PKG_VERSION"));
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_ops-meta"));
    let folder = binary.parent().unwrap().to_str().unwrap();
    assert_eq!(server.get("/workdir").json(), json!({ "msg": "success", "data": folder }));
}

fn version_wanted(server: &Server) -> Value {
    server.post("/heartbeat", &beat("web01", "started")).json()["desiredAgents"][0]["version"].clone()
}

#[test]
fn a_reload_changes_what_hosts_are_told() {
    let server = Server::start(&config());
    let mut new = config();
    new["agents"][0]["default"]["version"] = json!("1.0.1");
    server.configure(&new);
    assert_eq!(server.get("/config/reload").json(), json!({ "msg": "success", "data": new }));
    assert_eq!(version_wanted(&server), "1.0.1");

    new["agents"][0]["default"]["version"] = json!("1.0.2");
    server.configure(&new);
    server.signal(Signal::SIGHUP);
    eventually("the new version", || (version_wanted(&server) == "1.0.2").then_some(()));
}

#[test]
fn a_bad_file_is_refused_with_every_fault_and_the_old_one_kept() {
    let mut server = Server::start(&config());
    let mut bad = config_with(json!({ "debug": "yes" }));
    bad["agents"][0]["default"]["version"] = json!("../../x");
    bad["agents"][0]["others"][0]["version"] = json!(5);
    server.configure(&bad);
    let msg = server.get("/config/reload").json()["msg"].as_str().unwrap().to_owned();
    for key in ["debug", "agents[0].default.version", "../../x", "agents[0].others[0].version"] {
        assert!(msg.contains(key), "{key}: {msg}");
    }
    assert_eq!(version_wanted(&server), "1.0.0");
    std::fs::write(server.path("cfg.json"), "{").unwrap();
    server.signal(Signal::SIGHUP);
    server.wait_for_log(&["reload_refused", "JSON"]);
    std::fs::remove_file(server.path("cfg.json")).unwrap();
    assert!(server.get("/config/reload").json()["msg"].as_str().unwrap().contains("cfg.json"));
    assert_eq!(version_wanted(&server), "1.0.0");
    assert!(server.is_running());
}

#[test]
fn a_reload_that_came_through_a_proxy_is_not_from_this_machine() {
    let server = Server::start(&config());
    for head in
        ["X-Forwarded-For: 10.0.0.1", "Forwarded: for=10.0.0.1", "Via: 1.1 proxy", "X-Real-IP: 10.0.0.1"]
    {
        let reply = server.ask("GET", "/config/reload", &[head], b"");
        assert_eq!((reply.status, reply.text().trim_end()), (403, "no privilege"), "{head}");
    }
}

#[test]
fn a_reload_that_a_page_of_another_site_asks_for_is_not_from_this_machine() {
    let server = Server::start(&config());
    let port = server.address.rsplit_once(':').unwrap().1;
    for (host, status) in [
        ("evil.example".to_owned(), 403),
        (format!("evil.example:{port}"), 403),
        ("localhost.evil.example".to_owned(), 403),
        ("127.0.0.1.evil.example".to_owned(), 403),
        ("10.0.0.1".to_owned(), 403),
        (String::new(), 403),
        (format!("127.0.0.1:{port}"), 200),
        (format!("localhost:{port}"), 200),
        ("LOCALHOST".to_owned(), 200),
        (format!("[::1]:{port}"), 200),
    ] {
        let text = format!("GET /config/reload HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let reply = exchange(&mut server.connect(), text.as_bytes()).unwrap();
        assert_eq!(reply.status, status, "{host}");
    }
}

#[test]
fn the_answer_of_a_reload_has_no_password_in_it() {
    let mut config = config();
    config["agents"][0]["default"]["tarball"] = json!("http://falcon:hunter2@10.0.0.1:8888/falcon");
    let server = Server::start(&config);
    let said = server.get("/config/reload");
    assert_eq!(said.json()["msg"], "success");
    assert!(!said.text().contains("hunter2"), "{}", said.text());
    let shown = &said.json()["data"]["agents"][0]["default"]["tarball"];
    assert_eq!(shown, "http://...@10.0.0.1:8888/falcon");
}

#[test]
fn more_reloads_at_once_than_there_are_threads_are_all_answered() {
    let server = Server::start(&config());
    let other = rusqlite::Connection::open(server.path("data/ops-meta.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    server.configure(&config_with(json!({ "agents": [] })));
    let mut waiting: Vec<_> = (0..520).map(|_| server.connect()).collect();
    for stream in &mut waiting {
        stream.write_all(&request("GET", "/config/reload", &[], b"")).unwrap();
    }
    // By the time the first gives up waiting for the database, all others have come.
    server.wait_for_log(&["event=reload_refused"]);
    other.execute_batch("ROLLBACK").unwrap();
    for stream in &mut waiting {
        assert_eq!(read_reply(stream, false).unwrap().status, 200);
    }
}

#[test]
fn of_many_lists_at_once_some_are_told_to_come_later() {
    let server = Server::start(&config());
    // Large enough that none of it lies in the sockets.
    for n in 0..600 {
        server.post("/heartbeat", &beat(&format!("web{n:03}"), &"x".repeat(2000)));
    }
    let mut slow: Vec<_> = (0..30).map(|_| server.connect()).collect();
    for stream in &mut slow {
        socket2::SockRef::from(&*stream).set_recv_buffer_size(4096).unwrap();
        stream.write_all(&request("GET", "/status/json/falcon-agent", &[], b"")).unwrap();
    }
    let mut refused = 0;
    for stream in &mut slow {
        let mut begin = [0; 12];
        stream.read_exact(&mut begin).unwrap();
        refused += u32::from(begin == *b"HTTP/1.1 503");
    }
    assert_eq!(refused, 14);
    assert_eq!(server.get("/status/text/falcon-agent").header("retry-after"), "30");
    assert_eq!(server.post("/heartbeat", &beat("web01", "started")).status, 200);
    drop(slow);
    eventually("a place", || Some(server.get("/status/text/a")).filter(|reply| reply.status == 200));
}
