//! A hostile or broken archive leaves the running version untouched, nothing outside its folder, and a stable code.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here"
)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use e2e::{
    Base, Entry, FakeMeta, FileServer, Package, agent_script, changes, error_code, gzip, snapshot, tar,
};

/// A host on which alpha 1.0.0 runs.
struct Host {
    meta: FakeMeta,
    files: FileServer,
    base: Base,
    running: i32,
}

impl Host {
    fn new() -> Self {
        let (meta, files) = (FakeMeta::new(), FileServer::new());
        let mut base = Base::new(&meta.address());
        base.set("unpackedEntriesMax", 100).set("unpackedBytesMax", 4 << 20);
        meta.order(&[files.offer(&Package::agent("alpha", "1.0.0"))]);
        base.once().exits(0);
        let running = base.daemon("alpha", "1.0.0");
        Self { meta, files, base, running }
    }

    /// A package of these bytes is ordered and refused with this code.
    #[track_caller]
    fn refuses(&self, danger: &str, bytes: Vec<u8>, code: &str) {
        let package = Package::of_bytes("alpha", &format!("2.0.0-{}", self.files.requests()), bytes);
        let before = snapshot(self.base.outside());
        self.meta.order(&[self.files.offer(&package)]);
        self.base.once().exits(1);
        let agent = self.meta.agent("alpha");
        assert_eq!(error_code(&agent), code, "{danger}: {agent}");
        assert!(!agent["error"].as_str().unwrap().is_empty(), "{danger}");
        assert_eq!(self.base.daemon("alpha", "1.0.0"), self.running, "{danger}");
        assert_eq!(self.base.version("alpha").as_deref(), Some("1.0.0"), "{danger}");
        assert!(!self.base.agent("alpha").join(&package.version).exists(), "{danger}");
        let own =
            |path: &Path| path.starts_with(self.base.path().join(".ops-updater")) || path.ends_with("log");
        let memory = [self.base.agent("alpha"), self.base.agent("alpha").join(".failed")];
        let mut changed = changes(&before, &snapshot(self.base.outside()));
        changed.retain(|path| !own(path) && !memory.contains(path));
        assert!(changed.is_empty(), "{danger}: {changed:?}");
        let left = snapshot(&self.base.path().join(".ops-updater/staging/alpha"));
        assert!(left.is_empty(), "{danger}: {left:?}");
    }

    /// A good package with these entries more.
    #[track_caller]
    fn refuses_entries(&self, danger: &str, more: &[Entry], code: &str) {
        let mut entries = Package::entries("2", &agent_script());
        entries.extend_from_slice(more);
        self.refuses(danger, gzip(&tar(&entries)), code);
    }
}

#[test]
fn a_path_that_leads_outside_is_unsafe() {
    let host = Host::new();
    let target = host.base.outside().join("evil");
    for path in ["../evil", "x/../../../evil", "..", "/evil", target.to_str().unwrap(), "x//../../evil"] {
        host.refuses_entries(path, &[Entry::file(path, 0o644, "evil")], "archive_unsafe");
    }
}

#[test]
fn a_link_that_leads_outside_is_unsafe() {
    let host = Host::new();
    let etc = Entry::symlink("etc", "/etc");
    host.refuses_entries("absolute", std::slice::from_ref(&etc), "archive_unsafe");
    host.refuses_entries("upwards", &[Entry::symlink("up", "../../..")], "archive_unsafe");
    host.refuses_entries("hard, absolute", &[Entry::hard_link("passwd", "/etc/passwd")], "archive_unsafe");
    host.refuses_entries(
        "hard, upwards",
        &[Entry::hard_link("cfg", "../../../../cfg.json")],
        "archive_unsafe",
    );
    let through = [Entry::symlink("d", "."), Entry::file("d/x", 0o644, "x")];
    host.refuses_entries("a file through a link", &through, "archive_unsafe");
}

#[test]
fn names_twice_devices_and_pipes_are_unsafe() {
    let host = Host::new();
    host.refuses_entries("twice", &[Entry::file("content", 0o644, "other")], "archive_unsafe");
    host.refuses_entries(
        "twice, once with ./",
        &[Entry::file("./content", 0o644, "other")],
        "archive_unsafe",
    );
    host.refuses_entries("a fifo", &[Entry::of_kind("fifo", b'6')], "archive_unsafe");
    host.refuses_entries("a character device", &[Entry::of_kind("null", b'3')], "archive_unsafe");
    host.refuses_entries("a block device", &[Entry::of_kind("disk", b'4')], "archive_unsafe");
}

#[test]
fn the_updaters_own_name_is_unsafe() {
    let host = Host::new();
    host.refuses_entries("the record", &[Entry::file(".ops-updater", 0o644, "{}")], "archive_unsafe");
}

#[test]
fn what_is_no_whole_archive_is_invalid() {
    let host = Host::new();
    let good = Package::agent("alpha", "2").bytes;
    host.refuses("no gzip", b"<html>not found</html>".to_vec(), "archive_invalid");
    host.refuses("empty", Vec::new(), "archive_invalid");
    host.refuses("cut off", good[..good.len() / 2].to_vec(), "archive_invalid");
    host.refuses("a checksum that is cut off", good[..good.len() - 4].to_vec(), "archive_invalid");
    host.refuses("something after the end", [good.as_slice(), b"more"].concat(), "archive_invalid");
    host.refuses("a second stream", [good.as_slice(), good.as_slice()].concat(), "archive_invalid");
    host.refuses("no tar", gzip(&[b'x'; 5000]), "archive_invalid");
    let mut damaged = good.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x55;
    host.refuses("damaged", damaged, "archive_invalid");
}

#[test]
fn a_package_without_a_control_script_at_its_root_is_no_package() {
    let host = Host::new();
    let script = agent_script();
    let of = |entries: &[Entry]| gzip(&tar(entries));
    host.refuses("none", of(&[Entry::file("x", 0o644, "x")]), "control_missing");
    host.refuses("nothing at all", of(&[]), "control_missing");
    host.refuses("not executable", of(&[Entry::file("control", 0o644, script.as_str())]), "control_missing");
    let below = [Entry::folder("alpha-2.0.0/"), Entry::file("alpha-2.0.0/control", 0o755, script.as_str())];
    host.refuses("below a folder", of(&below), "control_missing");
    host.refuses("a folder", of(&[Entry::folder("control/")]), "control_missing");
    let link = [Entry::file("real", 0o755, script.as_str()), Entry::symlink("control", "real")];
    host.refuses("a link", of(&link), "control_missing");
}

#[test]
fn an_archive_that_unpacks_to_too_much_is_too_large() {
    let host = Host::new();
    host.refuses_entries("bytes", &[Entry::file("big", 0o644, vec![0; 8 << 20])], "too_large");
    let many: Vec<Entry> = (0..200).map(|it| Entry::file(&format!("f{it}"), 0o644, "")).collect();
    host.refuses_entries("entries", &many, "too_large");
}

#[test]
fn a_leading_dot_is_fine_and_what_others_may_write_is_mended() {
    let host = Host::new();
    let mut entries = vec![Entry::folder("./")];
    entries.extend(
        Package::entries("2", &agent_script())
            .into_iter()
            .map(|it| Entry { path: format!("./{}", it.path), ..it }),
    );
    entries.push(Entry::file("./open", 0o666, "x"));
    host.meta.order(&[host.files.offer(&Package::of("alpha", "2.0.0", &entries))]);
    host.base.once().exits(0);
    host.base.daemon("alpha", "2.0.0");
    let open = host.base.agent("alpha").join("2.0.0/open").metadata().unwrap();
    assert_eq!(open.permissions().mode() & 0o022, 0, "others may not write it");
}

#[test]
fn a_refused_archive_delays_no_other_agent() {
    let host = Host::new();
    let bad = Package::of_bytes("alpha", "2.0.0", b"rubbish".to_vec());
    host.meta.order(&[host.files.offer(&bad), host.files.offer(&Package::agent("beta", "1.0.0"))]);
    host.base.once().exits(1);
    host.base.daemon("beta", "1.0.0");
    assert_eq!(error_code(&host.meta.agent("alpha")), "archive_invalid");
    let asked = host.files.asked_tarball(&bad);
    host.base.once().exits(1);
    assert_eq!(host.files.asked_tarball(&bad), asked, "a wrong package is not fetched again");
}
