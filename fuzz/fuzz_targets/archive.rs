//! A tarball as a download server gives it. Its checksum stops most changes; `tar` goes deeper.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| fuzz::tarball(bytes));
