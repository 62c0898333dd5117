//! The version in use is kept running for as long as the wanted one cannot be had, whatever the reason is.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here"
)]

use std::fs;

use e2e::{Base, FakeMeta, Fault, FileServer, Package, SOON, Sick, error_code, is_alive, kill, wait_for};
use serde_json::json;

/// A host on which alpha 1.0.0 runs.
fn with_alpha() -> (FakeMeta, FileServer, Base) {
    let (meta, files) = (FakeMeta::new(), FileServer::new());
    let base = Base::new(&meta.address());
    meta.order(&[files.offer(&Package::agent("alpha", "1.0.0"))]);
    base.once().exits(0);
    (meta, files, base)
}

fn crash(base: &Base) {
    let daemon = base.daemon("alpha", "1.0.0");
    kill(daemon);
    wait_for("the daemon is gone", SOON, || !is_alive(daemon));
}

#[test]
fn a_crashed_agent_is_started_again_while_the_wanted_package_is_refused() {
    let (meta, files, base) = with_alpha();
    let mut order = files.offer(&Package::agent("alpha", "1.0.1"));
    order["md5"] = json!("0".repeat(32));
    meta.order(&[order]);
    base.once().exits(1);
    crash(&base);

    base.once().exits(1);

    base.daemon("alpha", "1.0.0");
    assert_eq!(
        error_code(&meta.agent("alpha")),
        "md5_mismatch",
        "why the wanted version is not here is still told"
    );
}

#[test]
fn a_crashed_agent_is_started_again_while_the_wanted_package_is_not_there_yet() {
    let (meta, files, base) = with_alpha();
    meta.order(&[files.order(&Package::agent("alpha", "1.0.1"), "start")]);
    base.once().exits(1);
    crash(&base);

    base.once().exits(1);

    base.daemon("alpha", "1.0.0");
}

#[test]
fn a_crashed_agent_is_started_again_after_the_wanted_version_was_taken_back() {
    let (meta, files, base) = with_alpha();
    meta.order(&[files.offer(&Package::sick("alpha", "1.0.1", Sick::StartFails))]);
    base.once().exits(1);
    crash(&base);

    base.once().exits(1);

    base.daemon("alpha", "1.0.0");
}

#[test]
fn a_crashed_agent_is_started_again_while_the_wanted_package_is_downloaded() {
    let (meta, files, mut base) = with_alpha();
    let wanted = Package::agent("alpha", "1.0.1");
    let order = files.offer(&wanted);
    files.spoil_tarball(&wanted, Fault::Drip(20));
    meta.order(&[order]);
    base.set("bytesPerSecMin", 0);
    base.start();
    meta.wait_for_agent("the download is under way", "alpha", |it| it["phase"] == "downloading");
    crash(&base);

    wait_for("1.0.0 runs again", SOON, || base.daemons("alpha").contains_key("1.0.0"));

    assert_eq!(meta.agent("alpha")["phase"], "downloading", "and the download goes on");
}

#[test]
fn a_record_of_an_upgrade_that_cannot_be_understood_is_as_if_it_were_not_there() {
    let (_meta, _files, base) = with_alpha();
    fs::write(base.agent("alpha").join(".upgrade"), "").unwrap();
    crash(&base);

    base.once();

    base.daemon("alpha", "1.0.0");
}
