//! What hosts may take together: memory for their words, room for bodies on their way, a page of a list.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::support::{Operator, Reply, Server, beat, config_with, eventually, read_reply, request};

/// A beat of so many agents, each with a status of 900 bytes that no other host has.
fn talkative(hostname: &str, agents: usize) -> Value {
    let agent = |n| {
        let status = format!("{hostname} {n} {}", "x".repeat(900));
        json!({ "name": format!("agent{n}"), "version": "1", "status": status, "timestamp": 1 })
    };
    json!({ "hostname": hostname, "realAgents": (0..agents).map(agent).collect::<Vec<_>>() })
}

fn says(server: &Server, beat: &Value) {
    let reply = server.post("/heartbeat", beat);
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// One number of /metrics.
fn metric(server: &Server, name: &str) -> u64 {
    let text = server.get("/metrics").text();
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    found.unwrap_or_else(|| panic!("no {name}: {text}"))
}

#[test]
fn what_all_hosts_say_together_is_bounded() {
    let server = Server::start(&config_with(json!({ "textsBytesMax": 900_000 })));
    let admin = Operator::first(&server);
    let agents = |host: &str| {
        let shown = admin.get(&format!("/api/v1/hosts/{host}")).json();
        shown["agents"].as_array().unwrap().len()
    };
    for n in 0..20 {
        says(&server, &talkative(&format!("web{n:02}"), 200));
    }
    assert!(metric(&server, "ops_meta_texts_bytes") <= 900_000);
    assert!(metric(&server, "ops_meta_texts_left_out_total") >= 10);
    server.wait_for_log(&["event=texts_left_out", "textsBytesMax"]);
    // What they run is not known.
    let gc = admin.post("/api/v1/packages/gc", &json!({}));
    assert!(gc.status == 409 && gc.text().contains("textsBytesMax"), "{}", gc.text());
    assert_eq!((agents("web00"), agents("web19")), (200, 0), "known in part, and not forgotten");
    // What a known host said before stays; each beat tries again.
    let changed = talkative("web00", 250);
    says(&server, &changed);
    assert_eq!(agents("web00"), 200);
    for n in 1..19 {
        assert_eq!(admin.delete(&format!("/api/v1/hosts/web{n:02}")).status, 204);
    }
    says(&server, &changed);
    says(&server, &talkative("web19", 100));
    assert_eq!((agents("web00"), agents("web19")), (250, 100));
    // What nobody says any more takes nothing.
    for n in 0..20 {
        says(&server, &talkative("web00", 200 + n));
    }
    assert_eq!((agents("web00"), agents("web19")), (219, 100));
}

/// Sends the body in two pieces, so that it has to be collected.
fn in_pieces(mut stream: TcpStream, path: &str, head: &[&str], body: &Value) -> Reply {
    let whole = request("POST", path, head, body.to_string().as_bytes());
    let (begin, end) = whole.split_at(whole.len() - 5);
    stream.write_all(begin).unwrap();
    stream.flush().unwrap();
    // The server has read the first piece when it has nothing left to read.
    std::thread::sleep(std::time::Duration::from_millis(100));
    stream.write_all(end).unwrap();
    read_reply(&mut stream, false).unwrap()
}

#[test]
fn bodies_that_one_address_does_not_finish_keep_nobody_else_from_being_heard() {
    let server = Server::start(&config_with(json!({ "timeouts": { "bodyMillis": 60_000 } })));
    let admin = Operator::first(&server);
    let unfinished = request("POST", "/heartbeat", &["Content-Length: 262144"], b"");
    let unfinished = [unfinished, vec![b' '; 200_000]].concat();
    let held = |_| {
        let mut stream = server.connect();
        // One that is refused may be closed already.
        let _ = stream.write_all(&unfinished);
        stream
    };
    let mut streams: Vec<TcpStream> = (0..400).map(held).collect();
    let (mut said, wanted) = (beat("web01", "started"), json!({ "name": "a", "role": "viewer" }));
    said["more"] = json!("x".repeat(220_000));
    eventually("its room to be taken", || {
        // Those that came at once may have kept the room from each other.
        streams.extend((0..10).map(held));
        (in_pieces(server.connect(), "/heartbeat", &[], &said).status == 503).then_some(())
    });
    assert_eq!(in_pieces(server.connect_from([127, 0, 0, 2]), "/heartbeat", &[], &said).status, 200);
    let token = format!("Authorization: Bearer {}", admin.token);
    let head = [&*token, "Content-Type: application/json"];
    let created = in_pieces(server.connect(), "/api/v1/tokens", &head, &wanted);
    assert_eq!(created.status, 201, "{}", created.text());
    drop(streams);
    eventually("the room back", || {
        (in_pieces(server.connect(), "/heartbeat", &[], &said).status == 200).then_some(())
    });
}

#[test]
fn a_page_of_hosts_that_say_much_is_bounded_and_the_next_goes_on() {
    const HOSTS: usize = 90;
    let server = Server::start(&config_with(json!({})));
    let admin = Operator::first(&server);
    for n in 0..HOSTS {
        says(&server, &talkative(&format!("web{n:02}"), 240));
    }
    for sort in ["hostname", "-firstSeen"] {
        let (mut seen, mut pages, mut cursor) = (BTreeSet::new(), 0, String::new());
        loop {
            let reply = admin.get(&format!("/api/v1/hosts?limit=1000&sort={sort}{cursor}"));
            assert!(reply.status == 200 && reply.body.len() < 5 << 20, "{} bytes", reply.body.len());
            let page = reply.json();
            for host in page["hosts"].as_array().unwrap() {
                assert!(seen.insert(host["hostname"].as_str().unwrap().to_owned()), "{host} came twice");
                let status = host["agents"][0]["status"].as_str().unwrap();
                assert!(status.len() < 300 && status.ends_with("..."), "{status}");
            }
            pages += 1;
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert!(seen.len() == HOSTS && pages > 1, "{} hosts, {pages} pages", seen.len());
    }
    let whole = admin.get("/api/v1/hosts/web00").json();
    assert!(whole["agents"][0]["status"].as_str().unwrap().len() > 900, "the detail has all of it");
}
