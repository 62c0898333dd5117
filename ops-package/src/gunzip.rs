//! Gunzip on a thread of its own, so that it overlaps with what is done with the bytes.
//!
//! * The thread fills buffers and sends them over a bounded channel; used ones come back over another. There are
//!   [`BUFFERS`] of them, so a slow taker holds the thread up and nothing piles up.
//! * An empty buffer is the end; it is sent only after the gzip trailer (CRC and length) and the tarball's end were
//!   checked. An error is sent in place of a buffer. A channel that breaks off is an error, never an end.
//! * When the taker goes, the channels close and the thread ends; it is joined before `with_gunzip` returns.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use flate2::bufread::GzDecoder;

use crate::refusal::Refusal;

const BUFFERS: usize = 8;
const BUFFER_BYTES: usize = 128 << 10;
const TARBALL_BUFFER_BYTES: usize = 64 << 10;

/// Why there are no more bytes.
#[derive(Debug)]
pub(crate) enum Stop {
    Refused(Refusal),
    /// The tarball could not be read.
    Read(io::Error),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

type Chunk = Result<Vec<u8>, Stop>;

/// Runs `take` with the gunzipped bytes of `tarball`.
pub(crate) fn with_gunzip<R: Read + Send, T>(tarball: R, take: impl FnOnce(Gunzipped) -> T) -> io::Result<T> {
    let (filled, chunks) = sync_channel(BUFFERS);
    let (used, spare) = sync_channel(BUFFERS);
    for _ in 0..BUFFERS {
        // There is room for each, and the other end is alive.
        let _ = used.send(vec![0; BUFFER_BYTES]);
    }
    thread::scope(|scope| {
        let feeding = thread::Builder::new()
            .name("gunzip".to_owned())
            .spawn_scoped(scope, move || feed(tarball, &spare, &filled))?;
        let taken = take(Gunzipped { chunks, used, chunk: Vec::new(), at: 0, ended: false });
        // A panic over there has already shown as a channel that broke off.
        let _ = feeding.join();
        Ok(taken)
    })
}

fn feed<R: Read>(tarball: R, spare: &Receiver<Vec<u8>>, filled: &SyncSender<Chunk>) {
    let mut member = Member::new(tarball);
    while let Ok(mut buffer) = spare.recv() {
        buffer.resize(BUFFER_BYTES, 0);
        let chunk = member.fill(&mut buffer).map(|len| {
            buffer.truncate(len);
            buffer
        });
        let last = !matches!(&chunk, Ok(buffer) if !buffer.is_empty());
        if filled.send(chunk).is_err() || last {
            return;
        }
    }
}

/// Exactly one gzip member, and nothing after it.
///
/// RFC 1952 allows several members, but tools differ about them and about what follows: some stop after the first,
/// some skip what is no member. A tarball that means two things is refused; `tar czf`, gzip and pigz write one member.
struct Member<R: Read> {
    decoder: GzDecoder<BufReader<Tarball<R>>>,
}

impl<R: Read> Member<R> {
    fn new(tarball: R) -> Self {
        let tarball = Tarball { inner: tarball, failed: None };
        Self { decoder: GzDecoder::new(BufReader::with_capacity(TARBALL_BUFFER_BYTES, tarball)) }
    }

    /// Fills the buffer; fewer bytes than that are the last ones.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Stop> {
        let mut len = 0;
        while let Some(rest) = buffer.get_mut(len..).filter(|rest| !rest.is_empty()) {
            match self.decoder.read(rest) {
                Ok(0) => {
                    self.end()?;
                    break;
                }
                Ok(read) => len += read,
                Err(error) => return Err(self.stop(&error)),
            }
        }
        Ok(len)
    }

    fn end(&mut self) -> Result<(), Stop> {
        match self.decoder.get_mut().fill_buf().map(<[u8]>::is_empty) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refusal::AfterGzip.into()),
            Err(error) => Err(self.stop(&error)),
        }
    }

    fn stop(&mut self, error: &io::Error) -> Stop {
        match self.decoder.get_mut().get_mut().failed.take() {
            Some(failed) => Stop::Read(failed),
            None => Refusal::Gzip { why: error.to_string() }.into(),
        }
    }
}

/// Keeps the tarball's own errors apart from what gunzip has to say about its bytes.
struct Tarball<R> {
    inner: R,
    failed: Option<io::Error>,
}

impl<R: Read> Read for Tarball<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.inner.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed = Some(error);
                    return Err(io::ErrorKind::Other.into());
                }
                read => return read,
            }
        }
    }
}

/// The gunzipped bytes, as they come.
pub(crate) struct Gunzipped {
    chunks: Receiver<Chunk>,
    used: SyncSender<Vec<u8>>,
    chunk: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Gunzipped {
    /// The next bytes; none are the end.
    pub(crate) fn fill(&mut self) -> Result<&[u8], Stop> {
        if self.at >= self.chunk.len() && !self.ended {
            self.next_chunk()?;
        }
        Ok(self.chunk.get(self.at..).unwrap_or_default())
    }

    /// Marks the first `len` of the bytes that `fill` gave as taken.
    pub(crate) fn consume(&mut self, len: usize) {
        self.at = self.at.saturating_add(len).min(self.chunk.len());
    }

    fn next_chunk(&mut self) -> Result<(), Stop> {
        let broken_off = || Stop::Read(io::Error::other("the gunzip thread ended early"));
        let next = self.chunks.recv().map_err(|_| broken_off())??;
        self.ended = next.is_empty();
        self.at = 0;
        let used = std::mem::replace(&mut self.chunk, next);
        if used.capacity() > 0 {
            // The thread may have ended and want none back.
            let _ = self.used.send(used);
        }
        Ok(())
    }
}
