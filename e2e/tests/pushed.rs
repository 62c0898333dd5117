//! From a push to a host that runs it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on ends here"
)]

use e2e::{DurableMeta, Package, SOON, get, wait_for};
use serde_json::json;

/// Pushes it from a folder of its own.
fn push(meta: &DurableMeta, package: &Package) {
    let folder = tempfile::tempdir().unwrap();
    package.put(folder.path());
    meta.done(&["push", folder.path().to_str().unwrap()]);
}

#[test]
fn a_package_that_was_pushed_is_installed_and_what_runs_cannot_be_deleted() {
    let (old, new) = (Package::agent("alpha", "1.0.0"), Package::agent("alpha", "1.1.0"));
    let meta = DurableMeta::without_orders();
    push(&meta, &old);
    push(&meta, &new);
    let mut base = meta.host_with(&meta.host_token("host-1"));
    meta.order_pushed(&old, json!({}));
    base.start();
    let runs = |version: &'static str| {
        meta.wait_for_agent(&format!("{version} runs"), |it| {
            it["version"] == version && it["status"] == "started"
        })
    };
    runs("1.0.0");
    meta.order_pushed(&new, json!({}));
    runs("1.1.0");

    let delete = |version: &str| meta.run(&["package", "delete", "alpha", version, "--yes"]);
    let refused = delete("1.1.0");
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && why.contains("in use") && why.contains("cfg.json"), "{why}");
    let done = delete("1.0.0");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let fetched =
        |version: &str| get(meta.address(), &format!("/packages/alpha-{version}.tar.gz")).unwrap().status;
    assert_eq!((fetched("1.0.0"), fetched("1.1.0")), (404, 200));
}

#[test]
fn where_packages_need_a_token_a_host_shows_its_own() {
    let package = Package::agent("alpha", "1.0.0");
    let meta = DurableMeta::without_orders();
    push(&meta, &package);
    let mut base = meta.host_with(&meta.host_token("host-1"));
    meta.order_pushed(&package, json!({"packagesNeedToken": true}));
    for file in ["alpha-1.0.0.tar.gz", "alpha-1.0.0.tar.gz.md5"] {
        assert_eq!(get(meta.address(), &format!("/packages/{file}")).unwrap().status, 401);
    }
    base.start();
    wait_for("1.0.0 runs", SOON, || !base.daemons("alpha").is_empty());
}

#[test]
fn a_token_that_is_not_shown_to_another_name_of_ops_meta_is_told_of() {
    let package = Package::agent("alpha", "1.0.0");
    let meta = DurableMeta::without_orders();
    push(&meta, &package);
    let base = meta.host_with(&meta.host_token("host-1"));
    let other_name = meta.url().replace("127.0.0.1", "localhost");
    meta.order_from(&package, &format!("{other_name}/packages"), json!({"packagesNeedToken": true}));
    let once = base.once();
    assert!(
        once.stderr.contains("401") && once.stderr.contains("host and port of `server` only"),
        "{}",
        once.stderr
    );
}
