//! Somebody can always give and revoke tokens, and whoever can no longer is told the way back.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::command_line::{command, run};
use crate::support::{Operator, Server};

fn server() -> Server {
    Server::serve(tempfile::tempdir().unwrap())
}

#[test]
fn the_last_admin_that_counts_is_not_revoked_unless_forced() {
    let server = server();
    let admin = Operator::first(&server);
    // None of these could do what the last one does.
    let (id, _) = admin.create("gone", "admin", &Value::Null);
    assert_eq!(admin.delete(&format!("/api/v1/tokens/{id}")).status, 204);
    admin.create("alice", "operator", &Value::Null);

    let refused = admin.delete("/api/v1/tokens/1");
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert_eq!(refused.status, 409);
    assert!(
        detail.contains("token 1 (first admin) is the last one") && detail.contains("?force=true"),
        "{detail}"
    );
    let said = server.admin(&["token", "revoke", "1"]);
    assert!(said.code == 1 && said.err.contains("--force"), "{said:?}");
    assert_eq!(admin.delete("/api/v1/tokens/1?forse=true").status, 400);

    admin.create("second", "admin", &json!({ "expiresInSecs": 1000 }));
    server.admin(&["token", "revoke", "1"]).ok();
}

#[test]
fn without_an_admin_a_start_says_the_way_back_and_it_works() {
    let mut server = server();
    server.admin(&["token", "create", "alice", "--role", "operator"]).ok();
    server.admin(&["token", "revoke", "1", "--force"]).ok();
    server.restart();
    let line = server.wait_for_log(&["event=no_admin_token", "level=warn"]);
    let told = line.split('`').nth(1).unwrap().replace("NAME", "bob");

    server.signal(Signal::SIGTERM);
    server.ended();
    let words: Vec<&str> = told.split(' ').skip(1).collect();
    let secret = run(command(&words).current_dir(server.path(""))).ok().out;
    let server = server.again(&["serve", "--listen", "127.0.0.1:0"]);
    let me = Operator::with(&server, secret.trim().to_owned()).get("/api/v1/whoami").json();
    assert_eq!((&me["actor"], &me["role"]), (&json!("token 3 (bob)"), &json!("admin")));
    assert!(!server.log().iter().any(|line| line.contains("no_admin_token")));
}
