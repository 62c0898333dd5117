//! A beat that is sent elsewhere has to arrive there whole, or it was not heard.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here"
)]

use std::fs;

use e2e::{Base, FakeMeta, Fault, FileServer};

#[test]
fn a_beat_that_lost_its_body_in_a_redirect_is_not_taken_for_heard() {
    let (meta, elsewhere) = (FakeMeta::new(), FileServer::new());
    // A 302 makes a GET of a POST: what arrives says nothing of this host.
    elsewhere.spoil("/heartbeat", Fault::Redirect(format!("http://{}/heartbeat", meta.address())));
    let base = Base::new(&elsewhere.url());

    let once = base.once();

    let arrived = meta.beats().iter().any(|beat| beat["hostname"] == "host-1");
    assert!(once.code == Some(1) || arrived, "an answer to nothing was accepted: {:?}", meta.beats());
}

#[test]
fn the_token_of_ops_meta_is_for_nobody_else() {
    let (meta, files) = (FakeMeta::new(), FileServer::new());
    let package = e2e::Package::agent("alpha", "1.0.0");
    meta.order(&[files.offer(&package)]);
    let mut base = Base::new(&meta.address());
    fs::write(base.outside().join("token"), "secret\n").unwrap();
    base.set("tokenFile", "token");

    let once = base.once().exits(0);

    let tarball = format!("/{}", package.file_name());
    assert_eq!(files.asked(&tarball), 1);
    assert_eq!(files.last_header(&tarball, "authorization"), None);
    assert!(!once.stderr.contains("secret"));
}
