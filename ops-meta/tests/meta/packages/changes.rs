//! Several changes of one package at once: what is in memory and in the database is the same.

use std::thread;

use super::*;
use crate::support::full_disk::FullDisk;
use crate::support::tarball::package;

/// All that the API says of packages.
fn all(admin: &Operator<'_>) -> Value {
    admin.get("/api/v1/packages?limit=1000").json()
}

#[test]
fn two_marks_at_once_both_stay() {
    let mut server = server();
    let token = Operator::first(&server).token;
    for round in 0..10 {
        let admin = Operator::with(&server, token.clone());
        admin.bring(&format!("a/{round}"), &package(&format!("{round}")));
        let path = format!("/api/v1/packages/a/{round}");
        thread::scope(|scope| {
            for marks in [json!({ "deprecated": "old" }), json!({ "protected": true })] {
                let (admin, path) = (&admin, &path);
                scope.spawn(move || assert_eq!(admin.ask("PATCH", path, Some(&marks)).status, 200));
            }
        });
        let it = admin.get(&path).json()["builds"][0].clone();
        assert_eq!((&it["deprecated"], &it["protected"]), (&json!("old"), &json!(true)));
    }
    let before = all(&Operator::with(&server, token.clone()));
    server.restart_killed();
    assert_eq!(all(&Operator::with(&server, token)), before);
}

#[test]
fn whatever_comes_together_memory_and_database_agree() {
    let mut server = server();
    let token = Operator::first(&server).token;
    let bytes = package("one");
    for round in 0..8 {
        let admin = Operator::with(&server, token.clone());
        // It may be there still.
        assert!(admin.push("a/1", &[], &bytes).status < 300);
        admin.bring(&format!("b/{round}"), &bytes);
        thread::scope(|scope| {
            let (admin, bytes) = (&admin, &bytes);
            scope.spawn(|| admin.delete("/api/v1/packages/a/1"));
            scope.spawn(|| admin.ask("PATCH", "/api/v1/packages/a/1", Some(&json!({ "deprecated": "old" }))));
            scope.spawn(|| admin.ask("POST", "/api/v1/packages/a/1/verify", None));
            scope.spawn(|| admin.push("a/1", &[], bytes));
            scope.spawn(|| server.get("/packages/a-1.tar.gz"));
        });
        let before = all(&admin);
        server.restart_killed();
        let admin = Operator::with(&server, token.clone());
        assert_eq!(all(&admin), before, "round {round}");
        for it in before["packages"].as_array().unwrap() {
            assert!(server.get(it["path"].as_str().unwrap()).body == bytes, "round {round}: {it}");
        }
    }
}

#[test]
fn an_upload_whose_row_is_not_written_goes_on_when_it_can_be() {
    let (server, bytes) = (server(), package("one"));
    let admin = Operator::first(&server);
    let path = format!("a/1?sha256={}", sha256(&bytes));
    let disk = FullDisk::of(&server, &["ops-meta.db", "ops-meta.db-wal"]);
    assert_eq!(admin.push(&path, &[], &bytes).status, 507);
    assert_eq!(server.get("/packages/a-1.tar.gz").status, 404);
    drop(disk);
    let there = admin.get(&format!("/api/v1/uploads/{}", sha256(&bytes))).json();
    assert_eq!(there["offset"], bytes.len(), "what came need not come again");
    let last = bytes.len() - 1;
    let range = format!("Content-Range: bytes {last}-{last}/{}", bytes.len());
    assert_eq!(admin.push(&path, &[&range], &bytes[last..]).status, 201);
    assert!(server.get("/packages/a-1.tar.gz").body == bytes);
}

#[test]
fn a_database_that_does_not_write_keeps_no_right_bytes_back() {
    let (server, bytes) = (server(), package("one"));
    let admin = Operator::first(&server);
    admin.bring("a/1", &bytes);
    let path = blob(&server, &bytes);
    let times = std::fs::File::options().write(true).open(&path).unwrap();
    times.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let _disk = FullDisk::of(&server, &["ops-meta.db", "ops-meta.db-wal"]);
    for _ in 0..2 {
        assert!(server.get("/packages/a-1.tar.gz").body == bytes);
    }
}
