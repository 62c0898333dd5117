//! One file's content, as a sink reads it.

use std::io::{self, BufRead, Read};

use crate::gunzip::Stop;
use crate::members::Members;

/// One file's content. It keeps what went wrong in the archive, so that a sink which turns that into an error of its
/// own does not hide it.
pub(crate) struct Content<'m, 'a> {
    members: &'m mut Members<'a>,
    left: u64,
    stopped: Option<Stop>,
}

impl<'m, 'a> Content<'m, 'a> {
    pub(crate) fn new(members: &'m mut Members<'a>, size: u64) -> Self {
        Self { members, left: size, stopped: None }
    }

    /// What went wrong in the archive while the sink read.
    pub(crate) fn stopped(&mut self) -> Option<Stop> {
        self.stopped.take()
    }

    /// Takes what the sink left.
    pub(crate) fn drain(self) -> Result<(), Stop> {
        self.members.skip(self.left)
    }

    fn stop(slot: &mut Option<Stop>, stop: Stop) -> io::Error {
        *slot = Some(stop);
        io::Error::other("the archive ends or fails here")
    }
}

impl BufRead for Content<'_, '_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Ok(&[]);
        }
        if self.stopped.is_some() {
            return Err(io::Error::other("the archive has failed before"));
        }
        self.members.content(self.left).map_err(|stop| Self::stop(&mut self.stopped, stop))
    }

    fn consume(&mut self, len: usize) {
        let len = len.min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= len as u64;
        if let Err(stop) = self.members.consume(len) {
            self.stopped = Some(stop);
        }
    }
}

impl Read for Content<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.fill_buf()?.read(buffer)?;
        self.consume(len);
        Ok(len)
    }
}
