//! What policies say of a real host, and what it does when they say nothing any more.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on ends here"
)]

use e2e::{DurableMeta, Package, SOON, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[test]
fn an_agent_whose_policy_is_gone_is_left_alone() {
    let package = Package::agent("alpha", "1.0.0");
    let meta = DurableMeta::without_orders();
    let folder = tempfile::tempdir().unwrap();
    package.put(folder.path());
    meta.done(&["push", folder.path().to_str().unwrap()]);
    // It listens everywhere, and cannot know by which name hosts reach it.
    meta.done(&["settings", "set", "--packages-url", &format!("{}/packages", meta.url())]);
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
