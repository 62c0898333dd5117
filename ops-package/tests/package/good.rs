//! What is accepted, and what a sink is told of it.

use ops_package::Limits;

use crate::recording::{Told, accepted, record, small_limits};
use crate::tarball::{Head, Tar};

#[test]
fn a_package_is_told_as_it_is() {
    let tar = Tar::empty()
        .folder("./", 0o700)
        .file("./control", 0o755, b"#!/bin/sh\n")
        .folder("./bin/", 0o755)
        .file("./bin/agent", 0o755, b"elf")
        .symlink("./bin/current", "agent")
        .hard_link("./bin/again", "./bin/agent");
    let (summary, recording) = record(&tar.gz(), &small_limits()).unwrap();
    let told = recording.told;
    assert_eq!(told["control"], Told::File(0o755, b"#!/bin/sh\n".to_vec()));
    assert_eq!(told["bin"], Told::Folder(0o755));
    assert_eq!(told["bin/agent"], Told::File(0o755, b"elf".to_vec()));
    assert_eq!(told["bin/current"], Told::Symlink("agent".to_owned()));
    assert_eq!(told["bin/again"], Told::HardLink("bin/agent".to_owned()));
    assert_eq!((summary.entries, summary.unpacked_bytes), (5, 16));
}

#[test]
fn setuid_and_write_for_others_are_dropped() {
    let told = accepted(
        &Tar::package()
            .file("setuid", 0o6777, b"")
            .file("sticky", 0o1644, b"")
            .file("none", 0, b"")
            .folder("open", 0o7777)
            .folder("closed", 0)
            .gz(),
    );
    assert_eq!(told["setuid"], Told::File(0o755, vec![]));
    assert_eq!(told["sticky"], Told::File(0o644, vec![]));
    assert_eq!(told["none"], Told::File(0o600, vec![]));
    assert_eq!(told["open"], Told::Folder(0o755));
    assert_eq!(told["closed"], Told::Folder(0o700));
}

#[test]
fn folders_may_be_implied_and_named_later() {
    let told = accepted(&Tar::package().file("a/b/c", 0o644, b"").folder("a", 0o700).gz());
    assert_eq!(told["a"], Told::Folder(0o700));
    assert_eq!(told["a/b"], Told::Folder(0o755));
}

#[test]
fn symlinks_inside_are_told_with_their_target() {
    for (name, target) in [
        ("a/x", "../control"),
        ("x", "."),
        ("x", "./lib/y/"),
        ("a/b/x", "../.."),
        ("x", "var/not/there"),
        ("x", "a//b"),
    ] {
        let told = accepted(&Tar::package().symlink(name, target).gz());
        assert_eq!(told[name], Told::Symlink(target.to_owned()));
    }
}

#[test]
fn control_may_be_a_hard_link_to_an_executable_file() {
    let tar =
        Tar::empty().file("bin/ctl", 0o755, b"").hard_link("control", "bin/ctl").hard_link("x", "control");
    assert_eq!(accepted(&tar.gz())["control"], Told::HardLink("bin/ctl".to_owned()));
}

#[test]
fn long_names_of_gnu_and_pax_are_followed() {
    let long = "d".repeat(150) + "/" + &"f".repeat(120);
    let gnu = Head { magic: b"ustar  \0", ..Head::default() };
    let told = accepted(
        &Tar::package()
            .extension(b'L', format!("{long}\0").as_bytes())
            .head(&gnu, b"gnu")
            .pax(&[("path", "umlaut-\u{e4}"), ("mtime", "1.5"), ("SCHILY.xattr.user.x", "y")])
            .file("x", 0o644, b"pax")
            .extension(b'K', long.as_bytes())
            .symlink("link", "cut")
            .gz(),
    );
    assert_eq!(told[&long], Told::File(0o644, b"gnu".to_vec()));
    assert_eq!(told["umlaut-\u{e4}"], Told::File(0o644, b"pax".to_vec()));
    assert_eq!(told["link"], Told::Symlink(long));
}

#[test]
fn a_pax_size_overrules_the_headers() {
    let head = Head { name: b"x", size: b"00000000000\0", ..Head::default() };
    let told =
        accepted(&Tar::package().pax(&[("size", "7")]).head(&head, b"content").file("y", 0o644, b"").gz());
    assert_eq!(told["x"], Told::File(0o644, b"content".to_vec()));
    assert!(told.contains_key("y"));
}

#[test]
fn a_size_in_base_256_is_read() {
    let head = Head { size: b"\x80\0\0\0\0\0\0\0\0\0\0\x07", ..Head::default() };
    assert_eq!(
        accepted(&Tar::package().head(&head, b"content").gz())["x"],
        Told::File(0o644, b"content".to_vec())
    );
}

#[test]
fn old_tars_without_a_magic_are_read() {
    let head = Head { kind: 0, magic: b"", ..Head::default() };
    assert_eq!(accepted(&Tar::package().head(&head, b"old").gz())["x"], Told::File(0o644, b"old".to_vec()));
}

#[test]
fn a_comment_for_the_whole_archive_is_passed_over() {
    let comment = Tar::empty().extension(b'g', b"52 comment=0123456789012345678901234567890123456789\n");
    assert_eq!(accepted(&comment.bytes(&Tar::package().0).gz()).len(), 1);
}

#[test]
fn nothing_else_is_in_the_summary_than_what_was_told() {
    let tar = Tar::package().file("a/b/c", 0o644, &[7; 5000]);
    let len = tar.clone().ended().len() as u64;
    let (summary, recording) = record(&tar.gz(), &Limits::default()).unwrap();
    assert_eq!(summary.entries, recording.told.len() as u64);
    assert_eq!((summary.unpacked_bytes, summary.tar_bytes), (5010, len));
}
