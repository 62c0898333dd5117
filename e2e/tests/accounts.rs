//! Agents that run as another account, and configuration files that ops-meta keeps apart from the package.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here"
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use e2e::{Base, Entry, FakeMeta, FileServer, Package, agent_script, error_code};
use serde_json::{Value, json};

/// Debian's `nobody`.
const NOBODY: u32 = 65534;

/// One whose script writes below `var` only: its own folder is not its account's to write.
fn tidy_agent(version: &str) -> Package {
    let script = agent_script().replace("agent.pid", "var/agent.pid");
    let script =
        script.replace("start)\n", "start)\n    id -un >var/who; id -Gn >>var/who; echo $HOME >>var/who\n");
    let mut entries = Package::entries(version, &script);
    entries.extend([
        Entry::folder("var"),
        Entry::file("etc.conf", 0o644, "the package's own"),
        Entry::symlink("link", "content"),
    ]);
    Package::of("alpha", version, &entries)
}

struct Host {
    meta: FakeMeta,
    files: FileServer,
    base: Base,
}

impl Host {
    fn new() -> Self {
        let (meta, files) = (FakeMeta::new(), FileServer::new());
        let base = Base::new(&meta.address());
        Self { meta, files, base }
    }

    /// Orders a package with these fields beside the usual ones.
    fn order(&self, package: &Package, more: &Value) {
        let mut order = self.files.offer(package);
        order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.meta.order(&[order]);
    }

    fn alpha(&self) -> Value {
        self.meta.agent("alpha")
    }
}

#[test]
fn an_agent_runs_as_the_ordered_account_and_owns_nothing_that_the_updater_believes() {
    if !is_root() {
        eprintln!("not root: only root can change accounts");
        return;
    }
    let host = Host::new();
    // The test's own folder is root's alone.
    for folder in host.base.path().ancestors().take_while(|it| *it != std::env::temp_dir()) {
        fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    }
    host.order(&tidy_agent("1.0.0"), &json!({"runUser": "nobody"}));
    host.base.once().exits(0);
    let pid = host.base.daemon("alpha", "1.0.0");
    assert_eq!(fs::metadata(format!("/proc/{pid}")).unwrap().uid(), NOBODY);
    let folder = host.base.agent("alpha").join("1.0.0");
    let who = fs::read_to_string(folder.join("var/who")).unwrap();
    assert!(who.starts_with("nobody\nnogroup\n/nonexistent"), "{who}");
    for (path, owner) in [
        ("../.version", 0),
        (".", 0),
        (".ops-updater", 0),
        ("control", NOBODY),
        ("var", NOBODY),
        ("link", NOBODY),
        ("content", NOBODY),
    ] {
        assert_eq!(fs::symlink_metadata(folder.join(path)).unwrap().uid(), owner, "{path}");
    }

    // Its content was nobody's to change: as root it is not run.
    host.order(&tidy_agent("1.0.0"), &json!({}));
    host.base.once().exits(1);
    assert_eq!((error_code(&host.alpha()), host.base.daemon("alpha", "1.0.0")), ("version_reused", pid));

    host.order(&tidy_agent("1.0.1"), &json!({}));
    host.base.once().exits(0);
    let pid = host.base.daemon("alpha", "1.0.1");
    assert_eq!(fs::metadata(format!("/proc/{pid}")).unwrap().uid(), 0);
}

#[test]
fn an_account_that_is_not_here_is_said_and_the_old_version_runs_on() {
    let host = Host::new();
    host.order(&Package::agent("alpha", "1.0.0"), &json!({}));
    host.base.once().exits(0);
    let pid = host.base.daemon("alpha", "1.0.0");
    host.order(&Package::agent("alpha", "1.0.1"), &json!({"runUser": "no-such-account"}));
    host.base.once().exits(1);
    assert_eq!(error_code(&host.alpha()), "account_missing", "{}", host.alpha());
    assert_eq!(host.base.daemon("alpha", "1.0.0"), pid);
    assert_eq!(
        host.files.asked_tarball(&Package::agent("alpha", "1.0.1")),
        0,
        "nothing is fetched for nobody"
    );
}

#[test]
fn a_configuration_file_takes_the_place_of_the_packages_own() {
    let host = Host::new();
    host.files.put("/conf/alpha", "from ops-meta");
    let url = format!("{}/conf/alpha", host.files.url());
    let sha256 = Package::of_bytes("x", "1", b"from ops-meta".to_vec()).sha256();
    let config = json!({"configFileName": "etc.conf", "configRemoteUrl": url, "configSha256": sha256});
    host.order(&tidy_agent("1.0.0"), &config);
    host.base.once().exits(0);
    let file = host.base.agent("alpha").join("1.0.0/etc.conf");
    assert_eq!(fs::read_to_string(&file).unwrap(), "from ops-meta");
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o640);
}

#[test]
fn a_configuration_file_that_is_not_the_promised_one_installs_nothing_and_is_asked_for_again() {
    let host = Host::new();
    host.files.put("/conf/alpha", "another");
    let url = format!("{}/conf/alpha", host.files.url());
    let sha256 = Package::of_bytes("x", "1", b"from ops-meta".to_vec()).sha256();
    let package = tidy_agent("1.0.0");
    for name in ["control", "../x", ".ops-updater"] {
        host.order(&package, &json!({"configFileName": name, "configRemoteUrl": url}));
        host.base.once().exits(1);
        assert_eq!(error_code(&host.alpha()), "bad_name", "{name}");
        host.base.run(&["release", "alpha"]).exits(0);
    }
    host.order(
        &package,
        &json!({"configFileName": "etc.conf", "configRemoteUrl": url, "configSha256": sha256}),
    );
    host.base.once().exits(1);
    assert_eq!(error_code(&host.alpha()), "not_there_yet");
    assert!(host.alpha()["nextTry"].is_i64(), "{}", host.alpha());
    assert_eq!(host.files.asked_tarball(&package), 0, "the large file comes last");
    assert!(!host.base.has("alpha", "1.0.0"));
}

#[test]
fn a_configuration_file_named_as_a_folder_of_the_package_is_refused_for_good() {
    let host = Host::new();
    host.files.put("/conf/alpha", "from ops-meta");
    let url = format!("{}/conf/alpha", host.files.url());
    host.order(&tidy_agent("1.0.0"), &json!({"configFileName": "var", "configRemoteUrl": url}));
    host.base.once().exits(1);
    let alpha = host.alpha();
    assert_eq!(error_code(&alpha), "bad_name");
    assert!(alpha["error"].as_str().unwrap().contains("has a folder of that name"), "{alpha}");
    assert!(alpha["nextTry"].is_null() && !host.base.has("alpha", "1.0.0"), "{alpha}");
    let asked = host.files.asked_tarball(&tidy_agent("1.0.0"));
    host.base.once().exits(1);
    assert_eq!(host.files.asked_tarball(&tidy_agent("1.0.0")), asked, "it is not fetched again");
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0)
}
