//! Bytes of any kind: never a panic, never a doubtful package.

use proptest::prelude::*;

use crate::recording::{accepted, record, small_limits};
use crate::tarball::{Tar, gz};

fn small() -> Tar {
    Tar::package()
        .folder("bin/", 0o755)
        .file("bin/agent", 0o755, b"elf")
        .symlink("x", "bin")
        .hard_link("y", "control")
}

#[test]
fn every_truncation_is_refused() {
    let tarball = small().gz();
    for len in 0..tarball.len() {
        let refusal = record(&tarball[..len], &small_limits()).unwrap_err();
        assert_eq!(refusal.code(), "archive_invalid", "{len} bytes");
    }
}

#[test]
fn every_truncation_of_the_tar_is_refused() {
    let tar = small().ended();
    for len in (0..tar.len() - 512).step_by(13) {
        assert!(record(&gz(&tar[..len]), &small_limits()).is_err(), "{len} bytes");
    }
}

/// Bits without a meaning are FTEXT, mtime, XFL and OS of RFC 1952, those that fill the last byte of the deflate stream,
/// and lengths of codes that stream does not use.
#[test]
fn every_flipped_bit_is_refused_or_has_no_meaning() {
    let tarball = small().gz();
    let tree = accepted(&tarball);
    for bit in 0..tarball.len() * 8 {
        let mut flipped = tarball.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok((_, recording)) = record(&flipped, &small_limits()) {
            let in_magic_or_trailer = bit < 3 * 8 || bit / 8 >= tarball.len() - 8;
            assert!(!in_magic_or_trailer, "bit {bit}");
            assert_eq!(recording.told, tree, "bit {bit}");
        }
    }
}

#[test]
fn a_flipped_bit_in_a_tar_header_is_refused_or_spells_the_same_sum() {
    let tar = small().ended();
    let tree = accepted(&gz(&tar));
    for bit in 0..512 * 8 {
        let mut flipped = tar.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok((_, recording)) = record(&gz(&flipped), &small_limits()) {
            // A leading zero or space, and what stands behind the digits.
            assert!((148..156).contains(&(bit / 8)), "byte {}", bit / 8);
            assert_eq!(recording.told, tree);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(record(&bytes, &small_limits()).is_err());
    }

    #[test]
    fn random_tars_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        prop_assert!(record(&gz(&bytes), &small_limits()).is_err());
    }

    #[test]
    fn random_pax_data_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..600), kind in prop::sample::select(b"xgLK".to_vec())) {
        let tar = Tar::package().extension(kind, &bytes).file("x", 0o644, b"content").symlink("y", "x");
        let _ = record(&tar.gz(), &small_limits());
    }

    #[test]
    fn damaged_headers_do_no_harm(damage in prop::collection::vec((0..4096_usize, any::<u8>()), 1..6)) {
        let mut tar = small().ended();
        for (at, byte) in damage {
            let len = tar.len();
            tar[at % len] = byte;
        }
        for block in tar.chunks_mut(512).filter(|block| block.len() == 512 && block[257..262] == *b"ustar") {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        let _ = record(&gz(&tar), &small_limits());
    }
}
