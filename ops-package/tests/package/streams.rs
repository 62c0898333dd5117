//! What is around the tar: gzip, padding, ends.

use crate::frozen::refused;
use crate::recording::accepted;
use crate::tarball::{Tar, gz};

fn case(case: &str, expected: &str, tarball: &[u8]) {
    refused("streams", case, expected, tarball);
}

fn package() -> Vec<u8> {
    Tar::package().gz()
}

#[test]
fn what_is_no_gzip_is_refused() {
    case("nothing", "archive_invalid Gzip", b"");
    case("text", "archive_invalid Gzip", b"<html>404 not found</html>");
    case("bare-tar", "archive_invalid Gzip", &Tar::package().ended());
    case("header-only", "archive_invalid Gzip", &package()[..10]);
}

#[test]
fn the_gzip_trailer_is_checked() {
    let len = package().len();
    let broken = |at: usize| {
        let mut bytes = package();
        bytes[at] ^= 0x10;
        bytes
    };
    case("crc", "archive_invalid Gzip", &broken(len - 8));
    case("length", "archive_invalid Gzip", &broken(len - 4));
    case("no-trailer", "archive_invalid Gzip", &package()[..len - 8]);
    case("half-a-trailer", "archive_invalid Gzip", &package()[..len - 3]);
}

#[test]
fn bytes_after_the_gzip_stream_are_refused() {
    case("a-byte-after", "archive_invalid AfterGzip", &[package(), vec![b'x']].concat());
    case("a-zero-after", "archive_invalid AfterGzip", &[package(), vec![0]].concat());
    case("a-package-after", "archive_invalid AfterGzip", &[package(), package()].concat());
    case("an-empty-member-after", "archive_invalid AfterGzip", &[package(), gz(b"")].concat());
    let tar = Tar::package().ended();
    case("two-halves", "archive_invalid AfterGzip", &[gz(&tar[..512]), gz(&tar[512..])].concat());
}

#[test]
fn a_tar_without_its_end_is_refused() {
    let tar = Tar::package().ended();
    case("no-end", "archive_invalid Truncated", &gz(&Tar::package().0));
    case("half-an-end", "archive_invalid Truncated", &gz(&tar[..1024 + 100]));
    case("half-a-header", "archive_invalid Truncated", &gz(&tar[..100]));
    case("no-padding", "archive_invalid Truncated", &gz(&tar[..522]));
    case("half-a-content", "archive_invalid Truncated", &gz(&tar[..518]));
    case("empty-tar", "archive_invalid Truncated", &gz(b""));
}

#[test]
fn data_after_the_end_of_the_tar_is_refused() {
    let tar = Tar::package().ended();
    case("text-after", "archive_invalid AfterTar", &gz(&[tar.clone(), b"x".to_vec()].concat()));
    case("a-tar-after", "archive_invalid AfterTar", &gz(&[tar.clone(), tar.clone()].concat()));
    let lone = Tar::package().bytes(&[0; 512]).file("x", 0o644, b"");
    case("an-entry-after-a-zero-block", "archive_invalid AfterTar", &lone.gz());
}

#[test]
fn zeros_after_the_end_of_the_tar_are_padding() {
    for blocks in [1, 2, 20, 1000] {
        assert_eq!(accepted(&gz(&Tar::package().bytes(&vec![0; 512 * blocks]).0)).len(), 1);
    }
}
