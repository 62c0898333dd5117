//! The token that nobody had to give.

use std::os::unix::fs::PermissionsExt as _;

use crate::support::{Operator, Server, config, refused};

#[test]
fn the_first_start_leaves_the_token_of_an_admin_in_a_file() {
    let server = Server::start(&config());
    let line = server.wait_for_log(&["event=first_token", "file=/", "/data/admin.token"]);
    let file = server.path("data/admin.token");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let admin = Operator::first(&server);
    assert!(!line.contains(&admin.token));
    let who = admin.get("/api/v1/whoami").json();
    assert_eq!((who["role"].as_str(), who["expires"].is_null()), (Some("admin"), true));
}

#[test]
fn a_later_start_makes_none() {
    let mut server = Server::start(&config());
    let token = Operator::first(&server).token;
    let file = server.path("data/admin.token");
    server.restart_killed();
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim(), token);
    std::fs::remove_file(&file).unwrap();
    server.restart();
    assert!(!file.exists());
    assert_eq!(server.log().iter().filter(|line| line.contains("first_token")).count(), 1);
    assert_eq!(Operator::with(&server, token).get("/api/v1/whoami").status, 200);
}

#[test]
fn a_file_that_cannot_be_written_is_a_reason_not_to_start() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("admin.token/x")).unwrap();
    let data = folder.path().to_str().unwrap();
    let said = refused(&["serve", "--listen", "127.0.0.1:0", "--data", data], None);
    assert!(said.starts_with("ops-meta: failed to") && said.contains("admin.token"), "{said}");
}

#[test]
fn a_file_of_a_start_that_did_not_get_further_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    for left in ["data/admin.token", "data/admin.token.new"] {
        std::fs::write(folder.path().join(left), "opsm_of_yesterday").unwrap();
    }
    let server = Server::start_in(folder, &config());
    assert_eq!(Operator::first(&server).get("/api/v1/whoami").status, 200);
    let file = server.path("data/admin.token");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!server.path("data/admin.token.new").exists());
}
