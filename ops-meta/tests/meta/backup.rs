//! A backup is made while the server works, and is a server again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nix::sys::signal::Signal;

use crate::support::command_line::{command, run};
use crate::support::{Server, beat, eventually};

#[test]
fn a_backup_under_load_is_a_server_again() {
    let mut server = Server::serve(tempfile::tempdir().unwrap());
    let data = server.path("data").to_str().unwrap().to_owned();
    let file = server.path("backup.db").to_str().unwrap().to_owned();
    let (ended, created) = (AtomicBool::new(false), AtomicU64::new(0));
    let goes_on = || !ended.load(Ordering::Relaxed);
    let generation = std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in (0_u64..).take_while(|_| goes_on()) {
                server.post("/heartbeat", &beat(&format!("web{n}"), "started"));
            }
        });
        scope.spawn(|| {
            for n in (0_u64..).take_while(|_| goes_on()) {
                server.admin(&["token", "create", &format!("t{n}"), "--role", "viewer"]).ok();
                created.store(n + 1, Ordering::Relaxed);
            }
        });
        // Hosts are written behind, a second later.
        let trial = server.path("trial.db").to_str().unwrap().to_owned();
        eventually("hosts in a backup", || {
            run(&mut command(&["backup", "--data", &data, "--force", &trial])).ok();
            let elsewhere = tempfile::tempdir().unwrap();
            let restore = ["restore", "--data", elsewhere.path().to_str().unwrap(), &trial];
            (!run(&mut command(&restore)).ok().out.contains(" 0 hosts")).then_some(())
        });
        let before = created.load(Ordering::Relaxed);
        let said = run(&mut command(&["backup", "--data", &data, &file])).ok();
        assert!(said.out.starts_with(&file) && said.out.contains(" bytes in "), "{said:?}");
        ended.store(true, Ordering::Relaxed);
        before
    });
    let refused = run(&mut command(&["restore", "--data", &data, &file]));
    assert!(refused.code == 1 && refused.err.contains("another ops-meta uses it"), "{refused:?}");
    let again = run(&mut command(&["backup", "--data", &data, &file]));
    assert!(again.code == 1 && again.err.contains("--force"), "{again:?}");

    server.signal(Signal::SIGTERM);
    server.ended();
    let said = run(&mut command(&["restore", "--data", &data, &file])).ok();
    assert!(said.out.contains("ops-meta.db.before-restore-"), "{said:?}");
    assert!(
        said.out.contains("tokens are those of the backup") && said.out.contains("admin.token"),
        "{said:?}"
    );
    let server = server.again(&["serve", "--listen", "127.0.0.1:0"]);
    let tokens = server.admin(&["token", "list", "-o", "json"]).ok().objects().len() as u64;
    let events = server.admin(&["event", "list", "-o", "json", "--limit", "100000"]).ok().objects();
    let created = events.iter().filter(|event| event["kind"] == "token.created").count() as u64;
    assert_eq!(created, tokens, "each token is an event");
    assert!(tokens > generation, "{tokens} tokens, {generation} were made before the backup");
    assert_eq!(events[0]["generation"], events.len(), "and each event a generation");
    assert!(!server.admin(&["host", "list", "-o", "json"]).ok().out.is_empty(), "hosts are in it, too");
}

#[test]
fn what_is_no_backup_is_refused_and_the_server_starts_as_before() {
    let mut server = Server::serve(tempfile::tempdir().unwrap());
    server.admin(&["token", "create", "alice", "--role", "viewer"]).ok();
    server.signal(Signal::SIGTERM);
    server.ended();
    let data = server.path("data").to_str().unwrap().to_owned();
    let file = server.path("no.db");
    std::fs::write(&file, "no database").unwrap();
    let refused = run(&mut command(&["restore", "--data", &data, file.to_str().unwrap()]));
    assert!(refused.code == 1 && refused.err.contains("no.db"), "{refused:?}");
    let server = server.again(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(server.admin(&["token", "list", "-o", "json"]).ok().objects().len(), 2);
}
