//! Both programs speak the wire of 2015: ours against a Go ops-meta, a Go updater against ours.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here"
)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use e2e::{Answer, Base, FakeMeta, FileServer, Meta, Package, SOON, wait_for};
use serde_json::{Value, json};

#[test]
fn a_beat_carries_what_the_go_server_reads() {
    let (meta, files) = (FakeMeta::new(), FileServer::new());
    let package = Package::agent("falcon-agent", "1.0.0");
    meta.order(&[files.offer(&package)]);
    let base = Base::new(&meta.address());

    base.once().exits(0);

    let beat = meta.last();
    assert_eq!(beat["hostname"], "host-1");
    let agent = meta.agent("falcon-agent");
    assert!(
        agent["name"] == "falcon-agent" && agent["version"] == "1.0.0" && agent["status"] == "started",
        "{agent}"
    );
    assert!(agent["timestamp"].as_i64().is_some_and(|it| it > 1_400_000_000), "Unix seconds: {agent}");
}

#[test]
fn a_host_without_agents_beats_with_an_empty_list() {
    let meta = FakeMeta::new();
    let base = Base::new(&meta.address());

    base.once().exits(0);

    assert_eq!(meta.last()["realAgents"], json!([]));
}

#[test]
fn what_the_go_server_answers_is_understood() {
    let (meta, files) = (FakeMeta::new(), FileServer::new());
    let package = Package::agent("falcon-agent", "1.0.0");
    let order = files.offer(&package);
    let base = Base::new(&meta.address());
    // Go prints a nil slice as null, and ends its answer with a newline.
    meta.say(Answer::Text("{\"errorMessage\":\"\",\"desiredAgents\":null}\n".to_owned()));
    base.once().exits(0);
    assert_eq!(base.version("falcon-agent"), None);

    meta.say(Answer::Text(format!("{}\n", json!({"errorMessage": "", "desiredAgents": [order]}))));
    base.once().exits(0);
    base.daemon("falcon-agent", "1.0.0");
}

#[test]
fn the_bare_array_of_the_2015_readme_is_understood() {
    let (meta, files) = (FakeMeta::new(), FileServer::new());
    let package = Package::agent("falcon-agent", "1.0.0");
    meta.say(Answer::Json(json!([files.offer(&package)])));
    let base = Base::new(&meta.address());

    base.once().exits(0);

    base.daemon("falcon-agent", "1.0.0");
}

#[test]
fn a_go_updater_gets_its_orders_from_our_ops_meta() {
    let meta = Meta::new();
    let package = Package::agent("falcon-agent", "1.0.0");
    meta.put(&package);
    meta.order(&package, "start");
    let body = json!({"hostname": "old-host", "realAgents": [
        {"name": "falcon-agent", "version": "0.9.0", "status": "started", "timestamp": 1_446_000_000}]});

    let (status, answer) = post_as_go(&meta, "/heartbeat", &body.to_string());

    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["errorMessage"], "");
    let desired = &answer["desiredAgents"][0];
    assert!(
        desired["name"] == "falcon-agent" && desired["version"] == "1.0.0" && desired["cmd"] == "start",
        "{desired}"
    );
    assert_eq!(desired["md5"], "");
    // It fetches `{tarball}/{name}-{version}.tar.gz` and the md5 file beside it.
    let prefix = desired["tarball"].as_str().unwrap();
    assert_eq!(prefix, format!("http://{}", meta.address()));
    assert_eq!(meta.get("/falcon-agent-1.0.0.tar.gz.md5"), (200, package.md5_file()));
    let seen = meta.status("falcon-agent", "old-host");
    assert_eq!((&seen["version"], &seen["status"]), (&json!("0.9.0"), &json!("started")), "{seen}");
    let (_, text) = meta.get("/status/text/falcon-agent");
    assert!(text.contains("old-host") && text.contains("0.9.0") && text.contains("started"), "{text}");
}

#[test]
fn a_go_updater_without_agents_and_the_fork_with_its_fields_are_understood() {
    let meta = Meta::new();
    let null = json!({"hostname": "new-host", "realAgents": null});
    let fork = json!({"hostname": "fork-host", "ip": "10.0.0.1", "updaterVersion": "1.0.5", "runUser": "work", "realAgents": [
        {"name": "falcon-agent", "version": "1.0.0", "status": "stoped", "runUser": "work", "workDir": "/home/work", "timestamp": 1_460_000_000}]});

    for body in [null, fork] {
        for path in ["/heartbeat", "/api/heartbeat"] {
            let (status, answer) = post_as_go(&meta, path, &body.to_string());
            let answer: Value = serde_json::from_str(&answer).unwrap();
            assert!(status == 200 && answer["errorMessage"] == "", "{path} {body}: {status} {answer}");
        }
    }
    assert_eq!(meta.status("falcon-agent", "fork-host")["status"], "stoped");
}

#[test]
fn a_beat_without_a_hostname_is_refused_as_in_2015() {
    let meta = Meta::new();
    for body in [r#"{"realAgents": []}"#, r#"{"hostname": "", "realAgents": []}"#, "[]"] {
        let (status, answer) = post_as_go(&meta, "/heartbeat", body);
        assert!(status == 400 && answer.contains("hostname is blank"), "{body}: {status} {answer}");
    }
}

#[test]
fn our_updater_and_our_ops_meta_keep_a_host_at_the_wanted_version() {
    let meta = Meta::new();
    let (old, new) = (Package::agent("falcon-agent", "1.0.0"), Package::agent("falcon-agent", "1.0.1"));
    meta.put(&old);
    meta.put(&new);
    meta.order(&old, "start");
    let mut base = Base::impatient(&meta.address());
    base.start();
    meta.wait_for_status("1.0.0 is started", "falcon-agent", "host-1", |it| {
        it["version"] == "1.0.0" && it["status"] == "started"
    });

    meta.order(&new, "start");
    meta.wait_for_status("1.0.1 is started", "falcon-agent", "host-1", |it| {
        it["version"] == "1.0.1" && it["status"] == "started"
    });
    base.daemon("falcon-agent", "1.0.1");

    meta.order(&new, "stop");
    meta.wait_for_status("1.0.1 is stopped", "falcon-agent", "host-1", |it| it["status"] == "stoped");
    wait_for("no daemon is left", SOON, || base.daemons("falcon-agent").is_empty());
}

/// Posts as Go's client does: no Content-Type, and the connection stays open.
fn post_as_go(meta: &Meta, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(meta.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        meta.address(),
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(!head.to_ascii_lowercase().contains("chunked"), "this client cannot read chunks: {head}");
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}
