//! What nobody uses can be deleted; what cannot be deleted says who is in the way.

use std::fs;

use super::*;
use crate::support::eventually;
use crate::support::tarball::package;

#[test]
fn what_is_in_use_or_protected_is_not_deleted() {
    let order = json!([{
        "default": { "name": "a", "version": "1", "tarball": "", "md5": "", "cmd": "start" },
        "others": [{ "prefix": "lg-", "version": "2", "tarball": "", "md5": "", "cmd": "start" }]
    }]);
    let server = server_with(json!({ "agents": order }));
    let admin = Operator::first(&server);
    for version in ["1", "2", "3", "4", "5", "6"] {
        admin.bring(&format!("a/{version}"), &package(version));
    }
    let agent = |version: &str, desired: &str| json!({ "name": "a", "version": version, "desiredVersion": desired, "status": "started", "timestamp": 1 });
    server.post("/heartbeat", &json!({ "hostname": "web03", "realAgents": [agent("3", "4")] }));
    assert_eq!(admin.ask("PATCH", "/api/v1/packages/a/5", Some(&json!({ "protected": true }))).status, 200);
    for (version, words) in [
        ("1", ["cfg.json orders it for", "all hosts"]),
        ("2", ["cfg.json orders it for", "lg-"]),
        ("3", ["1 host runs it", "web03"]),
        ("4", ["1 host is being moved to it", "web03"]),
        ("5", ["a 5", "protected"]),
    ] {
        let said = detail(&admin.delete(&format!("/api/v1/packages/a/{version}")), 409);
        assert!(
            words.iter().all(|word| said.contains(word)) && said.contains("nothing was deleted"),
            "{said}"
        );
        assert_eq!(server.get(&format!("/packages/a-{version}.tar.gz")).status, 200);
    }
    let gc = admin.post("/api/v1/packages/gc", &json!({ "keep": 0 })).json();
    assert_eq!(
        (gc["deleted"].as_array().unwrap().len(), &gc["deleted"][0]["version"]),
        (1, &json!("6")),
        "{gc}"
    );
    assert_eq!(detail(&admin.delete("/api/v1/packages/a/6"), 404), "there is no package \"a\" \"6\"");
    assert_eq!(blobs(&server).len(), 5);
    admin.ask("PATCH", "/api/v1/packages/a/5", Some(&json!({ "protected": false })));
    assert_eq!(admin.delete("/api/v1/packages/a/5").status, 204);
}

#[test]
fn where_one_build_is_protected_none_is_deleted() {
    let server = server();
    let admin = Operator::first(&server);
    admin.bring("a/1?os=linux", &package("linux"));
    admin.ask("PATCH", "/api/v1/packages/a/1", Some(&json!({ "protected": true })));
    admin.bring("a/1", &package("all"));
    assert!(detail(&admin.delete("/api/v1/packages/a/1"), 409).contains("protected"));
    assert_eq!(admin.packages().len(), 2);
    assert_eq!(admin.delete("/api/v1/packages/a/1?os=").status, 204);
    assert_eq!(admin.packages().len(), 1);
}

#[test]
fn bytes_that_another_version_has_too_stay() {
    let server = server();
    let (admin, bytes) = (Operator::first(&server), package("one"));
    admin.bring("a/1", &bytes);
    admin.bring("a/2", &bytes);
    assert_eq!(admin.delete("/api/v1/packages/a/1").status, 204);
    assert_eq!(server.get("/packages/a-1.tar.gz").status, 404);
    assert!(server.get("/packages/a-2.tar.gz").body == bytes);
    assert_eq!(admin.delete("/api/v1/packages/a/2").status, 204);
    assert_eq!((server.get("/packages/a-2.tar.gz").status, blobs(&server).len()), (404, 0));
    let other = admin.push("a/1", &[], &package("other"));
    assert!(detail(&other, 409).contains("a version never changes"), "{}", other.text());
    assert_eq!(blobs(&server).len(), 0);
    admin.bring("a/1", &bytes);
    assert!(server.get("/packages/a-1.tar.gz").body == bytes, "what is gone can come again");
}

#[test]
fn a_file_that_stays_is_told_and_deleting_goes_on() {
    let mut server = server();
    let (token, bytes) = (Operator::first(&server).token, package("one"));
    let admin = Operator::with(&server, token.clone());
    admin.bring("a/1", &bytes);
    // No file can be removed by this name.
    let path = blob(&server, &bytes);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    for _ in 0..2 {
        let failed = admin.delete("/api/v1/packages/a/1");
        let said = detail(&failed, 500);
        assert!(
            said.contains("a 1") && said.contains("delete it again") && said.contains(&sha256(&bytes)),
            "{said}"
        );
        assert_eq!(failed.json()["code"], "delete_failed");
        let shown = admin.packages()[0].clone();
        assert_eq!((&shown["state"], shown["why"].is_string()), (&json!("delete_failed"), true));
        assert_eq!(server.get("/packages/a-1.tar.gz").status, 404, "it is served no more");
    }
    assert!(detail(&admin.push("a/1", &[], &bytes), 409).contains("being deleted"));
    let gc = admin.post("/api/v1/packages/gc", &json!({})).json();
    assert_eq!((&gc["deleted"], &gc["bytes"]), (&json!([]), &json!(0)), "{gc}");
    assert!(gc["failed"][0]["why"].as_str().unwrap().contains("delete it again"), "{gc}");
    assert_eq!(uploads(&server), [""; 0]);
    server.restart_killed();
    let admin = Operator::with(&server, token);
    assert_eq!(admin.packages()[0]["state"], "delete_failed", "an operator has to look");
    fs::remove_dir(&path).unwrap();
    assert_eq!(admin.delete("/api/v1/packages/a/1").status, 204);
    assert_eq!((admin.packages().len(), admin.events("package.deleted")), (0, 1));
    admin.bring("a/1", &bytes);
}

#[test]
fn what_was_being_deleted_when_the_server_ended_is_deleted_when_it_starts() {
    let mut server = server();
    let (token, bytes) = (Operator::first(&server).token, package("one"));
    let admin = Operator::with(&server, token.clone());
    admin.bring("a/1", &bytes);
    admin.bring("stays/1", &package("stays"));
    admin.ask("PATCH", "/api/v1/packages/a/1", Some(&json!({ "protected": true })));
    server.signal(nix::sys::signal::Signal::SIGKILL);
    server.ended();
    let database = rusqlite::Connection::open(server.path("data/ops-meta.db")).unwrap();
    database.execute("UPDATE packages SET state = 'deleting' WHERE name = 'a'", []).unwrap();
    drop(database);
    server.restart_killed();
    server.wait_for_log(&["event=package_deleted", "a 1"]);
    let admin = Operator::with(&server, token);
    eventually("it to be gone", || (admin.packages().len() == 1).then_some(()));
    assert_eq!((blobs(&server), admin.events("package.deleted")), (vec![sha256(&package("stays"))], 1));
}

#[test]
fn what_a_crash_left_is_found_and_freed() {
    let server = server();
    let admin = Operator::first(&server);
    admin.bring("a/1", &package("one"));
    let orphan = blob(&server, b"orphan");
    fs::create_dir_all(orphan.parent().unwrap()).unwrap();
    fs::write(&orphan, "orphan").unwrap();
    for (dry_run, left) in [(true, 2), (false, 1)] {
        let gc = admin.post("/api/v1/packages/gc", &json!({ "dryRun": dry_run })).json();
        assert_eq!(
            (&gc["orphans"], &gc["bytes"], &gc["deleted"]),
            (&json!(1), &json!(6), &json!([])),
            "{gc}"
        );
        assert_eq!(blobs(&server).len(), left);
    }
    assert_eq!(admin.post("/api/v1/packages/gc", &json!({})).json()["orphans"], 0);
}
