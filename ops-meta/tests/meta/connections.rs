//! Thousands of connections that are opened and not used.

use std::io::{ErrorKind, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;

use crate::support::{Server, beat, config_with, eventually, exchange, request};

/// Fewer where this process may not open so many.
const HALF_OPEN: u64 = 10_000;
/// For whatever else the tests and the server have open meanwhile.
const OTHER_FILES: u64 = 600;

/// How many connections can be opened here, once the limit on open files is as high as it may be.
fn openable() -> u64 {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    HALF_OPEN.min(hard.saturating_sub(OTHER_FILES))
}

fn half_a_head(server: &Server) -> TcpStream {
    let mut stream = server.connect();
    stream.write_all(b"POST /heartbeat HTTP/1.1\r\nHost: me").unwrap();
    stream.set_nonblocking(true).unwrap();
    stream
}

fn is_open(stream: &TcpStream) -> bool {
    matches!(stream.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn thousands_of_half_open_connections_keep_no_beat_from_its_answer() {
    let most = HALF_OPEN + 1000;
    let limits = json!({
        "connectionsMax": most, "connectionsPerAddressMax": most, "timeouts": { "headerMillis": 3000 }
    });
    let server = Server::start(&config_with(limits));
    let streams: Vec<TcpStream> = (0..openable()).map(|_| half_a_head(&server)).collect();
    let mut answered = 0;
    while streams.last().is_some_and(is_open) {
        let hostname = format!("web{}", answered % 10);
        assert_eq!(server.post("/heartbeat", &beat(&hostname, "started")).status, 200);
        answered += 1;
    }
    assert!(answered > 0, "the last one was closed at once");
    // Their time is up for all of them.
    for (n, stream) in streams.iter().enumerate() {
        eventually(&format!("the end of half-open connection {n}"), || (!is_open(stream)).then_some(()));
    }
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn connections_that_were_answered_and_wait_make_room_for_whoever_has_something_to_say() {
    let server = Server::start(&config_with(json!({
        "connectionsMax": 8, "connectionsPerAddressMax": 8, "timeouts": { "headerMillis": 15_000 }
    })));
    let mut idle: Vec<TcpStream> = (0..8).map(|_| server.connect()).collect();
    for stream in &mut idle {
        assert_eq!(exchange(stream, &request("GET", "/healthz", &[], b"")).unwrap().status, 200);
    }
    let began = Instant::now();
    for n in 0..20 {
        assert_eq!(server.post("/heartbeat", &beat(&format!("web{n}"), "started")).status, 200);
    }
    assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
}

#[test]
fn one_address_has_a_share_of_the_places() {
    let server = Server::start(&config_with(json!({
        "connectionsMax": 8, "connectionsPerAddressMax": 4, "timeouts": { "headerMillis": 15_000 }
    })));
    let streams: Vec<TcpStream> = (0..12).map(|_| half_a_head(&server)).collect();
    eventually("no more than its share to be open", || {
        (streams.iter().filter(|stream| is_open(stream)).count() == 4).then_some(())
    });
    server.wait_for_log(&["event=too_many_connections", "127.0.0.1"]);
    let (began, body) = (Instant::now(), beat("web01", "started").to_string());
    let said = request("POST", "/heartbeat", &[], body.as_bytes());
    assert_eq!(exchange(&mut server.connect_from([127, 0, 0, 2]), &said).unwrap().status, 200);
    assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
    drop(streams);
    eventually("its places back", || exchange(&mut server.connect(), &said).ok());
}
