//! What a sink may do, and what its failures become.

use std::io::{self, BufRead, Read};

use ops_package::{Algorithm, Digesting, EntryPath, Limits, Refusal, Sink, WalkError, walk};

use crate::recording::small_limits;
use crate::tarball::{Tar, gz};

/// Reads `read` bytes of each file, and fails at the file of that name.
struct Lazy {
    read: usize,
    fails_at: &'static str,
    files: Vec<String>,
}

impl Lazy {
    fn reading(read: usize) -> Self {
        Self { read, fails_at: "", files: Vec::new() }
    }
}

impl Sink for Lazy {
    type Error = io::Error;

    fn folder(&mut self, _: &EntryPath, _: u32) -> io::Result<()> {
        Ok(())
    }

    fn folder_mode(&mut self, _: &EntryPath, _: u32) -> io::Result<()> {
        Ok(())
    }

    fn file(&mut self, path: &EntryPath, _: u32, _: u64, content: &mut dyn BufRead) -> io::Result<()> {
        if path.as_str() == self.fails_at {
            return Err(io::ErrorKind::StorageFull.into());
        }
        io::copy(&mut content.take(self.read as u64), &mut io::sink())?;
        self.files.push(path.to_string());
        Ok(())
    }

    fn symlink(&mut self, _: &EntryPath, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn hard_link(&mut self, _: &EntryPath, _: &EntryPath) -> io::Result<()> {
        Ok(())
    }
}

fn large() -> Tar {
    Tar::package().file("a", 0o644, &[1; 400_000]).file("b", 0o644, &[2; 300_001]).file("c", 0o644, b"")
}

#[test]
fn what_a_sink_does_not_read_is_drained() {
    for read in [0, 1, 511, 512, 200_000, usize::MAX] {
        let mut sink = Lazy::reading(read);
        let summary = walk(&large().gz()[..], &small_limits(), &mut sink).unwrap();
        assert_eq!(sink.files, ["control", "a", "b", "c"]);
        assert_eq!(summary.unpacked_bytes, 700_011);
    }
}

#[test]
fn a_sinks_failure_is_its_own_and_ends_the_walk() {
    let mut sink = Lazy { fails_at: "a", ..Lazy::reading(0) };
    let error = walk(&large().gz()[..], &small_limits(), &mut sink).unwrap_err();
    assert!(matches!(error, WalkError::Sink(error) if error.kind() == io::ErrorKind::StorageFull));
    assert_eq!(sink.files, ["control"]);
}

#[test]
fn an_archive_that_fails_while_a_sink_reads_is_the_archives_failure() {
    let cut = gz(&large().0[..300_000]);
    let error = walk(&cut[..], &small_limits(), &mut Lazy::reading(usize::MAX)).unwrap_err();
    assert!(matches!(error, WalkError::Refused(Refusal::Truncated { at: 300_000 })), "{error}");
}

/// A tarball on a disk that fails after so many bytes.
struct Failing<'a>(&'a [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::other("the disk fails")),
            len => Ok(len),
        }
    }
}

#[test]
fn a_tarball_that_cannot_be_read_is_no_refusal() {
    let tarball = large().gz();
    for len in [0, 5, 100, tarball.len() - 4, tarball.len()] {
        let mut sink = Lazy::reading(usize::MAX);
        let error = walk(Failing(&tarball[..len]), &small_limits(), &mut sink).unwrap_err();
        assert!(
            matches!(&error, WalkError::Read(error) if error.to_string() == "the disk fails"),
            "{len}: {error}"
        );
    }
}

/// Hands out a byte at a time, with interruptions.
struct Trickle<'a>(&'a [u8], bool);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        self.0.read(&mut buffer[..1])
    }
}

#[test]
fn a_slow_and_interrupted_tarball_is_read() {
    let mut sink = Lazy::reading(usize::MAX);
    walk(Trickle(&large().gz(), false), &small_limits(), &mut sink).unwrap();
    assert_eq!(sink.files.len(), 4);
}

#[test]
fn a_reader_that_is_lent_is_read_to_its_end() {
    let tarball = large().gz();
    let mut reader = Digesting::new(&tarball[..], Algorithm::Sha256);
    walk(&mut reader, &Limits::default(), &mut Lazy::reading(0)).unwrap();
    assert_eq!(reader.finish().1.bytes, tarball.len() as u64);
}
