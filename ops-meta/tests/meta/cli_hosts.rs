//! `ops-meta host`: what it shows of what hosts said, and what it makes of what they should not have said.

use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::command_line::{asking, fake, run};

/// Serves `hosts` in pages of `limit`, and notes what it was asked.
fn serving(hosts: Vec<Value>) -> (String, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = asked.clone();
    let url = fake(move |request| {
        noted.lock().unwrap().push(request.to_owned());
        let of = |key: &str| {
            let query = request.split_once('?').map_or("", |it| it.1);
            query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('=')?.parse::<usize>().ok())
        };
        let (from, limit) = (of("cursor").unwrap_or(0), of("limit").unwrap());
        let rows: Vec<&Value> = hosts.iter().skip(from).take(limit).collect();
        let next = Some(from + rows.len()).filter(|&it| it < hosts.len()).map(|it| it.to_string());
        (
            "200 OK",
            "Content-Type: application/json\r\n",
            json!({"hosts": rows, "next": next, "total": null}).to_string(),
        )
    });
    (url, asked)
}

fn named(count: usize) -> Vec<Value> {
    (0..count).map(|n| json!({"hostname": format!("host{n}")})).collect()
}

#[test]
fn a_long_list_comes_page_by_page_and_whole() {
    let (url, asked) = serving(named(2500));
    let said = run(&mut asking(&url, &["host", "list", "-o", "json"])).ok();
    let names: Vec<Value> = said.objects().iter().map(|it| it["hostname"].clone()).collect();
    assert_eq!((names.len(), &names[0], &names[2499]), (2500, &json!("host0"), &json!("host2499")));
    assert_eq!(asked.lock().unwrap().len(), 3);
    let said = run(&mut asking(&url, &["host", "list", "--limit", "1001"])).ok();
    assert_eq!(said.out.lines().count(), 1002, "the heads come once");
    assert!(asked.lock().unwrap().last().unwrap().contains("limit=1&cursor=1000"));
}

#[test]
fn every_filter_is_asked_of_the_server() {
    let (url, asked) = serving(Vec::new());
    let args = "host list --hostname web* --match ^w.b --state late --current no --agent nginx --version 1.0+1 \
                --status started --error md5_mismatch --label dc=a --label b=c&d --os linux --arch x86_64 --ip 10.0.0.1 \
                --reboot-required --claimed-twice --sort -lastSeen";
    let words: Vec<&str> = args.split_whitespace().collect();
    let said = run(&mut asking(&url, &words)).ok();
    assert_eq!(said.out, "");
    let request = asked.lock().unwrap()[0].clone();
    for part in [
        "hostname=web",
        "match=",
        "state=late",
        "current=no",
        "agent=nginx",
        "version=1.0%2B1",
        "status=started",
        "error=md5_mismatch",
        "label=dc",
        "label=b%3Dc%26d",
        "os=linux",
        "arch=x86_64",
        "ip=10.0.0.1",
        "rebootRequired=true",
        "claimedTwice=true",
        "sort=-lastSeen",
    ] {
        assert!(request.contains(part), "{part} is not in {request}");
    }
}

#[test]
fn what_a_host_says_moves_no_cursor_and_forges_no_line() {
    let evil = "x\u{1b}[2J\nweb02  alive\u{202e}\u{9b}31m\r";
    let agent = json!({"name": evil, "version": evil, "status": evil, "phase": evil, "errorCode": evil, "error": evil,
        "steps": [{"step": evil, "at": 1, "ms": 2, "code": evil}]});
    let host = json!({"hostname": evil, "state": evil, "current": evil, "ip": evil, "os": evil, "labels": {evil: evil},
        "machineId": evil, "agents": [agent], "errors": [{"agent": evil, "code": evil, "error": evil}],
        "history": [{"at": 1, "agent": evil, "what": evil, "before": evil, "after": evil}]});
    let (url, _) = serving(vec![host.clone()]);
    let listed = run(&mut asking(&url, &["host", "list"])).ok().out;
    let url = fake(move |_| ("200 OK", "", host.to_string()));
    let shown = run(&mut asking(&url, &["host", "show", "x"])).ok().out;
    assert_eq!(listed.lines().count(), 2, "{listed}");
    for text in [listed, shown] {
        let harmless = |c: char| c == '\n' || (!c.is_control() && c != '\u{202e}');
        assert!(text.chars().all(harmless) && !text.contains("\nweb02"), "{text:?}");
        assert!(text.contains("x\\u{1b}[2J\\nweb02"), "{text}");
    }
    for verb in [&["host", "list", "-o", "json"][..], &["host", "show", "x", "-o", "json"]] {
        let out = run(&mut asking(&url, verb)).out;
        assert!(!out.contains('\u{1b}') && out.lines().count() <= 1, "{out:?}");
    }
}

#[test]
fn a_page_about_a_host_says_all_there_is_and_nothing_more() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let whole = json!({"hostname": "web01", "state": "alive", "current": "failed", "rebootRequired": true, "claimedTwice": false,
        "ip": "10.0.0.1", "os": "linux", "arch": "x86_64", "updaterVersion": "0.1.0", "runUser": "root", "machineId": "m1",
        "labels": {"dc": "a"}, "firstSeen": now - 90_000_000_i64, "lastSeen": now - 5_000, "intervalSecs": 60, "generation": 7,
        "agents": [{"name": "nginx", "version": "1.0.0", "status": "started", "phase": "downloading", "percent": 40,
            "desiredVersion": "1.0.1", "timestamp": now, "errorCode": "md5_mismatch", "error": "the digest is wrong",
            "attempt": 2, "nextTry": now + 600_500, "steps": [{"step": "fetch", "at": 1_769_860_800_000_i64, "ms": 1234, "code": ""}]}],
        "errors": [{"agent": "a/b", "code": "bad_name", "error": "no name"}],
        "history": [{"at": 1_769_860_800_000_i64, "agent": "nginx", "what": "version", "before": "0.9", "after": "1.0.0"}]});
    let url = fake(move |request| {
        assert_eq!(request, "GET /api/v1/hosts/web01");
        ("200 OK", "", whole.to_string())
    });
    let text = run(&mut asking(&url, &["host", "show", "web01"])).ok().out;
    for part in [
        "alive; runs what is wanted: failed",
        "5 s ago",
        "25 h ago",
        "linux x86_64 10.0.0.1\n",
        "machine id  m1\n",
        "0.1.0 as root a beat every 60 s",
        "dc=a",
        "reboot required",
        "downloading 40 %",
        "nginx: md5_mismatch: the digest is wrong; attempt 2; next try ",
        "in 10 min",
        "last upgrade of nginx\n  STEP   ENDED                TOOK   ERROR\n  fetch  2026-01-31 12:00:00  1.2 s  -",
        "errors\n  AGENT  CODE      ERROR\n  a/b    bad_name  no name",
        "version  0.9     1.0.0",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }

    let url = fake(|_| ("200 OK", "", json!({"hostname": "bare", "state": "new"}).to_string()));
    let text = run(&mut asking(&url, &["host", "show", "bare"])).ok().out;
    assert_eq!(text, "bare\n  state       new; runs what is wanted: -\n");
}

#[test]
fn hosts_are_dropped_one_by_one_and_those_that_are_not_there_are_told() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = asked.clone();
    let url = fake(move |request| {
        noted.lock().unwrap().push(request.to_owned());
        match request {
            "DELETE /api/v1/hosts/a%2Fb" => (
                "404 Not Found",
                "Content-Type: application/problem+json\r\n",
                json!({"detail": "there is no host a/b"}).to_string(),
            ),
            _ => ("204 No Content", "", String::new()),
        }
    });
    let said = run(&mut asking(&url, &["host", "drop", "--yes", "web01", "a/b", "web02"]));
    assert_eq!((said.code, said.out.as_str()), (3, ""));
    assert_eq!(said.err, "web01 is dropped\nweb02 is dropped\nops-meta: there is no host a/b\n");
    run(&mut asking(&url, &["host", "drop", "--yes", "web01"])).ok();
    let before = asked.lock().unwrap().len();
    let said = run(&mut asking(&url, &["host", "drop", "web01"]));
    assert!(said.code == 2 && said.err.contains("--yes"), "{said:?}");
    assert_eq!(asked.lock().unwrap().len(), before);
}
