//! What is below /api/ and what is not.

use crate::support::{Server, config_with};
use serde_json::json;

#[test]
fn nothing_below_api_is_a_file() {
    let files = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(files.path().join("api/v1")).unwrap();
    for file in ["api/v1/x", "api/x", "x"] {
        std::fs::write(files.path().join(file), "a file").unwrap();
    }
    let server = Server::start(&config_with(json!({ "tarballDir": files.path() })));
    assert_eq!(server.get("/x").text(), "a file");
    for path in ["/api", "/api/", "/api/x", "/api/v1", "/api/v1/x", "/api/v1/tokens/1/2", "/api/v2/tokens"] {
        for method in ["GET", "POST", "DELETE"] {
            let reply = server.ask(method, path, &[], b"");
            assert_eq!(
                (reply.status, reply.header("content-type")),
                (404, "application/problem+json"),
                "{path}"
            );
            assert!(reply.json()["detail"].as_str().unwrap().contains(path));
        }
    }
    for path in ["//api/x", "/%61pi/x", "/api%2fx"] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let server = Server::start(&config_with(json!({})));
    for (method, path, allowed) in [
        ("PUT", "/api/v1/tokens", "GET,HEAD,POST"),
        ("GET", "/api/v1/tokens/1", "DELETE"),
        ("POST", "/healthz", "GET,HEAD"),
        ("POST", "/api/openapi.json", "GET,HEAD"),
    ] {
        let reply = server.ask(method, path, &[], b"");
        assert_eq!((reply.status, reply.header("allow")), (405, allowed), "{path}");
        assert_eq!(reply.json()["status"], 405);
    }
    let beat = server.get("/heartbeat");
    assert_eq!((beat.status, beat.header("allow")), (405, "POST"));
}

#[test]
fn a_server_that_serves_says_so() {
    let server = Server::start(&config_with(json!({})));
    assert_eq!(server.get("/healthz").text(), "ok");
    let ready = server.get("/readyz");
    assert_eq!((ready.status, ready.json()), (200, json!({ "ready": true, "missing": {} })));
}
