//! What policies say of a real host, and what it does when they say nothing any more.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on ends here"
)]

use e2e::{DurableMeta, Package, SOON, is_alive, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// With these packages, and without a policy.
fn meta_of(packages: &[Package]) -> DurableMeta {
    let meta = DurableMeta::without_orders();
    let folder = tempfile::tempdir().unwrap();
    packages.iter().for_each(|package| package.put(folder.path()));
    meta.done(&["push", folder.path().to_str().unwrap()]);
    // It listens everywhere, and cannot know by which name hosts reach it.
    meta.done(&["settings", "set", "--packages-url", &format!("{}/packages", meta.url())]);
    meta
}

#[test]
fn an_agent_whose_policy_is_gone_is_left_alone() {
    let meta = meta_of(&[Package::agent("alpha", "1.0.0")]);
    let mut base = meta.host_with(&meta.host_token("host-1"));
    meta.done(&["policy", "set", "alpha", "--version", "1.0.0", "--cmd", "start"]);
    base.start();
    meta.done(&["wait", "alpha", "1.0.0", "--timeout", "1m"]);

    // As long as it is ordered it is started again.
    let daemon = base.daemon("alpha", "1.0.0");
    kill(Pid::from_raw(daemon), Signal::SIGKILL).unwrap();
    wait_for("it is started again", SOON, || {
        base.daemons("alpha").values().flatten().any(|pid| *pid != daemon)
    });

    meta.done(&["policy", "delete", "alpha"]);
    wait_for("the host has heard it", SOON, || {
        !base.run(&["status"]).stdout.lines().any(|line| line.starts_with("alpha") && line.ends_with("1.0.0"))
    });
    let daemon = base.daemon("alpha", "1.0.0");
    kill(Pid::from_raw(daemon), Signal::SIGKILL).unwrap();
    meta.wait_for_agent("its end is told", |agent| agent["status"] == "stoped");
    meta.wait_for_agent("and it stays so", |agent| agent["status"] == "stoped");
    assert!(base.daemons("alpha").values().all(Vec::is_empty));
    assert!(meta.done(&["host", "explain", "host-1"]).contains("No policy is of alpha"));
}

/// A rollout that is begun by these words comes to its end.
fn completes(meta: &DurableMeta, words: &[&str]) {
    let id = meta.done(words).trim().to_owned();
    meta.done(&["rollout", "watch", &id, "--until", "done", "--interval", "1s", "--timeout", "2m"]);
}

#[test]
fn an_agent_is_installed_on_one_host_brought_to_another_version_and_taken_from_it() {
    let meta = meta_of(&[
        Package::agent("alpha", "1.0.0"),
        Package::agent("beta", "1.0.0"),
        Package::agent("beta", "2.0.0"),
    ]);
    let mut base = meta.host_with(&meta.host_token("host-1"));
    meta.done(&["policy", "set", "alpha", "--version", "1.0.0", "--cmd", "start"]);
    base.start();
    meta.done(&["wait", "alpha", "1.0.0", "--timeout", "1m"]);
    let alpha = base.daemon("alpha", "1.0.0");
    completes(&meta, &["host", "install", "host-1", "beta", "1.0.0"]);
    let first = base.daemon("beta", "1.0.0");
    completes(&meta, &["job", "install", "beta", "2.0.0", "host-1"]);
    assert!(!is_alive(first) && is_alive(base.daemon("beta", "2.0.0")));
    completes(&meta, &["job", "uninstall", "beta", "--select", "hostname=host-*"]);
    wait_for("it is gone", SOON, || base.daemons("beta").values().all(Vec::is_empty));
    assert_eq!(base.daemon("alpha", "1.0.0"), alpha, "and no other");
    assert!(meta.done(&["policy", "list"]).contains("uninstall"));
}
