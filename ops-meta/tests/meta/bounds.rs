//! What hosts may take together.

use serde_json::{Value, json};

use crate::support::{Operator, Server, config_with};

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
