//! Symlinks and hard links.

use crate::frozen::refused;
use crate::tarball::{Head, Tar};

fn case(case: &str, expected: &str, tar: Tar) {
    refused("links", case, expected, &tar.gz());
}

fn link(name: &str, target: &str) -> Tar {
    Tar::package().symlink(name, target)
}

#[test]
fn symlinks_that_lead_outside_are_refused() {
    case("absolute", "archive_unsafe Symlink", link("x", "/etc/passwd"));
    case("absolute-double", "archive_unsafe Symlink", link("x", "//etc"));
    case("up", "archive_unsafe Symlink", link("x", ".."));
    case("up-and-down", "archive_unsafe Symlink", link("x", "../other/x"));
    case("up-too-far", "archive_unsafe Symlink", link("a/b/x", "../../../x"));
    case("up-behind-dots", "archive_unsafe Symlink", link("x", "./.././x"));
    case(
        "absolute-pax",
        "archive_unsafe Symlink",
        Tar::package().pax(&[("linkpath", "/etc")]).symlink("x", "y"),
    );
    case(
        "absolute-long",
        "archive_unsafe Symlink",
        Tar::package().extension(b'K', b"/etc\0").symlink("x", "y"),
    );
    case("into-a-neighbour-version", "archive_unsafe Symlink", link("lib", "../1.0.0/lib"));
}

#[test]
fn symlinks_that_go_up_after_going_down_are_refused() {
    case("down-and-up", "archive_unsafe Symlink", link("x", "a/../b"));
    case("through-another", "archive_unsafe Symlink", link("d/up", "..").symlink("d/out", "up/../.."));
}

#[test]
fn symlinks_to_what_cannot_be_shown_are_refused() {
    case("empty", "archive_unsafe Symlink", link("x", ""));
    case("newline", "archive_unsafe Path", link("x", "a\nb"));
    case("long", "too_large PathTooLong", Tar::package().extension(b'K', &[b'a'; 400]).symlink("x", "y"));
}

#[test]
fn nothing_goes_through_a_symlink() {
    let linked = || Tar::package().folder("real", 0o755).symlink("x", "real");
    case("file-through", "archive_unsafe BelowNoFolder", linked().file("x/file", 0o644, b""));
    case("folder-through", "archive_unsafe BelowNoFolder", linked().folder("x/folder", 0o755));
    case("symlink-through", "archive_unsafe BelowNoFolder", linked().symlink("x/link", "y"));
    case("hard-link-through", "archive_unsafe BelowNoFolder", linked().hard_link("x/link", "control"));
    case("deep-through", "archive_unsafe BelowNoFolder", linked().file("x/a/b", 0o644, b""));
    case("dangling-through", "archive_unsafe BelowNoFolder", link("x", "nowhere").file("x/y", 0o644, b""));
}

#[test]
fn nothing_replaces_or_is_replaced_by_a_symlink() {
    case("file-over", "archive_unsafe Duplicate", link("x", "y").file("x", 0o644, b""));
    case("folder-over", "archive_unsafe Duplicate", link("x", "y").folder("x/", 0o755));
    case("over-a-file", "archive_unsafe Duplicate", link("control", "y"));
    case("over-a-folder", "archive_unsafe Duplicate", Tar::package().folder("a/", 0o755).symlink("a", "b"));
    case(
        "over-an-implied-folder",
        "archive_unsafe Duplicate",
        Tar::package().file("a/b", 0o644, b"").symlink("a", "b"),
    );
}

#[test]
fn hard_links_name_an_earlier_regular_file() {
    let hard = |target: &str| Tar::package().hard_link("x", target);
    case("hard-absolute", "archive_unsafe Path", hard("/etc/shadow"));
    case("hard-up", "archive_unsafe Path", hard("../x"));
    case("hard-empty", "archive_unsafe Path", hard(""));
    case("hard-missing", "archive_unsafe HardLink", hard("y"));
    case("hard-itself", "archive_unsafe HardLink", hard("x"));
    case("hard-later", "archive_unsafe HardLink", hard("y").file("y", 0o644, b""));
    case(
        "hard-to-a-folder",
        "archive_unsafe HardLink",
        Tar::package().folder("a", 0o755).hard_link("x", "a"),
    );
    case("hard-to-a-symlink", "archive_unsafe HardLink", link("a", "control").hard_link("x", "a"));
    case("hard-through-a-symlink", "archive_unsafe HardLink", link("a", ".").hard_link("x", "a/control"));
    case("hard-twice", "archive_unsafe Duplicate", hard("control").hard_link("x", "control"));
}

#[test]
fn links_bring_no_content() {
    let sized = |kind| Head { kind, name: b"x", link: b"control", ..Head::default() };
    case("symlink-with-content", "archive_invalid Header", Tar::package().head(&sized(b'2'), b"content"));
    case("hard-link-with-content", "archive_invalid Header", Tar::package().head(&sized(b'1'), b"content"));
}
