//! https, with the server's certificate and those of hosts.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::certificates::{Authority, get};
use crate::support::{Server, config, config_with, refused};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

fn tls(folder: &Path, client_ca: Option<&str>) -> Value {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    json!({ "certFile": path("cert.pem"), "keyFile": path("key.pem"), "clientCaFile": client_ca.map(path) })
}

/// A server whose certificate `ours` has signed; it asks for certificates of `clients`, if any.
fn server(ours: &Authority, clients: Option<&Authority>) -> Server {
    let folder = tempfile::tempdir().unwrap();
    ours.signs("localhost").write(folder.path());
    if let Some(clients) = clients {
        std::fs::write(folder.path().join("ca.pem"), clients.pem()).unwrap();
    }
    let tls = tls(folder.path(), clients.map(|_| "ca.pem"));
    let short = json!({ "headerMillis": 1000, "bodyMillis": 1000, "idleMillis": 1000 });
    Server::start_in(folder, &config_with(json!({ "tls": tls, "timeouts": short })))
}

#[test]
fn a_client_that_knows_the_authority_is_served() {
    let ours = Authority::new("ours");
    assert_eq!(get(&server(&ours, None), &ours, None, "/health").unwrap().text(), "ok");
}

#[test]
fn a_client_of_another_authority_refuses_the_server() {
    let server = server(&Authority::new("ours"), None);
    assert!(get(&server, &Authority::new("other"), None, "/health").is_err());
}

#[test]
fn plain_http_is_no_way_in() {
    let server = server(&Authority::new("ours"), None);
    let mut stream = server.connect();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: m\r\n\r\n").unwrap();
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    assert!(!said.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn hosts_need_a_certificate_where_one_is_asked_for() {
    let (ours, fleet, other) = (Authority::new("ours"), Authority::new("fleet"), Authority::new("other"));
    let server = server(&ours, Some(&fleet));
    let (good, bad, old) = (fleet.signs("web01"), other.signs("web01"), fleet.signed_long_ago("web01"));
    assert_eq!(get(&server, &ours, Some(&good), "/health").unwrap().text(), "ok");
    assert!(get(&server, &ours, None, "/health").is_err(), "served without a certificate");
    assert!(
        get(&server, &ours, Some(&bad), "/health").is_err(),
        "served with another authority's certificate"
    );
    assert!(get(&server, &ours, Some(&old), "/health").is_err(), "served with an expired certificate");
    for why in ["no certificates", "UnknownIssuer", "xpired"] {
        server.wait_for_log(&["level=warn", "peer=127.0.0.1:", why]);
    }
}

#[test]
fn a_handshake_that_is_never_finished_is_closed() {
    let server = server(&Authority::new("ours"), None);
    let mut stream = server.connect();
    stream.write_all(&[0x16, 3, 1]).unwrap();
    let began = Instant::now();
    let _ = stream.read_to_end(&mut Vec::new());
    assert!(began.elapsed() < Duration::from_secs(5), "it stayed open");
}

#[test]
fn a_new_certificate_counts_after_sighup_and_a_broken_one_does_not() {
    let (ours, next) = (Authority::new("ours"), Authority::new("next"));
    let server = server(&ours, None);
    std::fs::write(server.path("cert.pem"), "broken").unwrap();
    server.signal(Signal::SIGHUP);
    server.wait_for_log(&["reload_refused", "cert.pem"]);
    assert!(get(&server, &ours, None, "/health").is_ok());

    next.signs("localhost").write(server.path("").as_path());
    server.signal(Signal::SIGHUP);
    server.wait_for_log(&["event=reloaded"]);
    assert!(get(&server, &next, None, "/health").is_ok());
    assert!(get(&server, &ours, None, "/health").is_err());
}

#[test]
fn a_reload_neither_begins_nor_ends_to_ask_for_certificates() {
    let (ours, fleet) = (Authority::new("ours"), Authority::new("fleet"));
    let server = server(&ours, Some(&fleet));
    for new in [config_with(json!({ "tls": tls(server.path("").as_path(), None) })), config()] {
        server.configure(&new);
        let reply = get(&server, &ours, Some(&fleet.signs("web01")), "/config/reload").unwrap().json();
        assert!(reply["msg"].as_str().unwrap().contains("restart"), "{reply}");
        assert!(get(&server, &ours, None, "/health").is_err());
    }
}

#[test]
fn a_certificate_that_is_none_is_named_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours");
    authority.signs("localhost").write(folder.path());
    let other = authority.signs("localhost");
    for (file, content, named) in
        [("cert.pem", "nonsense", "cert.pem"), ("key.pem", "", "key.pem"), ("key.pem", &*other.key, ".pem")]
    {
        let before = std::fs::read(folder.path().join(file)).unwrap();
        std::fs::write(folder.path().join(file), content).unwrap();
        let config = config_with(json!({ "tls": tls(folder.path(), None) }));
        let said = refused(&["-c", "cfg.json"], Some(&config.to_string()));
        assert!(said.contains(named), "{file}: {said}");
        std::fs::write(folder.path().join(file), before).unwrap();
    }
}
