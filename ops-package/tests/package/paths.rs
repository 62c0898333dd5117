//! Names of entries.

use crate::frozen::refused;
use crate::tarball::{Head, Tar};

fn case(case: &str, expected: &str, tar: Tar) {
    refused("paths", case, expected, &tar.gz());
}

fn named(name: &[u8]) -> Tar {
    Tar::package().head(&Head { name, ..Head::default() }, b"content")
}

#[test]
fn absolute_names_are_refused() {
    case("absolute", "archive_unsafe Path", named(b"/etc/cron.d/x"));
    case("absolute-folder", "archive_unsafe Path", Tar::package().folder("/etc/", 0o755));
    case("slash", "archive_unsafe Path", Tar::package().folder("/", 0o755));
    case("absolute-after-dot", "archive_unsafe Path", named(b".//etc/x"));
    case(
        "absolute-pax",
        "archive_unsafe Path",
        Tar::package().pax(&[("path", "/etc/x")]).file("x", 0o644, b""),
    );
    case(
        "absolute-long-name",
        "archive_unsafe Path",
        Tar::package().extension(b'L', b"/etc/x\0").file("x", 0o644, b""),
    );
}

#[test]
fn names_that_go_up_are_refused() {
    case("up", "archive_unsafe Path", named(b"../x"));
    case("up-inside", "archive_unsafe Path", named(b"a/../x"));
    case("up-at-the-end", "archive_unsafe Path", named(b"a/.."));
    case("up-folder", "archive_unsafe Path", Tar::package().folder("../", 0o755));
    case("up-after-dot", "archive_unsafe Path", named(b"./../x"));
    case("up-pax", "archive_unsafe Path", Tar::package().pax(&[("path", "a/../../x")]).file("x", 0o644, b""));
    let prefix = Head { name: b"x", ..Head::default() };
    let mut tar = Tar::package();
    let at = tar.0.len();
    tar = tar.head(&prefix, b"");
    tar.0[at + 345..at + 347].copy_from_slice(b"..");
    case("up-in-the-prefix", "archive_unsafe Path", resummed(tar, at));
}

/// With the checksum of the header at `at` put right.
fn resummed(mut tar: Tar, at: usize) -> Tar {
    tar.0[at + 148..at + 156].fill(b' ');
    let sum: u32 = tar.0[at..at + 512].iter().map(|&byte| u32::from(byte)).sum();
    tar.0[at + 148..at + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar
}

#[test]
fn names_with_empty_or_dot_components_are_refused() {
    case("empty", "archive_unsafe Path", named(b""));
    case("empty-folder", "archive_unsafe Path", Tar::package().folder("", 0o755));
    case("double-slash", "archive_unsafe Path", named(b"a//x"));
    case("dot-inside", "archive_unsafe Path", named(b"a/./x"));
    case("two-dots-in-front", "archive_unsafe Path", named(b"././x"));
    case("root-as-a-file", "archive_unsafe Path", named(b"./"));
    case("dot-as-a-file", "archive_unsafe Path", named(b"."));
    case("file-with-a-slash", "archive_unsafe Path", named(b"x/"));
    case("folder-with-two-slashes", "archive_unsafe Path", Tar::package().folder("a//", 0o755));
}

#[test]
fn names_that_cannot_be_shown_are_refused() {
    case("newline", "archive_unsafe Path", named(b"a\nb"));
    case("escape", "archive_unsafe Path", named(b"\x1b[2J"));
    case("delete", "archive_unsafe Path", named(b"a\x7f"));
    case("c1", "archive_unsafe Path", named("a\u{9b}b".as_bytes()));
    case("latin1", "archive_unsafe Path", named(b"caf\xe9"));
    case("nul-pax", "archive_unsafe Path", Tar::package().pax(&[("path", "a\0b")]).file("x", 0o644, b""));
    case(
        "nul-long-name",
        "archive_unsafe Path",
        Tar::package().extension(b'L', b"a\0b\0").file("x", 0o644, b""),
    );
}

#[test]
fn the_hosts_own_name_is_refused() {
    case("reserved", "archive_unsafe Reserved", named(b".ops-updater"));
    case("reserved-dot", "archive_unsafe Reserved", named(b"./.ops-updater"));
    case("reserved-below", "archive_unsafe Reserved", named(b".ops-updater/x"));
    case("reserved-folder", "archive_unsafe Reserved", Tar::package().folder(".ops-updater/", 0o755));
    case("reserved-link", "archive_unsafe Reserved", Tar::package().symlink(".ops-updater", "control"));
}

#[test]
fn a_path_is_in_the_archive_once() {
    case("twice", "archive_unsafe Duplicate", named(b"x").file("x", 0o644, b"other"));
    case("twice-dot", "archive_unsafe Duplicate", named(b"x").file("./x", 0o644, b"other"));
    case("control-twice", "archive_unsafe Duplicate", named(b"control"));
    case("folder-twice", "archive_unsafe Duplicate", Tar::package().folder("a/", 0o755).folder("a", 0o700));
    case("root-twice", "archive_unsafe Duplicate", Tar::package().folder("./", 0o755).folder(".", 0o700));
    case("file-then-folder", "archive_unsafe Duplicate", named(b"x").folder("x/", 0o755));
    case(
        "folder-then-file",
        "archive_unsafe Duplicate",
        Tar::package().folder("x/", 0o755).file("x", 0o644, b""),
    );
    case("implied-then-file", "archive_unsafe Duplicate", named(b"a/x").file("a", 0o644, b""));
    case(
        "implied-named-twice",
        "archive_unsafe Duplicate",
        named(b"a/x").folder("a", 0o755).folder("a", 0o755),
    );
}

#[test]
fn nothing_lies_below_a_file() {
    case("below-a-file", "archive_unsafe BelowNoFolder", named(b"x").file("x/y", 0o644, b""));
    case("folder-below-a-file", "archive_unsafe BelowNoFolder", named(b"x").folder("x/y/z", 0o755));
}
