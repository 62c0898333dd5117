//! An archive of entries and nothing else, at the limit. A binary of its own: the peak counts for a whole process.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends there")]

use std::convert::Infallible;
use std::io::{BufRead, Read};

use flate2::read::GzEncoder;
use ops_package::{EntryPath, Limits, Refusal, Sink, WalkError, walk};

struct Nothing;

impl Sink for Nothing {
    type Error = Infallible;

    fn folder(&mut self, _: &EntryPath, _: u32) -> Result<(), Infallible> {
        Ok(())
    }

    fn folder_mode(&mut self, _: &EntryPath, _: u32) -> Result<(), Infallible> {
        Ok(())
    }

    fn file(&mut self, _: &EntryPath, _: u32, _: u64, _: &mut dyn BufRead) -> Result<(), Infallible> {
        Ok(())
    }

    fn symlink(&mut self, _: &EntryPath, _: &str) -> Result<(), Infallible> {
        Ok(())
    }

    fn hard_link(&mut self, _: &EntryPath, _: &EntryPath) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The tar of endless files in folders of their own, made while it is read.
struct Bomb {
    entry: u32,
    block: Vec<u8>,
    at: usize,
}

impl Read for Bomb {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.block.len() {
            let mut header = tar::Header::new_ustar();
            header.set_path(format!("{}{}", "folder/".repeat(2), self.entry)).unwrap();
            header.set_size(0);
            header.set_mode(0o644);
            header.set_cksum();
            self.block = header.as_bytes().to_vec();
            self.entry += 1;
            self.at = 0;
        }
        let len = (&self.block[self.at..]).read(buffer)?;
        self.at += len;
        Ok(len)
    }
}

/// Peak resident memory of this process so far, in bytes.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// A quarter of the default limit: without optimisation gunzip is slow, and the table grows with the entries alone.
const ENTRIES: u64 = 50_000;

#[test]
fn an_inode_bomb_at_the_limit_stays_small() {
    let bomb = GzEncoder::new(Bomb { entry: 0, block: Vec::new(), at: 0 }, flate2::Compression::none());
    let limits = Limits { entries_max: ENTRIES, ..Limits::default() };
    let before = peak_bytes();
    let error = walk(bomb, &limits, &mut Nothing).unwrap_err();
    assert!(matches!(error, WalkError::Refused(Refusal::TooManyEntries { limit: ENTRIES })), "{error}");
    let grown = peak_bytes() - before;
    assert!(grown < (3 << 20) + 80 * ENTRIES, "{grown} bytes");
}
