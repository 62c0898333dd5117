//! What is neither file, folder nor link.

use crate::frozen::refused;
use crate::tarball::{Head, Tar};

fn kind(case: &str, kind: u8, expected: &str) {
    let tar = Tar::package().head(&Head { kind, name: b"dev/x", ..Head::default() }, b"");
    refused("kinds", case, expected, &tar.gz());
}

#[test]
fn devices_fifos_and_unknown_kinds_are_refused() {
    for (case, letter) in [
        ("character-device", b'3'),
        ("block-device", b'4'),
        ("fifo", b'6'),
        ("contiguous", b'7'),
        ("reserved", b'8'),
        ("gnu-dump", b'D'),
        ("gnu-continued", b'M'),
        ("gnu-old-names", b'N'),
        ("gnu-volume", b'V'),
        ("solaris-extension", b'X'),
        ("solaris-access-list", b'A'),
        ("socket", b's'),
        ("high-byte", 0xff),
    ] {
        kind(case, letter, "archive_unsafe Kind");
    }
}

#[test]
fn sparse_files_are_refused() {
    kind("sparse-gnu", b'S', "archive_unsafe Sparse");
    for (case, records) in [
        ("sparse-pax-0.0", &[("GNU.sparse.size", "9"), ("GNU.sparse.numblocks", "1")][..]),
        ("sparse-pax-0.1", &[("GNU.sparse.map", "0,1"), ("GNU.sparse.name", "x")]),
        ("sparse-pax-1.0", &[("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0")]),
        ("sparse-star", &[("SCHILY.realsize", "9")]),
    ] {
        let tar = Tar::package().pax(records).file("x", 0o644, b"content");
        refused("kinds", case, "archive_unsafe Sparse", &tar.gz());
    }
}

#[test]
fn a_folder_brings_no_content() {
    let tar = Tar::package().head(&Head { kind: b'5', name: b"x/", ..Head::default() }, b"content");
    refused("kinds", "folder-with-content", "archive_invalid Header", &tar.gz());
}
