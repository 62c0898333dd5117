//! Never do two versions of an agent run, and what runs is not lost sight of, whatever becomes of its folder.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here"
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use e2e::{
    Base, Entry, FakeMeta, FileServer, Package, SOON, agent_script, below, error_code, is_alive, kill,
    wait_for,
};
use serde_json::Value;

struct Host {
    meta: FakeMeta,
    files: FileServer,
    base: Base,
}

impl Host {
    /// A host on which alpha 1.0.0 was ordered, with this script.
    fn with_script(script: &str) -> Self {
        let (meta, files) = (FakeMeta::new(), FileServer::new());
        let base = Base::impatient(&meta.address());
        meta.order(&[files.offer(&interpreted("1.0.0", script))]);
        base.once().exits(0);
        Self { meta, files, base }
    }

    /// A host on which alpha 1.0.0 runs.
    fn new() -> Self {
        let host = Self::with_script(&agent_script());
        host.base.daemon("alpha", "1.0.0");
        host
    }

    /// An order for a version, carried out as far as possible; what the last beat says of alpha.
    fn ordered(&self, version: &str, cmd: &str, exit: i32) -> Value {
        self.meta.order(&[self.files.order(&Package::agent("alpha", version), cmd)]);
        self.base.once().exits(exit);
        self.meta.agent("alpha")
    }

    fn folder(&self, version: &str) -> PathBuf {
        self.base.agent("alpha").join(version)
    }

    /// Whether anything executes a file of this version or works in its folder.
    fn runs(&self, version: &str) -> bool {
        !below(&self.folder(version)).is_empty()
    }
}

/// A package with a second daemon, which a shell interprets: nobody can see by its executable whose it is.
fn interpreted(version: &str, script: &str) -> Package {
    let mut entries = Package::entries(version, script);
    entries.push(Entry::file("daemon.sh", 0o755, "while :; do sleep 1; done\n"));
    Package::of("alpha", version, &entries)
}

/// Begins the interpreted daemon; `stop` does nothing, and `status` says this.
fn stubborn(status: &str) -> String {
    format!(
        "#!/bin/sh
cd \"$(dirname \"$0\")\" || exit 1
case $1 in
start) setsid sh ./daemon.sh </dev/null >/dev/null 2>&1 & ;;
stop) exit 1 ;;
status) echo {status} ;;
*) exit 2 ;;
esac
"
    )
}

#[test]
fn beside_a_new_version_that_neither_starts_nor_stops_nothing_else_is_started() {
    let host = Host::new();
    host.files.offer(&interpreted("1.0.1", &stubborn("warming up")));
    host.files.offer(&Package::agent("alpha", "1.0.2"));
    assert_eq!(error_code(&host.ordered("1.0.1", "start", 1)), "stop_failed");

    // Which of the two runs is known to the record of the upgrade only; another order must not make it forgotten.
    for cmd in ["start", "stop", "uninstall"] {
        let agent = host.ordered("1.0.2", cmd, 1);
        assert_eq!(error_code(&agent), "stop_failed", "{cmd}: {agent}");
        assert!(host.runs("1.0.1") && host.base.daemons("alpha").is_empty(), "{cmd}");
    }
}

#[test]
fn a_version_that_lost_its_script_is_ended_before_another_one_starts() {
    let unusable = |path: PathBuf| fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    let gone = |path: PathBuf| fs::remove_file(path).unwrap();
    let breaks: [fn(PathBuf); 2] = [unusable, gone];
    for it in breaks {
        let host = Host::new();
        let old = host.base.daemon("alpha", "1.0.0");
        host.files.offer(&Package::agent("alpha", "1.0.1"));
        it(host.folder("1.0.0").join("control"));

        host.ordered("1.0.1", "start", 0);
        let new = host.base.daemon("alpha", "1.0.1");
        assert!(!is_alive(old));

        it(host.folder("1.0.1").join("control"));
        // That it cannot be asked is still told.
        host.ordered("1.0.1", "stop", 1);
        assert!(!is_alive(new));
    }
}

#[test]
fn a_folder_in_which_something_still_works_is_not_removed() {
    let host = Host::with_script(&stubborn("started"));
    fs::remove_file(host.folder("1.0.0").join("control")).unwrap();

    let agent = host.ordered("1.0.0", "uninstall", 1);

    assert_eq!(error_code(&agent), "stop_failed", "{agent}");
    assert!(host.runs("1.0.0") && host.folder("1.0.0").join("daemon.sh").exists());
}

#[test]
fn a_start_that_comes_late_does_not_come_after_the_take_back() {
    let host = Host::new();
    let late = "(sleep 100; exec ./agent 100000) </dev/null >/dev/null 2>&1 &";
    let script = agent_script().replace("setsid ./agent 100000 </dev/null >/dev/null 2>&1 &", late);
    host.files.offer(&Package::with_script("alpha", "1.0.1", &script.replace("echo $! >agent.pid", ":")));

    let agent = host.ordered("1.0.1", "start", 1);

    assert_eq!(error_code(&agent), "start_timeout", "{agent}");
    wait_for("what would start it is gone", SOON, || !host.runs("1.0.1"));
    host.base.daemon("alpha", "1.0.0");
}

#[test]
fn what_cannot_be_written_is_met_before_the_old_version_stops() {
    let mut host = Host::new();
    let running = host.base.daemon("alpha", "1.0.0");
    host.files.offer(&Package::agent("alpha", "1.0.1"));
    host.base.no_room_for(&host.base.agent("alpha").join(".version.new"));

    let agent = host.ordered("1.0.1", "start", 1);

    assert_eq!(error_code(&agent), "no_space");
    assert_eq!(host.base.daemon("alpha", "1.0.0"), running);
}

#[test]
fn a_version_folder_that_is_a_link_is_not_used() {
    let host = Host::new();
    let (folder, elsewhere) = (host.folder("1.0.0"), host.base.outside().join("elsewhere"));
    let running = host.base.daemon("alpha", "1.0.0");
    fs::rename(&folder, &elsewhere).unwrap();
    symlink(&elsewhere, &folder).unwrap();

    let agent = host.ordered("1.0.0", "start", 1);
    assert_eq!(error_code(&agent), "version_reused", "{agent}");
    assert!(is_alive(running) && host.base.daemons("alpha").is_empty(), "beside what runs there, nothing is");

    kill(running);
    host.base.run(&["release", "alpha"]).exits(0);
    host.ordered("1.0.0", "start", 0);
    host.base.daemon("alpha", "1.0.0");
    assert!(folder.symlink_metadata().unwrap().is_dir() && below(&elsewhere).is_empty());
}
