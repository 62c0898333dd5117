//! Whatever is sent without measure ends inside a limit, with a stable code, and the updater itself stays small.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here"
)]

use std::time::Duration;

use e2e::{
    Base, Entry, FakeMeta, Fault, FileServer, Package, Part, agent_script, binary, error_code, gzip, gzip_of,
    peak_bytes, tar, wait_for,
};

const MIB: usize = 1 << 20;
const GIB: u64 = 1 << 30;
/// The slowest of all is given half a minute by the updater; the rest is for busy machines.
const ENDS: Duration = Duration::from_secs(120);

/// Of the updater's own process: the children come and go, and have limits of their own. What a debug build maps of itself
/// is counted too: it was seen just below this limit, and a build for hosts at a third of it.
const PEAK_BYTES_MAX: u64 = 8_000_000;
const PEAK_BYTES_MAX_OF_A_DEBUG_BUILD: u64 = 2 * PEAK_BYTES_MAX;
/// No build for hosts is as large as that, and no debug build as small.
const DEBUG_BUILD_BYTES_MIN: u64 = 10_000_000;

/// A host on which alpha 1.0.0 and the loop run.
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
        base.set("answerTimeoutSecs", 2).set("tarballBytesMax", 16 * MIB);
        base.set("unpackedBytesMax", 16 * MIB).set("unpackedEntriesMax", 20_000);
        meta.order(&[files.offer(&Package::agent("alpha", "1.0.0"))]);
        base.once().exits(0);
        let running = base.daemon("alpha", "1.0.0");
        base.start();
        Self { meta, files, base, running }
    }

    /// The package is ordered and ends with this code; nothing is left of it, and nobody else has noticed.
    #[track_caller]
    fn ends(&mut self, package: &Package, code: &str) {
        self.meta.order(&[self.files.order(package, "start")]);
        wait_for(&format!("{} ends with {code}", package.version), ENDS, || {
            let alpha = self.meta.agent("alpha");
            alpha["desiredVersion"] == package.version && error_code(&alpha) == code
        });
        assert_eq!(self.base.daemon("alpha", "1.0.0"), self.running);
        assert_eq!(self.base.version("alpha").as_deref(), Some("1.0.0"));
        assert!(!self.base.agent("alpha").join(&package.version).exists());
        assert!(!self.base.path().join(".ops-updater/staging/alpha/unpacked").exists());
        assert!(self.base.is_running());
        let (peak, most) = (peak_bytes(self.base.updater_pid()), peak_bytes_max());
        assert!(peak <= most, "the updater took {peak} bytes, {most} are its limit");
    }

    /// A package of these bytes is offered, ordered, and refused with this code.
    #[track_caller]
    fn refuses(&mut self, version: &str, bytes: Vec<u8>, code: &str) {
        let package = Package::of_bytes("alpha", version, bytes);
        self.files.offer(&package);
        self.ends(&package, code);
    }
}

fn peak_bytes_max() -> u64 {
    let len = binary("ops-updater").metadata().unwrap().len();
    if len < DEBUG_BUILD_BYTES_MIN { PEAK_BYTES_MAX } else { PEAK_BYTES_MAX_OF_A_DEBUG_BUILD }
}

/// What every package begins with, its end cut off so that more can follow.
fn begun() -> Part {
    let tar = tar(&Package::entries("2", &agent_script()));
    Part::of(&tar[..tar.len() - 1024])
}

fn header(entry: &Entry, size: u64) -> Part {
    Part::of(entry.header(size).as_bytes())
}

#[test]
fn the_same_within_the_limits_is_installed() {
    let host = Host::new();
    let file = header(&Entry::file("big", 0o644, ""), 8 * MIB as u64);
    let (begun, zeros, end) = (begun(), Part::of(&vec![0; MIB]), Part::of(&[0; 1024]));
    let parts = [&begun, &file].into_iter().chain(std::iter::repeat_n(&zeros, 8)).chain([&end]);
    host.meta.order(&[host.files.offer(&Package::of_bytes("alpha", "2.0.0", gzip_of(parts)))]);
    wait_for("it runs", ENDS, || host.base.daemons("alpha").contains_key("2.0.0"));
}

#[test]
fn a_gzip_bomb_is_too_large() {
    let mut host = Host::new();
    let (begun, zeros, end) = (begun(), Part::of(&vec![0; MIB]), Part::of(&[0; 1024]));

    let big = header(&Entry::file("big", 0o644, ""), GIB);
    let parts = [&begun, &big].into_iter().chain(std::iter::repeat_n(&zeros, 1024)).chain([&end]);
    let one_file = gzip_of(parts);
    assert!(one_file.len() < 16 * MIB);
    host.refuses("2.0.0-one-file", one_file, "too_large");

    let names: Vec<Part> =
        (0..1024).map(|it| header(&Entry::file(&format!("f{it}"), 0o644, ""), MIB as u64)).collect();
    let files = names.iter().flat_map(|name| [name, &zeros]);
    host.refuses("2.0.0-files", gzip_of([&begun].into_iter().chain(files).chain([&end])), "too_large");

    // Of nothing but what may follow a tar.
    let padding = [&begun, &end].into_iter().chain(std::iter::repeat_n(&zeros, 1024));
    host.refuses("2.0.0-padding", gzip_of(padding), "too_large");
}

#[test]
fn a_pax_record_of_a_gigabyte_is_too_large() {
    let mut host = Host::new();
    let mut first = Vec::from(format!("{GIB} comment="));
    first.resize(MIB, b'a');
    let mut last = vec![b'a'; MIB];
    last[MIB - 1] = b'\n';
    let (first, more, last) = (Part::of(&first), Part::of(&vec![b'a'; MIB]), Part::of(&last));
    let pax = header(&Entry::of_kind("pax", b'x'), GIB);
    let (begun, file, end) = (begun(), header(&Entry::file("f", 0o644, ""), 0), Part::of(&[0; 1024]));
    let parts = [&begun, &pax, &first]
        .into_iter()
        .chain(std::iter::repeat_n(&more, 1022))
        .chain([&last, &file, &end]);
    host.refuses("2.0.0", gzip_of(parts), "too_large");
}

#[test]
fn an_inode_bomb_is_too_large() {
    let mut host = Host::new();
    let script = agent_script();
    let mut entries = vec![Entry::file("control", 0o755, script.as_str())];
    entries.extend((0..30_000).map(|it| Entry::file(&format!("f{it}"), 0o644, "")));
    host.refuses("2.0.0", gzip(&tar(&entries)), "too_large");
}

#[test]
fn a_body_without_an_end_is_too_large() {
    let mut host = Host::new();
    let tarball = Package::agent("alpha", "2.0.0-tarball");
    host.files.offer(&tarball);
    host.files.spoil_tarball(&tarball, Fault::Endless);
    host.ends(&tarball, "too_large");

    let sums = Package::agent("alpha", "2.0.0-sums");
    host.files.offer(&sums);
    host.files.spoil(&format!("/{}.md5", sums.file_name()), Fault::Endless);
    host.ends(&sums, "too_large");
}

#[test]
fn one_byte_a_second_is_too_slow() {
    let mut host = Host::new();
    let tarball = Package::agent("alpha", "2.0.0-tarball");
    host.files.offer(&tarball);
    host.files.spoil_tarball(&tarball, Fault::Trickle);
    host.ends(&tarball, "too_slow");
}

#[test]
fn one_byte_a_second_of_a_head_or_of_a_small_file_is_a_timeout() {
    let mut host = Host::new();
    let head = Package::agent("alpha", "2.0.0-head");
    host.files.offer(&head);
    host.files.spoil_tarball(&head, Fault::TrickleFromTheStart);
    host.ends(&head, "timeout");

    let sums = Package::agent("alpha", "2.0.0-sums");
    host.files.offer(&sums);
    host.files.spoil(&format!("/{}.md5", sums.file_name()), Fault::Trickle);
    host.ends(&sums, "timeout");
}
