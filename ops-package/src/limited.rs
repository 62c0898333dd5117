//! An end to any stream.

use std::fmt;
use std::io::{self, Read};

/// Passes a stream on, and fails with [`TooLarge`] when it has more than a given number of bytes.
#[derive(Debug)]
pub struct Limited<R> {
    inner: R,
    left: u64,
    limit: u64,
}

impl<R> Limited<R> {
    /// Exactly `bytes_max` bytes are still well.
    pub fn new(inner: R, bytes_max: u64) -> Self {
        Self { inner, left: bytes_max, limit: bytes_max }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // At the limit one byte is asked for, to tell the end from more.
        let len_max = self.left.max(1).min(buffer.len() as u64) as usize;
        let read = self.inner.read(buffer.get_mut(..len_max).unwrap_or_default())?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::new(io::ErrorKind::FileTooLarge, TooLarge { limit: self.limit })),
        }
        Ok(read)
    }
}

/// A stream had more bytes than it may have. [`Limited`] wraps it into an [`io::Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge {
    /// Bytes.
    pub limit: u64,
}

impl TooLarge {
    /// The limit that made `error`, if that is what happened.
    pub fn from_io(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }

    /// The code on the wire.
    pub fn code(&self) -> &'static str {
        "too_large"
    }
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "more than {} bytes", self.limit)
    }
}

impl std::error::Error for TooLarge {}
