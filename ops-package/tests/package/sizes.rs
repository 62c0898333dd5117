//! Limits, each at its last good value and one above.

use ops_package::Limits;

use crate::frozen::refused;
use crate::recording::{named, record, small_limits};
use crate::tarball::{Head, Tar, gz};

fn case(case: &str, expected: &str, tar: Tar) {
    refused("sizes", case, expected, &tar.gz());
}

fn is_accepted(tar: Tar) -> bool {
    record(&tar.gz(), &small_limits()).is_ok()
}

#[test]
fn unpacked_bytes_are_limited() {
    let rest = (1 << 20) - 10;
    let file = |len: usize| Tar::package().file("x", 0o644, &vec![0; len]);
    assert!(is_accepted(file(rest)));
    case("unpacked", "too_large UnpackedTooLarge", file(rest + 1));
}

#[test]
fn hard_links_count_like_the_files_they_name() {
    let linked = |links: usize| {
        let file = Tar::package().file("x", 0o644, &vec![0; 100_000]);
        (0..links).fold(file, |tar, i| tar.hard_link(&format!("x{i}"), "x"))
    };
    assert!(is_accepted(linked(9)));
    case("hard-links", "too_large UnpackedTooLarge", linked(10));
}

#[test]
fn entries_are_limited_with_implied_folders() {
    let files = |n: usize| (0..n).fold(Tar::package(), |tar, i| tar.file(&i.to_string(), 0o644, b""));
    let nested = |n: usize| (0..n).fold(Tar::package(), |tar, i| tar.file(&format!("{i}/a/b"), 0o644, b""));
    assert!(is_accepted(files(99)));
    case("entries", "too_large TooManyEntries", files(100));
    assert!(is_accepted(nested(33)));
    case("entries-implied", "too_large TooManyEntries", nested(34));
}

#[test]
fn paths_are_limited() {
    let long = |len: usize| vec!["a".repeat(99); 3].join("/") + &"b".repeat(len - 299);
    let named = |name: &str| Tar::package().pax(&[("path", name)]).file("x", 0o644, b"");
    assert!(is_accepted(named(&long(300))));
    case("path", "too_large PathTooLong", named(&long(301)));
    case(
        "path-long-name",
        "too_large PathTooLong",
        Tar::package().extension(b'L', &[b'a'; 301]).file("x", 0o644, b""),
    );
    assert!(is_accepted(named(&"a".repeat(255))));
    case("component", "too_large PathTooLong", named(&"a".repeat(256)));
}

#[test]
fn depth_is_limited() {
    let deep = |depth: usize| Tar::package().file(&vec!["a"; depth].join("/"), 0o644, b"");
    assert!(is_accepted(deep(8)));
    case("depth", "too_large TooDeep", deep(9));
}

#[test]
fn metadata_are_limited_together() {
    let comment = |len: usize| Tar::package().pax(&[("comment", &"c".repeat(len))]).file("x", 0o644, b"");
    assert!(is_accepted(comment(4096 - 14)));
    case("metadata", "too_large ExtensionTooLarge", comment(4096 - 13));
    let two = Tar::package().extension(b'L', &[b'a'; 2100]).extension(b'K', &[b'a'; 2100]).symlink("x", "y");
    case("metadata-together", "too_large ExtensionTooLarge", two);
}

#[test]
fn a_gigabyte_of_metadata_is_not_even_read() {
    let head = Head { kind: b'x', size: b"10000000000\0", ..Head::default() };
    case("metadata-gigabyte", "too_large ExtensionTooLarge", Tar::package().head(&head, b""));
}

#[test]
fn extension_headers_in_number_are_limited() {
    let comment = |kind: u8| Tar::empty().extension(kind, b"14 comment=ab\n").0;
    let globals = Tar::empty().bytes(&comment(b'g').repeat(401)).bytes(&Tar::package().0);
    // All stand before one entry, so their bytes together are what is met first or second.
    let limits = Limits { metadata_bytes_max: 1 << 20, ..small_limits() };
    let refusal = record(&globals.gz(), &limits).unwrap_err();
    assert_eq!(named(&refusal), "archive_invalid Extension");
}

#[test]
fn a_bomb_of_padding_ends_at_the_limit() {
    // More zeros than unpacked bytes, headers and padding may have together.
    let bomb = gz(&Tar::package().bytes(&vec![0; 3 << 20]).0);
    assert!(bomb.len() < 64 << 10);
    refused("sizes", "padding", "too_large TarTooLarge", &bomb);
}
