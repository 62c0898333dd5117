//! A third-party agent: Debian's prometheus-node-exporter, packed with a control script.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use e2e::{Base, Entry, FakeMeta, FileServer, Package, SOON, agent_script, debian, free_port, get, wait_for};

fn package(version: &str, port: u16) -> Package {
    let program = std::fs::read(debian("prometheus-node-exporter")).unwrap();
    let arguments = format!("--web.listen-address=127.0.0.1:{port}");
    let script = agent_script().replace("./agent 100000", &format!("./agent {arguments}"));
    Package::of(
        "node-exporter",
        version,
        &[Entry::file("control", 0o755, script), Entry::file("agent", 0o755, program)],
    )
}

/// When the process that answers was started; `None` when nobody answers.
fn started(address: SocketAddr) -> Option<f64> {
    let reply = get(address, "/metrics").filter(|it| it.status == 200)?;
    let line = reply.body.lines().find(|it| it.starts_with("process_start_time_seconds "))?.to_owned();
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Asks again and again until told to stop; gives the longest time without an answer.
fn watch(address: SocketAddr, done: Arc<AtomicBool>) -> std::thread::JoinHandle<Duration> {
    std::thread::spawn(move || {
        let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
        while !done.load(Ordering::Relaxed) {
            if std::net::TcpStream::connect(address).is_ok() {
                longest = longest.max(last.elapsed());
                last = Instant::now();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        longest
    })
}

#[test]
fn the_node_exporter_is_installed_and_upgraded_and_hardly_away() {
    let (meta, files) = (FakeMeta::new(), FileServer::new());
    let base = Base::new(&meta.address());
    let port = free_port();
    let address: SocketAddr = ([127, 0, 0, 1], port).into();
    meta.order(&[files.offer(&package("1.0.0", port))]);
    base.once().exits(0);
    wait_for("it answers", SOON, || started(address).is_some());
    let first = started(address).unwrap();

    meta.order(&[files.offer(&package("1.0.1", port))]);
    let done = Arc::new(AtomicBool::new(false));
    let watcher = watch(address, Arc::clone(&done));
    base.once().exits(0);
    wait_for("it answers again", SOON, || started(address).is_some());
    done.store(true, Ordering::Relaxed);
    let away = watcher.join().unwrap();

    assert!(started(address).unwrap() > first, "it is another process");
    base.daemon("node-exporter", "1.0.1");
    let steps = meta.agent("node-exporter")["steps"].as_array().cloned().unwrap();
    let took = |step: &str| {
        steps.iter().filter(|it| it["step"] == step).filter_map(|it| it["ms"].as_u64()).sum::<u64>()
    };
    let allowed = Duration::from_millis(took("stop") + took("start") + 1000);
    assert!(
        away <= allowed,
        "it was away for {away:?}, stop and start took {allowed:?} with a second for its own start"
    );
}
