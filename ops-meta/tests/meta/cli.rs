//! The command line of operators: what it prints, what it asks, and how it ends.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::Server;
use crate::support::certificates::Authority;
use crate::support::command_line::{Said, asking, command, fake, run};

fn server() -> Server {
    Server::serve(tempfile::tempdir().unwrap())
}

/// A token of a role, as `$(ops-meta token create ...)` gets it.
fn token(server: &Server, name: &str, role: &str) -> String {
    server.admin(&["token", "create", name, "--role", role]).ok().out.trim_end().to_owned()
}

/// The same command with another token.
fn with(server: &Server, token: &str, args: &[&str]) -> Said {
    run(server.command(args).env("OPS_META_TOKEN", token))
}

#[test]
fn who_am_i() {
    let server = server();
    let said = server.admin(&["whoami"]).ok();
    assert_eq!(said.out, "actor    token 1 (first admin)\nrole     admin\nexpires  never\n");
    let me = &server.admin(&["whoami", "-o", "json"]).ok().objects()[0];
    assert_eq!((&me["role"], &me["expires"]), (&json!("admin"), &json!(null)));
}

#[test]
fn a_new_token_stands_alone_on_standard_output_and_opens_what_its_role_may() {
    let server = server();
    let created = server.admin(&["token", "create", "alice", "--role", "viewer", "--expires", "30d"]).ok();
    let secret = created.out.strip_suffix('\n').unwrap();
    assert!(secret.starts_with("opsm_") && !secret.contains(char::is_whitespace), "{created:?}");
    assert!(created.err.contains("alice") && !created.err.contains(secret), "{created:?}");
    let me = &with(&server, secret, &["whoami", "-o", "json"]).ok().objects()[0];
    assert_eq!((&me["actor"], &me["role"]), (&json!("token 2 (alice)"), &json!("viewer")));

    let refused = with(&server, secret, &["token", "list"]);
    assert_eq!((refused.code, refused.out.as_str()), (1, ""));
    assert!(refused.err.contains("admin") && refused.err.contains("viewer"), "{refused:?}");

    let again = server.admin(&["token", "create", "alice", "--role", "viewer"]);
    assert!(again.code == 1 && again.err.contains("alice"), "{again:?}");
    let host = ["token", "create", "web", "--role", "host", "--hostname", "web01", "-o", "json"];
    assert_eq!(server.admin(&host).ok().objects()[0]["hostname"], "web01");
}

#[test]
fn a_revoked_token_counts_no_longer_and_stays_listed() {
    let server = server();
    let secret = token(&server, "alice", "viewer");
    server.admin(&["token", "revoke", "2"]).ok();
    let refused = with(&server, &secret, &["whoami"]);
    assert!(refused.code == 1 && refused.err.contains("revoked"), "{refused:?}");

    server.admin(&["token", "revoke", "2"]).ok();
    let missing = server.admin(&["token", "revoke", "99"]);
    assert_eq!((missing.code, missing.err.as_str()), (3, "ops-meta: there is no token 99\n"));

    let table = server.admin(&["token", "list"]).ok().out;
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split("  ").map(str::trim).collect()).collect();
    assert_eq!(rows[0][0], "ID");
    assert!(rows[1].contains(&"first admin") && rows[1].contains(&"valid"), "{table}");
    assert!(rows[2].contains(&"alice") && rows[2].contains(&"revoked"), "{table}");
    let listed = server.admin(&["token", "list", "-o", "json"]).ok().objects();
    assert_eq!(listed.iter().map(|it| &it["name"]).collect::<Vec<_>>(), ["first admin", "alice"]);
    assert!(listed.iter().all(|it| it.get("secret").is_none() && it.get("hash").is_none()));
}

#[test]
fn events_come_newest_first_and_are_found_by_what_they_are() {
    let server = server();
    for name in ["a", "b", "c"] {
        token(&server, name, "viewer");
    }
    let objects = |args: &[&str]| -> Vec<String> {
        let all = [&["event", "list", "-o", "json", "--kind", "token.created"], args].concat();
        let events = server.admin(&all).ok().objects();
        events.iter().map(|it| it["object"].as_str().unwrap().replace("token ", "")).collect()
    };
    assert_eq!(objects(&[]), ["4", "3", "2", "1"]);
    assert_eq!(objects(&["--limit", "2"]), ["4", "3"]);
    assert_eq!(objects(&["--object", "token 2"]), ["2"]);
    assert_eq!(objects(&["--actor", "ops-meta", "--since", "1h"]), ["1"]);
    assert_eq!(objects(&["--until", "2001-01-01"]), [""; 0]);
    let table = server.admin(&["event", "list"]).ok().out;
    assert!(table.starts_with("ID") && table.lines().count() >= 5, "{table}");
}

#[test]
fn events_are_followed_as_they_happen() {
    let server = server();
    token(&server, "before", "viewer");
    let mut following =
        server.command(&["event", "list", "--follow", "--kind", "token.created", "-o", "json"]);
    let mut child = following.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<serde_json::Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!([&next()["after"]["name"], &next()["after"]["name"]], ["first admin", "before"]);
    for name in ["one", "two"] {
        token(&server, name, "viewer");
    }
    assert_eq!([&next()["after"]["name"], &next()["after"]["name"]], ["one", "two"]);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn who_follows_outlives_a_server_that_is_away_for_a_while() {
    let mut asked = 0;
    let url = fake(move |_| {
        asked += 1;
        let event = |id: i64| json!({"events": [{"id": id, "at": 0}], "next": null}).to_string();
        match asked {
            1 => ("200 OK", "", event(1)),
            2 | 3 => ("503 Service Unavailable", "", String::new()),
            4 => ("200 OK", "", event(2)),
            _ => ("401 Unauthorized", "", String::new()),
        }
    });
    let said = run(&mut asking(&url, &["event", "list", "--follow", "-o", "json"]));
    assert_eq!(said.objects().iter().map(|it| &it["id"]).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((said.code, said.err.matches("503").count()), (1, 1), "{said:?}");
}

#[test]
fn who_has_lost_every_token_makes_one_beside_a_stopped_server() {
    let mut server = server();
    let data = server.path("data");
    let create = ["token", "create", "rescue", "--role", "admin", "--data", data.to_str().unwrap()];
    let refused = run(&mut command(&create));
    assert!(refused.code == 1 && refused.err.contains("another ops-meta uses it"), "{refused:?}");

    server.signal(Signal::SIGTERM);
    server.ended();
    let secret = run(&mut command(&create)).ok().out.trim_end().to_owned();
    assert!(run(&mut command(&create)).err.contains("rescue"), "the name is taken");
    let server = server.again(&["serve", "--listen", "127.0.0.1:0"]);
    let me = &with(&server, &secret, &["whoami", "-o", "json"]).ok().objects()[0];
    assert_eq!((&me["actor"], &me["role"]), (&json!("token 2 (rescue)"), &json!("admin")));
    let event = &server.admin(&["event", "list", "-o", "json"]).ok().objects()[0];
    assert_eq!((&event["actor"], &event["kind"]), (&json!("command line"), &json!("token.created")));

    let nowhere = server.path("nowhere");
    let mistyped = ["token", "create", "x", "--role", "admin", "--data", nowhere.to_str().unwrap()];
    assert_eq!(run(&mut command(&mistyped)).code, 1);
    assert!(!nowhere.exists(), "a folder that was mistyped is not made");
}

#[test]
fn a_token_comes_from_a_file_or_the_environment_and_what_is_wrong_with_it_is_said() {
    let server = server();
    let file = server.path("data/admin.token");
    let file = file.to_str().unwrap();
    with(&server, "opsm_wrong", &["whoami", "--token-file", file]).ok();
    let wrong = with(&server, "opsm_wrong", &["whoami"]);
    assert!(wrong.code == 1 && wrong.err.contains("OPS_META_TOKEN"), "{wrong:?}");
    for (token, args) in
        [("", &["whoami"][..]), ("two words", &["whoami"]), ("x", &["whoami", "--token-file", "/nowhere"])]
    {
        let said = with(&server, token, args);
        assert!(said.code == 2 && said.err.contains("token") | said.err.contains("/nowhere"), "{said:?}");
    }
}

#[test]
fn a_server_that_cannot_be_asked_is_named() {
    let server = server();
    let secure = server.url().replace("http:", "https:");
    for (url, code, word) in [
        ("http://127.0.0.1:1", 1, "refused"),
        (&*secure, 1, "does not speak TLS; should it be http?"),
        ("http://name.invalid", 1, "name.invalid"),
        ("127.0.0.1:2000", 2, "`http://HOST:PORT` or `https://HOST:PORT`"),
        ("http://", 2, "https://"),
    ] {
        let said = server.admin(&["whoami", "--url", url]);
        assert!(said.code == code && said.err.contains(word), "{url}: {said:?}");
        assert!(
            said.err.starts_with("ops-meta: ") && said.err.contains(url) && said.out.is_empty(),
            "{said:?}"
        );
    }
}

#[test]
fn what_is_no_ops_meta_is_told_from_one_that_refuses() {
    let page = || "<html>".to_owned();
    let problem = "Content-Type: application/problem+json\r\nRetry-After: 7\r\n";
    let detail = || json!({"title": "t", "detail": "away \u{1b}[2J"}).to_string();
    for (status, head, body, word) in [
        ("404 Not Found", "", page(), "new enough?"),
        ("200 OK", "", page(), "no answer of ops-meta"),
        ("302 Found", "Location: https://elsewhere/\r\n", page(), "https://elsewhere/"),
        ("502 Bad Gateway", "", page(), "502"),
        ("503 Service Unavailable", problem, detail(), "away \\u{1b}[2J (wait 7 s)"),
        ("422 Unprocessable Entity", problem, detail(), "away"),
    ] {
        let url = fake(move |_| (status, head, body.clone()));
        let said = run(&mut asking(&url, &["whoami"]));
        assert!(said.code == 1 && said.err.contains(word), "{status}: {said:?}");
    }
}

#[test]
fn tls_of_an_own_authority_is_believed_when_told_so() {
    let (authority, other) = (Authority::new("ours"), Authority::new("another"));
    let folder = tempfile::tempdir().unwrap();
    authority.signs("localhost").write(folder.path());
    std::fs::write(folder.path().join("ours.pem"), authority.pem()).unwrap();
    std::fs::write(folder.path().join("other.pem"), other.pem()).unwrap();
    let config =
        crate::support::config_with(json!({ "tls": { "certFile": "cert.pem", "keyFile": "key.pem" } }));
    let server = Server::start_in(folder, &config);
    let url = server.url().replace("http://127.0.0.1", "https://localhost");
    let path = |name: &str| server.path(name).to_str().unwrap().to_owned();
    server.admin(&["whoami", "--url", &url, "--ca", &path("ours.pem")]).ok();
    run(server.command(&["whoami", "--url", &url]).env("OPS_META_CA", path("ours.pem"))).ok();
    let refused = server.admin(&["whoami", "--url", &url, "--ca", &path("other.pem")]);
    assert!(refused.code == 1 && refused.err.contains("--ca"), "{refused:?}");
    let another = url.replace("localhost", "127.0.0.1");
    let refused = server.admin(&["whoami", "--url", &another, "--ca", &path("ours.pem")]);
    assert!(refused.code == 1 && refused.err.contains("another name"), "{refused:?}");
    let none = server.admin(&["whoami", "--url", &url, "--ca", &path("key.pem")]);
    assert!(none.code == 2 && none.err.contains("key.pem"), "{none:?}");
}

#[test]
fn a_certificate_is_shown_where_the_server_wants_one() {
    let authority = Authority::new("ours");
    let folder = tempfile::tempdir().unwrap();
    authority.signs("localhost").write(folder.path());
    std::fs::write(folder.path().join("ours.pem"), authority.pem()).unwrap();
    let tls = json!({ "certFile": "cert.pem", "keyFile": "key.pem", "clientCaFile": "ours.pem" });
    let server = Server::start_in(folder, &crate::support::config_with(json!({ "tls": tls })));
    let url = server.url().replace("http://127.0.0.1", "https://localhost");
    let path = |name: &str| server.path(name).to_str().unwrap().to_owned();
    let asked =
        |more: &[&str]| server.admin(&[&["whoami", "--url", &url, "--ca", &path("ours.pem")], more].concat());
    let refused = asked(&[]);
    assert!(refused.code == 1 && refused.err.contains("--cert"), "{refused:?}");
    asked(&["--cert", &path("cert.pem"), "--key", &path("key.pem")]).ok();
    assert_eq!(asked(&["--cert", &path("cert.pem")]).code, 2);
}

#[test]
fn wrong_use_ends_with_two() {
    for args in [
        &["host"][..],
        &["host", "list", "--state", "odd"],
        &["host", "show"],
        &["host", "drop", "web01"],
        &["token", "create", "a"],
        &["token", "create", "a", "--role", "king"],
        &["token", "create", "a", "--role", "admin", "--expires", "soon"],
        &["token", "create", "a", "--role", "host", "--data", "d", "--hostname", "h"],
        &["token", "revoke", "alice"],
        &["event", "list", "--since", "yesterday"],
        &["whoami", "-o", "xml"],
        &["whoami", "--token", "opsm_x"],
        &["backup"],
    ] {
        let said = run(&mut command(args));
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{args:?}: {said:?}");
        assert!(!said.err.is_empty());
    }
}

#[test]
fn a_token_that_is_named_by_its_name_is_told_where_its_number_is() {
    let said = run(&mut command(&["token", "revoke", "bob"]));
    assert!(said.err.contains("number") && said.err.contains("`ops-meta token list`"), "{said:?}");
}

#[test]
fn every_help_has_an_example() {
    for verb in [
        "host list",
        "host show",
        "host drop",
        "token create",
        "token list",
        "token revoke",
        "event list",
        "whoami",
        "backup",
        "restore",
    ] {
        let words: Vec<&str> = verb.split(' ').chain(["-h"]).collect();
        let said = run(&mut command(&words)).ok();
        let examples = said.out.split_once("\nExample").map(|(_, rest)| rest);
        assert!(examples.is_some_and(|it| it.contains(&format!("ops-meta {verb}"))), "{verb}: {}", said.out);
    }
}

#[test]
fn who_stops_reading_is_no_failure() {
    let page = (0..1000).map(|n| json!({"hostname": format!("host{n}")})).collect::<Vec<_>>();
    let mut n = 0;
    let url = fake(move |_| {
        n += 1;
        ("200 OK", "", json!({"hosts": page, "next": n.to_string()}).to_string())
    });
    for format in ["table", "json"] {
        let mut listing = asking(&url, &["host", "list", "-o", format]);
        let mut child = listing.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut out = child.stdout.take().unwrap();
        out.read_exact(&mut [0; 100]).unwrap();
        drop(out);
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    }
}

#[test]
fn an_output_that_cannot_be_written_is_a_failure() {
    let server = server();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let child = server.command(&["whoami"]).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("failed to write the output"));
}

#[test]
fn a_token_that_cannot_be_shown_does_not_count() {
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut server = server();
    let data = server.path("data").to_str().unwrap().to_owned();
    let lost = |mut create: std::process::Command, id: u64| {
        let output = create.stdout(full()).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let expected = format!("token {id} (lost), which nobody has seen, is revoked again");
        assert!(output.status.code() == Some(1) && said.contains(&expected), "{said}");
    };
    lost(server.command(&["token", "create", "lost", "--role", "viewer"]), 2);
    server.signal(Signal::SIGTERM);
    server.ended();
    lost(command(&["token", "create", "lost", "--role", "admin", "--data", &data]), 3);
    let server = server.again(&["serve", "--listen", "127.0.0.1:0"]);
    let tokens = server.admin(&["token", "list", "-o", "json"]).ok().objects();
    let revoked: Vec<bool> = tokens.iter().map(|token| token["revoked"].is_i64()).collect();
    assert_eq!(revoked, [false, true, true]);
}
