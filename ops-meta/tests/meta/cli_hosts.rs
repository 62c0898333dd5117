//! `ops-meta host`: what it shows of what hosts said, and what it makes of what they should not have said.

use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::command_line::{asking, fake, run};
use crate::support::{Server, beat};

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
    let args = "host list --hostname web* --match ^w.b --state late,gone --current no --agent nginx --version 1.0+1 \
                --status started --error md5_mismatch --label dc=a --label b=c&d --os linux --arch x86_64 --ip 10.0.0.1 \
                --reboot-required --claimed-twice --sort -lastSeen";
    let words: Vec<&str> = args.split_whitespace().collect();
    let said = run(&mut asking(&url, &words)).ok();
    assert_eq!(said.out, "");
    let request = asked.lock().unwrap()[0].clone();
    for part in [
        "hostname=web",
        "match=",
        "state=late%2Cgone",
        "current=no",
        "agent=nginx",
        "version=1.0%2B1",
        "status=started",
        "error=md5_mismatch",
        "label=dc%3Da%2Cb%3Dc%26d",
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
            "looked": now, "errorCode": "md5_mismatch", "error": "the digest is wrong",
            "attempt": 2, "nextTry": now + 600_500, "steps": [{"step": "fetch", "at": 1_769_860_800_000_i64, "ms": 1234, "code": ""}]}],
        "desired": [{"name": "nginx", "version": "1.0.1", "cmd": "start", "current": "failed"},
            {"name": "redis", "version": "7", "cmd": "start", "current": "no"}],
        "rival": {"machineId": "m2", "ip": "10.0.0.2"},
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
        "updater     0.1.0 as root\n",
        "beats       every 60 s\n",
        "dc=a",
        "reboot required",
        "rival       m2 at 10.0.0.2\n",
        "1.0.0    started  downloading 40 %  1.0.1   failed     now\n",
        "  redis  -        -        -                 7       no         -\n",
        "nginx: md5_mismatch: the digest is wrong; attempt 2\n  tried again by itself in 10 min (",
        "; `ops-updater release nginx` on the host tries at once\n",
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
    assert_eq!(said.err, "web01 is dropped\nops-meta: there is no host a/b\nweb02 is dropped\n");
    run(&mut asking(&url, &["host", "drop", "--yes", "web01"])).ok();
    let before = asked.lock().unwrap().len();
    let said = run(&mut asking(&url, &["host", "drop", "web01"]));
    assert!(said.code == 2 && said.err.contains("--yes"), "{said:?}");
    assert_eq!(asked.lock().unwrap().len(), before);
}

#[test]
fn hosts_are_listed_shown_and_dropped_on_a_real_server() {
    let server = Server::serve(tempfile::tempdir().unwrap());
    for n in 0..60 {
        server.post("/heartbeat", &beat(&format!("web{n:02}"), "started"));
    }
    server.post("/heartbeat", &beat("db01", "no disk\u{1b}[2J\nweb99  alive"));
    let names = |args: &[&str]| -> Vec<String> {
        let said = server.admin(&[&["host", "list", "-o", "json"], args].concat()).ok();
        said.objects().iter().map(|it| it["hostname"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&[]).len(), 61);
    assert_eq!(names(&["--hostname", "web0*", "--limit", "2"]), ["web00", "web01"]);
    assert_eq!(names(&["--match", "^d", "--state", "new,alive", "--agent", "falcon-agent"]), ["db01"]);
    assert_eq!(names(&["--sort", "-hostname", "--limit", "1"]), ["web59"]);
    assert_eq!(names(&["--label", "dc=a,rack", "--claimed-twice"]), [""; 0]);
    let table = server.admin(&["host", "list", "--hostname", "db*"]).ok().out;
    assert!(table.lines().count() == 2 && table.contains("no disk\\u{1b}[2J\\nweb99"), "{table}");
    let refused = server.admin(&["host", "list", "--match", "("]);
    assert!(refused.code == 1 && refused.err.contains("`match`"), "{refused:?}");

    let page = server.admin(&["host", "show", "web07"]).ok().out;
    assert!(
        page.starts_with("web07\n  state       new") && page.contains("falcon-agent  1.0.0    started"),
        "{page}"
    );
    assert_eq!(server.admin(&["host", "show", "web07", "-o", "json"]).ok().objects()[0]["hostname"], "web07");
    assert_eq!(server.admin(&["host", "show", "nobody"]).code, 3);

    server.admin(&["host", "drop", "--yes", "web07", "db01"]).ok();
    assert_eq!(names(&[]).len(), 59);
    assert_eq!(server.admin(&["host", "drop", "--yes", "web07"]).code, 3);
    let event = &server.admin(&["event", "list", "-o", "json", "--limit", "1"]).ok().objects()[0];
    assert_eq!((&event["kind"], &event["object"]), (&json!("host.dropped"), &json!("host db01")));
}

#[test]
fn whatever_fails_the_others_are_done_and_the_worst_decides() {
    let url = fake(|request| {
        let path = request.rsplit('/').next().unwrap_or_default();
        match path {
            "missing" | "3" => (
                "404 Not Found",
                "Content-Type: application/problem+json\r\n",
                json!({"detail": "there is none"}).to_string(),
            ),
            "broken" | "5" => ("500 Internal Server Error", "", String::new()),
            _ => ("204 No Content", "", String::new()),
        }
    });
    for (args, done, failed, code) in [
        (&["host", "drop", "--yes", "missing", "broken", "web01"][..], "web01 is dropped", 2, 1),
        (&["host", "drop", "--yes", "missing", "web01"], "web01 is dropped", 1, 3),
        (&["token", "revoke", "3", "7"], "token 7 is revoked", 1, 3),
        (&["token", "revoke", "5", "3", "7"], "token 7 is revoked", 2, 1),
    ] {
        let said = run(&mut asking(&url, args));
        let lines = |part: &str| said.err.lines().filter(|line| line.contains(part)).count();
        assert_eq!((said.code, lines("ops-meta: "), lines(done)), (code, failed, 1), "{args:?} {said:?}");
    }
}
