//! What happens when the database does not: the disk is full, somebody else holds it, it is not what it was.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::full_disk::FullDisk;
use crate::support::{Operator, Reply, Server, beat, config, eventually, refused};

fn create(admin: &Operator<'_>, name: &str) -> Reply {
    admin.post("/api/v1/tokens", &json!({ "name": name, "role": "viewer" }))
}

/// Beats are answered at once, and tokens count.
fn goes_on(server: &Server, admin: &Operator<'_>) {
    let began = Instant::now();
    for host in ["web01", "web02"] {
        let answer = server.post("/heartbeat", &beat(host, "started"));
        assert_eq!(answer.json()["desiredAgents"][0]["version"], "1.0.0");
    }
    assert_eq!(admin.get("/api/v1/whoami").status, 200);
    assert!(began.elapsed() < Duration::from_secs(1), "it took {:?}", began.elapsed());
}

#[test]
fn while_another_program_holds_it_changes_are_refused_and_beats_go_on() {
    let server = Server::start(&config());
    let admin = Operator::first(&server);
    let other = rusqlite::Connection::open(server.path("data/ops-meta.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = create(&admin, "a");
    assert_eq!((refused.status, refused.header("retry-after")), (503, "5"), "{}", refused.text());
    let said = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(said.contains("another program has locked it") && said.contains("nothing was changed"), "{said}");
    goes_on(&server, &admin);
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(create(&admin, "a").status, 201);
    assert_eq!(admin.get("/api/v1/events").json()["events"][0]["generation"], 3);
}

#[test]
fn changes_that_wait_one_behind_another_are_all_refused_in_time() {
    let server = Server::start(&config());
    let admin = Operator::first(&server);
    assert_eq!(create(&admin, "before").status, 201);
    let other = rusqlite::Connection::open(server.path("data/ops-meta.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (admin, began) = (&admin, Instant::now());
    std::thread::scope(|scope| {
        for n in 0..6 {
            scope.spawn(move || assert_eq!(create(admin, &format!("a{n}")).status, 503));
        }
    });
    assert!(began.elapsed() < Duration::from_secs(4), "it took {:?}", began.elapsed());
    let unready = server.get("/readyz");
    assert!(unready.status == 503 && unready.text().contains("database"), "{}", unready.text());
    other.execute_batch("ROLLBACK").unwrap();
    eventually("it to be ready again", || (server.get("/readyz").status == 200).then_some(()));
    assert_eq!(create(admin, "a0").status, 201);
}

#[test]
fn on_a_full_disk_changes_are_refused_and_beats_go_on() {
    let server = Server::start(&config());
    let admin = Operator::first(&server);
    assert_eq!(create(&admin, "before").status, 201);
    let disk = FullDisk::of(&server, &["ops-meta.db", "ops-meta.db-wal"]);
    let refused = create(&admin, "a");
    assert_eq!(refused.status, 507, "{}", refused.text());
    assert!(refused.json()["detail"].as_str().unwrap().contains("disk of the data folder is full"));
    goes_on(&server, &admin);
    assert_eq!(create(&admin, "b").status, 507);
    drop(disk);
    assert_eq!(create(&admin, "a").status, 201);
    let events = admin.get("/api/v1/events").json();
    assert_eq!((&events["events"][0]["generation"], &events["events"][0]["id"]), (&json!(4), &json!(4)));
}

/// A data folder that was in use once.
fn used() -> tempfile::TempDir {
    let mut server = Server::start(&config());
    Operator::first(&server);
    server.signal(nix::sys::signal::Signal::SIGTERM);
    server.ended();
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(server.path("data/ops-meta.db"), folder.path().join("ops-meta.db")).unwrap();
    folder
}

/// Does not start, and leaves the file as it is.
fn refuses(folder: &Path) -> String {
    let database = folder.join("ops-meta.db");
    let before = std::fs::read(&database).unwrap();
    let said = refused(&["serve", "--listen", "127.0.0.1:0", "--data", folder.to_str().unwrap()], None);
    assert!(said.starts_with("ops-meta: failed to") && said.contains("ops-meta.db"), "{said}");
    assert!(std::fs::read(&database).unwrap() == before, "it was changed");
    assert!(!folder.join("admin.token").exists());
    said
}

#[test]
fn a_newer_database_is_refused() {
    let folder = used();
    let database = rusqlite::Connection::open(folder.path().join("ops-meta.db")).unwrap();
    database.pragma_update(None, "user_version", 99).unwrap();
    drop(database);
    assert!(refuses(folder.path()).contains("a newer ops-meta made it"));
}

#[test]
fn a_damaged_database_is_refused() {
    for (from, to, word) in
        [(0, 100, "no database of ops-meta"), (100, 4096, "damaged"), (4096, usize::MAX, "malformed")]
    {
        let folder = used();
        let path = folder.path().join("ops-meta.db");
        let mut bytes = std::fs::read(&path).unwrap();
        let to = to.min(bytes.len());
        bytes[from..to].fill(0xa5);
        std::fs::write(&path, bytes).unwrap();
        let said = refuses(folder.path());
        assert!(said.contains(word), "{from}: {said}");
    }
}

#[test]
fn what_would_be_written_into_a_database_that_was_moved_is_refused() {
    let server = Server::start(&config());
    let admin = Operator::first(&server);
    let (here, there) = (server.path("data/ops-meta.db"), server.path("elsewhere.db"));
    std::fs::rename(&here, &there).unwrap();
    let refused = create(&admin, "lost");
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.json()["detail"].as_str().unwrap().contains("moved"), "{}", refused.text());
    server.post("/heartbeat", &beat("web09", "started"));
    eventually("it to be told", || (server.get("/readyz").status == 503).then_some(()));
    std::fs::rename(&there, &here).unwrap();
    assert_eq!(create(&admin, "kept").status, 201);
}

#[test]
fn a_log_of_the_database_that_was_removed_is_noticed_and_nothing_is_lost_with_it() {
    let mut server = Server::start(&config());
    let admin = Operator::first(&server);
    assert_eq!(create(&admin, "before").status, 201);
    std::fs::remove_file(server.path("data/ops-meta.db-wal")).unwrap();
    let refused = create(&admin, "lost");
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.json()["detail"].as_str().unwrap().contains("ops-meta.db-wal"), "{}", refused.text());
    assert_eq!(server.get("/readyz").status, 503);
    let token = admin.token.clone();
    server.restart_killed();
    let admin = Operator::with(&server, token);
    let tokens = admin.get("/api/v1/tokens").text();
    assert!(tokens.contains("before") && !tokens.contains("lost"), "{tokens}");
    assert_eq!(create(&admin, "kept").status, 201);
}

#[test]
fn nobody_else_reads_the_data() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = Server::start(&config());
    Operator::first(&server);
    for name in ["ops-meta.db", "ops-meta.db-wal", "lock", "admin.token"] {
        let mode = std::fs::metadata(server.path("data").join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}: {mode:o}");
    }
}
