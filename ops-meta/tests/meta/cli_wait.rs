//! `ops-meta wait`: what it waits for, what it tells meanwhile, and how it ends.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::Server;
use crate::support::command_line::{asking, fake, run};

/// A host says how its agent is; `more` has further fields of the agent.
fn beats(server: &Server, hostname: &str, version: &str, status: &str, more: Value) {
    let mut agent =
        json!({"name": "nginx", "version": version, "status": status, "timestamp": 1_709_210_096});
    for (key, value) in more.as_object().unwrap() {
        agent[key] = value.clone();
    }
    let beat = json!({"protocol": 2, "hostname": hostname, "labels": {"env": "prod"}, "realAgents": [agent]});
    assert_eq!(server.post("/heartbeat", &beat).status, 200);
}

fn server() -> Server {
    Server::serve(tempfile::tempdir().unwrap())
}

#[test]
fn it_tells_who_is_missing_and_ends_with_the_last_one() {
    let server = server();
    for hostname in ["web01", "web02", "web03"] {
        beats(&server, hostname, "1.0", "started", json!({}));
    }
    let mut waiting = server.command(&["wait", "nginx", "1.1", "--interval", "1s", "--timeout", "1m"]);
    let mut child = waiting.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert_eq!(lines.next().unwrap(), "0 of 3 hosts; waiting for web01 web02 web03");
    beats(&server, "web01", "1.1", "started", json!({}));
    assert_eq!(lines.next().unwrap(), "1 of 3 hosts; waiting for web02 web03");
    beats(
        &server,
        "web03",
        "1.0",
        "started",
        json!({"phase": "failed", "errorCode": "md5_mismatch", "error": "no"}),
    );
    assert_eq!(lines.next().unwrap(), "1 of 3 hosts; waiting for web02; failed on web03 (md5_mismatch)");
    // Started counts, not only there.
    beats(&server, "web02", "1.1", "stoped", json!({}));
    beats(&server, "web03", "1.1", "started", json!({}));
    assert_eq!(lines.next().unwrap(), "2 of 3 hosts; waiting for web02");
    beats(&server, "web02", "1.1", "started", json!({}));
    assert_eq!(lines.collect::<Vec<_>>(), ["nginx 1.1 runs on 3 hosts"]);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
}

#[test]
fn at_the_time_out_it_says_who_lacks_it_and_why_and_how_to_see_them_all() {
    let server = server();
    beats(&server, "it's", "1.0", "started", json!({}));
    beats(&server, "web01", "1.1", "started", json!({}));
    beats(&server, "web02", "1.1", "stoped", json!({}));
    beats(&server, "web03", "", "", json!({}));
    beats(
        &server,
        "web04",
        "1.0",
        "started",
        json!({"phase": "failed", "errorCode": "start_failed", "error": "no"}),
    );
    server.post("/heartbeat", &json!({"hostname": "web05", "realAgents": []}));
    let selector = "hostname=\"it's\" or hostname~\"^web0[1-5]$\"";
    let said =
        server.admin(&["wait", "nginx", "1.1", "--where", selector, "--timeout", "1s", "--interval", "1s"]);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    let last = said.err.lines().last().unwrap();
    let (sentence, hint) = last.split_once("; `").unwrap();
    assert_eq!(
        sentence,
        "ops-meta: after 1.0 s nginx 1.1 does not run on 5 of 6 hosts: it's (at 1.0), web02 (stoped), \
         web03 (not installed yet), web04 (start_failed), web05 (not there)"
    );

    let shown =
        hint.strip_suffix("` shows them").unwrap().replacen("ops-meta", env!("CARGO_BIN_EXE_ops-meta"), 1);
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{shown} -o json")]);
    shell.envs(server.command(&[]).get_envs().filter_map(|(key, value)| Some((key, value?))));
    let names: Vec<Value> = run(&mut shell).ok().objects().iter().map(|it| it["hostname"].clone()).collect();
    assert_eq!(names, ["it's", "web02", "web03", "web04", "web05"], "{shown}");
}

#[test]
fn of_many_hosts_some_are_named_and_those_that_failed_first() {
    let server = server();
    for n in 0..60 {
        beats(&server, &format!("web{n:02}"), "1.0", "started", json!({}));
    }
    for n in 50..57 {
        let more = json!({"phase": "failed", "errorCode": "timeout", "error": "slow"});
        beats(&server, &format!("web{n:02}"), "1.0", "started", more);
    }
    let said = server.admin(&["wait", "nginx", "1.1", "--timeout", "1s"]);
    let first = said.err.lines().next().unwrap();
    let (counted, failed) = first.split_once("; failed on ").unwrap();
    assert!(counted.starts_with("0 of 60 hosts; waiting for web") && counted.ends_with(" ..."), "{first}");
    assert_eq!(
        failed,
        "web50 (timeout), web51 (timeout), web52 (timeout), web53 (timeout), web54 (timeout) ..."
    );
    let sentence = said.err.lines().last().unwrap();
    assert!(
        sentence.contains("does not run on 60 of 60 hosts: web") && sentence.contains(") ...; `"),
        "{sentence}"
    );
}

#[test]
fn only_the_selected_hosts_count() {
    let server = server();
    beats(&server, "web01", "1.1", "started", json!({}));
    beats(&server, "db01", "1.0", "started", json!({}));
    let said = server.admin(&["wait", "nginx", "1.1", "--where", "hostname=web* and env=prod"]).ok();
    assert_eq!(said.err, "nginx 1.1 runs on 1 host\n");

    let none = server.admin(&["wait", "nginx", "1.1", "--where", "hostname=mail*"]);
    assert_eq!(
        (none.code, none.err.contains("no host is selected"), none.err.contains("--allow-none")),
        (3, true, true)
    );
    server.admin(&["wait", "nginx", "1.1", "--where", "hostname=mail*", "--allow-none"]).ok();
}

#[test]
fn of_all_hosts_the_first_one_is_waited_for() {
    let server = server();
    let none = server.admin(&["wait", "nginx", "1.1", "--timeout", "1s"]);
    assert_eq!(
        (none.code, none.err.lines().next()),
        (3, Some("no host is known yet that is not gone")),
        "{}",
        none.err
    );
    let waiting = server.command(&["wait", "nginx", "1.1", "--interval", "1s"]).spawn().unwrap();
    beats(&server, "web01", "1.1", "started", json!({}));
    assert!(waiting.wait_with_output().unwrap().status.success());
}

#[test]
fn what_nobody_ordered_is_told_of() {
    let server = server();
    beats(&server, "web01", "1.0", "started", json!({}));
    let policy =
        ["policy", "set", "nginx", "--version", "1.0", "--tarball", "http://elsewhere", "--cmd", "start"];
    server.admin(&policy).ok();
    let first = |args: &[&str]| server.admin(args).err.lines().next().unwrap().to_owned();
    let slip = first(&["wait", "ngnix", "1.0", "--timeout", "1s"]);
    assert_eq!(slip, "no policy orders ngnix 1.0; it is waited for all the same");
    assert_eq!(first(&["wait", "nginx", "1.0", "--timeout", "1s"]), "nginx 1.0 runs on 1 host");
}

#[test]
fn what_comes_and_goes_with_what_runs_is_no_selection() {
    // Nobody is asked: there is nobody.
    let url = "http://127.0.0.1:1";
    let wrong = |args: &[&str]| run(&mut asking(url, &[&["wait", "nginx"], args].concat()));
    for args in [
        &["1.1", "--where", "version(nginx)=1.0"][..],
        &["1.1", "--where", "env=prod and"],
        &["1.*"],
        &["1.1", "--timeout", "soon"],
        &[],
    ] {
        assert_eq!(wrong(args).code, 2, "{args:?}");
    }
    let said = wrong(&["1.1", "--where", "env=prod && all"]);
    assert!(said.err.contains("ops-meta: --where, ") && said.err.contains("write `and`"), "{said:?}");
}

#[test]
fn a_server_that_is_away_is_asked_again() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = asked.clone();
    let url = fake(move |request| {
        // What is ordered it does not say.
        if !request.contains("/api/v1/hosts") {
            return ("404 Not Found", "", String::new());
        }
        let mut asked = noted.lock().unwrap();
        asked.push(request.to_owned());
        let list = |names: &[&str], total: usize| {
            let hosts: Vec<Value> = names.iter().map(|name| json!({"hostname": name})).collect();
            ("200 OK", "", json!({"hosts": hosts, "next": null, "total": total}).to_string())
        };
        // A look is two requests, unless the first fails: all hosts, and those that lack it.
        match asked.len() {
            1 | 2 => ("502 Bad Gateway", "", String::new()),
            3 => list(&["web01"], 2),
            4 => list(&["web\u{1b}[2J"], 1),
            5 => ("503 Service Unavailable", "", String::new()),
            6 => list(&["web01"], 2),
            _ => list(&[], 0),
        }
    });
    let said = run(&mut asking(&url, &["wait", "nginx", "1.1", "--interval", "1s"])).ok();
    let lines: Vec<&str> = said.err.lines().collect();
    assert_eq!(lines.len(), 4, "{said:?}");
    assert!(lines[0].contains("502 Bad Gateway") && lines[0].ends_with("; it is asked again"), "{said:?}");
    assert_eq!(lines[1], "1 of 2 hosts; waiting for web\\u{1b}[2J");
    assert!(lines[2].contains("503 Service Unavailable"), "{said:?}");
    assert_eq!(lines[3], "nginx 1.1 runs on 2 hosts");
    for request in &*asked.lock().unwrap() {
        assert!(request.contains("total=true") && request.contains("where=state%21%3Dgone"), "{request}");
    }
}

#[test]
fn a_refusal_ends_it_and_so_does_the_time() {
    let url = fake(|_| ("403 Forbidden", "", String::new()));
    let said = run(&mut asking(&url, &["wait", "nginx", "1.1"]));
    assert!(said.code == 1 && said.err.contains("403 Forbidden"), "{said:?}");

    // Takes connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let begun = Instant::now();
    let said = run(&mut asking(&url, &["wait", "nginx", "1.1", "--timeout", "2s"]));
    assert!(said.code == 1 && said.err.ends_with("; given up after 2.0 s\n"), "{said:?}");
    assert!(begun.elapsed() < Duration::from_secs(30), "not as long as an answer may take");
}
