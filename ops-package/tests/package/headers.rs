//! Headers and extension headers that are damaged or mean two things.

use crate::frozen::refused;
use crate::tarball::{Head, Tar};

fn case(case: &str, expected: &str, tar: Tar) {
    refused("headers", case, expected, &tar.gz());
}

fn sized(size: &[u8]) -> Tar {
    Tar::package().head(&Head { size, ..Head::default() }, b"content")
}

#[test]
fn a_wrong_checksum_is_refused() {
    let mut tar = Tar::package();
    tar.0[0] ^= 1;
    case("checksum", "archive_invalid Header", tar.clone());
    tar.0[148..156].fill(b'z');
    case("checksum-no-number", "archive_invalid Header", tar);
}

#[test]
fn an_unknown_magic_is_refused() {
    for (name, magic) in
        [("magic", b"ustar\x0001"), ("magic-mixed", b"ustar 00"), ("magic-none", b"garbage!")]
    {
        case(name, "archive_invalid Header", Tar::package().head(&Head { magic, ..Head::default() }, b""));
    }
}

#[test]
fn sizes_that_are_no_sizes_are_refused() {
    case("size-negative", "archive_invalid Header", sized(&[0xff; 12]));
    case("size-minus", "archive_invalid Header", sized(b"-0000000007\0"));
    case("size-plus", "archive_invalid Header", sized(b"+0000000007\0"));
    case("size-above-64-bits", "archive_invalid Header", sized(b"\x80\0\0\x01\0\0\0\0\0\0\0\0"));
    case("size-blank", "archive_invalid Header", sized(b"            "));
    case("size-decimal", "archive_invalid Header", sized(b"00000000009\0"));
    case(
        "mode-no-number",
        "archive_invalid Header",
        Tar::package().head(&Head { mode: b"rwxr-xr-", ..Head::default() }, b""),
    );
}

#[test]
fn huge_sizes_are_refused_before_anything_is_read() {
    case("size-huge", "too_large UnpackedTooLarge", sized(b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"));
    case("size-huge-octal", "too_large UnpackedTooLarge", sized(b"77777777777\0"));
    case(
        "size-huge-pax",
        "too_large UnpackedTooLarge",
        Tar::package().pax(&[("size", "18446744073709551615")]).file("x", 0o644, b""),
    );
    case(
        "size-huge-metadata",
        "too_large ExtensionTooLarge",
        Tar::package().head(
            &Head { kind: b'x', size: b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", ..Head::default() },
            b"",
        ),
    );
}

#[test]
fn malformed_pax_headers_are_refused() {
    for (name, data) in [
        ("pax-no-length", &b"path=x\n"[..]),
        ("pax-short", b"7 path=x\n"),
        ("pax-long", b"99 path=x\n"),
        ("pax-no-newline", b"9 path=xy"),
        ("pax-no-equals", b"8 abcde\n"),
        ("pax-no-key", b"5 =x\n"),
        ("pax-size-negative", b"11 size=-1\n"),
        ("pax-size-no-number", b"11 size=0x\n"),
        ("pax-size-above-64-bits", b"29 size=18446744073709551616\n"),
        ("pax-path-empty", b"8 path=\n"),
        ("pax-path-twice", b"9 path=x\n9 path=y\n"),
        ("pax-trailing-nul", b"9 path=x\n\0"),
        ("pax-gnu-volume", b"24 GNU.volume.filename=\n"),
    ] {
        case(name, "archive_invalid Extension", Tar::package().extension(b'x', data).file("x", 0o644, b""));
    }
}

#[test]
fn extension_headers_that_mean_two_things_are_refused() {
    let extended = |tar: Tar| tar.file("x", 0o644, b"");
    let package = Tar::package;
    case(
        "pax-twice",
        "archive_invalid Extension",
        extended(package().pax(&[("path", "a")]).pax(&[("path", "b")])),
    );
    case(
        "long-name-twice",
        "archive_invalid Extension",
        extended(package().extension(b'L', b"a\0").extension(b'L', b"b\0")),
    );
    case(
        "long-link-twice",
        "archive_invalid Extension",
        extended(package().extension(b'K', b"a\0").extension(b'K', b"b\0")),
    );
    case(
        "long-name-and-pax",
        "archive_invalid Extension",
        extended(package().extension(b'L', b"a\0").pax(&[("path", "b")])),
    );
    case(
        "pax-and-long-link",
        "archive_invalid Extension",
        extended(package().pax(&[("linkpath", "b")]).extension(b'K', b"a\0")),
    );
    case("long-name-empty", "archive_invalid Extension", extended(package().extension(b'L', b"\0")));
}

#[test]
fn extension_headers_without_an_entry_are_refused() {
    case("pax-at-the-end", "archive_invalid Extension", Tar::package().pax(&[("path", "a")]));
    case("long-name-at-the-end", "archive_invalid Extension", Tar::package().extension(b'L', b"a\0"));
}

#[test]
fn global_headers_change_no_entry() {
    for (name, data) in [
        ("global-path", &b"9 path=x\n"[..]),
        ("global-linkpath", b"14 linkpath=x\n"),
        ("global-size", b"9 size=0\n"),
        ("global-sparse", b"22 GNU.sparse.major=1\n"),
        ("global-malformed", b"comment\n"),
    ] {
        case(name, "archive_invalid Extension", Tar::empty().extension(b'g', data).bytes(&Tar::package().0));
    }
}
