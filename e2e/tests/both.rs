//! The real ops-meta and the real updater, together.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here"
)]

use e2e::{Base, Meta, Package, SOON, Sick, is_alive, wait_for};

#[test]
fn an_agent_is_installed_upgraded_and_stopped_as_ops_meta_asks() {
    let meta = Meta::new();
    let mut base = Base::new(&meta.address());
    let (first, second) = (Package::agent("alpha", "1.0.0"), Package::agent("alpha", "1.0.1"));
    meta.put(&first);
    meta.put(&second);
    meta.order(&first, "start");
    base.start();
    meta.wait_for_status("1.0.0 runs", "alpha", "host-1", |it| {
        it["version"] == "1.0.0" && it["status"] == "started"
    });
    let old = base.daemon("alpha", "1.0.0");
    meta.order(&second, "start");
    meta.wait_for_status("1.0.1 runs", "alpha", "host-1", |it| {
        it["version"] == "1.0.1" && it["status"] == "started"
    });
    base.daemon("alpha", "1.0.1");
    assert!(!is_alive(old));
    meta.order(&second, "stop");
    meta.wait_for_status("it is stopped", "alpha", "host-1", |it| it["status"] == "stoped");
    assert!(base.daemons("alpha").is_empty());
    let (status, text) = meta.get("/status/text/alpha");
    assert!(
        status == 200 && text.contains("host-1") && text.contains("1.0.1") && text.contains("stoped"),
        "{text}"
    );
}

#[test]
fn ops_meta_sees_the_old_version_run_when_the_new_one_will_not() {
    let meta = Meta::new();
    let base = Base::new(&meta.address());
    let (good, bad) = (Package::agent("alpha", "1.0.0"), Package::sick("alpha", "1.0.1", Sick::StartFails));
    meta.put(&good);
    meta.put(&bad);
    meta.order(&good, "start");
    base.once().exits(0);
    meta.order(&bad, "start");
    base.once().exits(1);
    let told = meta.status("alpha", "host-1");
    assert_eq!(
        (&told["version"], &told["status"]),
        (&serde_json::json!("1.0.0"), &serde_json::json!("started")),
        "{told}"
    );
    base.daemon("alpha", "1.0.0");
}

#[test]
fn an_ops_meta_that_comes_back_is_told_anew() {
    let first = Meta::new();
    let package = Package::agent("alpha", "1.0.0");
    first.put(&package);
    first.order(&package, "start");
    let mut base = Base::new(&first.address());
    base.once().exits(0);
    drop(first);
    let running = base.daemon("alpha", "1.0.0");
    base.once().exits(1);
    assert_eq!(base.daemon("alpha", "1.0.0"), running);
    let second = Meta::new();
    base.set("server", second.address());
    base.once().exits(0);
    wait_for("it knows the host", SOON, || second.status("alpha", "host-1")["status"] == "started");
    assert_eq!(base.daemon("alpha", "1.0.0"), running);
}
