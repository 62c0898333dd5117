//! The host program needs nothing of the host.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here"
)]

const PT_INTERP: u64 = 3;

/// A number of an ELF file in this machine's byte order.
fn number(elf: &[u8], at: usize, bytes: usize) -> u64 {
    let mut all = [0; 8];
    if cfg!(target_endian = "little") {
        all[..bytes].copy_from_slice(&elf[at..at + bytes]);
    } else {
        all[8 - bytes..].copy_from_slice(&elf[at..at + bytes]);
    }
    u64::from_ne_bytes(all)
}

/// Types of the program headers of a 64-bit ELF file.
fn program_headers(elf: &[u8]) -> Vec<u64> {
    assert_eq!((&elf[..4], elf[4]), (b"\x7fELF".as_slice(), 2), "no 64-bit ELF file");
    let (offset, size, count) =
        (number(elf, 0x20, 8) as usize, number(elf, 0x36, 2) as usize, number(elf, 0x38, 2) as usize);
    (0..count).map(|it| number(elf, offset + it * size, 4)).collect()
}

#[test]
fn the_updater_is_a_static_binary() {
    let elf = std::fs::read(e2e::binary("ops-updater")).unwrap();
    let headers = program_headers(&elf);
    assert!(!headers.is_empty() && !headers.contains(&PT_INTERP), "it asks for an interpreter");
}

#[test]
fn a_dynamic_binary_would_be_noticed() {
    let shell = std::fs::canonicalize("/proc/self/exe").unwrap();
    let (own, sh) = (std::fs::read(shell).unwrap(), std::fs::read("/bin/sh").unwrap());
    assert!(!program_headers(&own).is_empty() && program_headers(&sh).contains(&PT_INTERP));
}
