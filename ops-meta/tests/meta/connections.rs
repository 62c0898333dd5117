//! Thousands of connections that are opened and not used.

use std::io::{ErrorKind, Write as _};
use std::net::TcpStream;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;

use crate::support::{Server, beat, config_with, eventually};

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
    let limits = json!({ "connectionsMax": HALF_OPEN + 1000, "timeouts": { "headerMillis": 3000 } });
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
