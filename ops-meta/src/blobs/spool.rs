//! An upload, while it comes: a file aside. One whose sha256 is told beforehand is kept when it is cut, and goes on later.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use ops_package::Digesting;
use ops_wire::HexDigest;
use tokio::runtime::Handle;
use tokio::sync::mpsc::Receiver;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::oneshot;

use super::parts::{NAMELESS, Parts, length};
use super::space::Promise;
use super::underway::Begun;

/// The file of one upload. Dropped, it goes, unless somebody can go on with it; on a thread that may wait for that.
pub struct Spool {
    path: PathBuf,
    /// What becomes of the file when this is dropped.
    end: End,
    parts: Arc<Parts>,
    /// What all that are cut may take.
    kept_bytes_max: u64,
    /// `None` once it is dropped.
    begun: Option<Begun>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Goes,
    Stays,
    /// It bears another name.
    Renamed,
}

/// A whole upload.
pub struct Received {
    pub spool: Spool,
    pub size: u64,
    pub sha256: HexDigest,
    pub md5: HexDigest,
}

impl Spool {
    /// Of this package, whose sha256 may be known; `None`: it is being uploaded already. What comes with it fails once it
    /// has ended, and its file is gone where it is to go.
    pub fn begin(
        parts: &Arc<Parts>,
        package: &str,
        sha256: Option<&HexDigest>,
        kept_bytes_max: u64,
    ) -> Option<(Self, oneshot::Receiver<()>)> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (name, end) = match sha256 {
            Some(sha256) => (sha256.to_string(), End::Stays),
            None => (format!("{NAMELESS}{}", NEXT.fetch_add(1, Ordering::Relaxed)), End::Goes),
        };
        let mut begun = parts.underway.begin(vec![package.to_owned(), name.clone()])?;
        let (ended, path) = (begun.ended(), parts.folder.join(name));
        Some((Self { path, end, parts: parts.clone(), kept_bytes_max, begun: Some(begun) }, ended))
    }

    /// Whether somebody can go on with it where it is cut.
    pub fn is_resumable(&self) -> bool {
        self.end == End::Stays
    }

    pub(super) fn name(&self) -> &str {
        self.path.file_name().and_then(|it| it.to_str()).unwrap_or_default()
    }

    /// How much of it is there. Blocks.
    pub fn offset(&self) -> u64 {
        length(&self.path)
    }

    /// Opens what was received, to read it. Blocks.
    pub fn open(&self) -> io::Result<File> {
        File::open(&self.path)
    }

    /// The file bears another name now.
    pub(super) fn renamed(mut self) {
        self.end = End::Renamed;
    }

    /// Nobody is to go on with it: it is wrong.
    pub fn discard(mut self) {
        self.end = End::Goes;
    }

    /// Writes what comes, behind the first `offset` bytes, and digests all of it. Blocks until there is no more.
    pub fn receive(mut self, offset: u64, pieces: Receiver<Bytes>, promise: Promise) -> io::Result<Received> {
        match self.write(offset, pieces, promise) {
            Ok((size, sha256, md5)) => Ok(Received { spool: self, size, sha256, md5 }),
            Err(error) => {
                // A full disk needs the room more.
                self.end = End::Goes;
                Err(error)
            }
        }
    }

    fn write(
        &self,
        offset: u64,
        mut pieces: Receiver<Bytes>,
        mut promise: Promise,
    ) -> io::Result<(u64, HexDigest, HexDigest)> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&self.path)?;
        file.set_len(offset)?;
        let mut writing = Writing::new(file, offset);
        loop {
            let piece = match pieces.try_recv() {
                // Whoever sends is not kept waiting for what was there before.
                Err(TryRecvError::Empty) if writing.is_behind() => {
                    writing.catch_up()?;
                    continue;
                }
                Err(TryRecvError::Empty) => pieces.blocking_recv(),
                piece => piece.ok(),
            };
            let Some(piece) = piece else { break };
            writing.take(&piece)?;
            promise.wrote(piece.len() as u64)?;
        }
        writing.finish()
    }
}

/// A file, and the digests of its first bytes.
struct Writing {
    file: File,
    written: u64,
    digesting: Digesting<io::Sink>,
    buffer: Vec<u8>,
}

impl Writing {
    fn new(file: File, written: u64) -> Self {
        Self { file, written, digesting: Digesting::both(io::sink()), buffer: Vec::new() }
    }

    fn is_behind(&self) -> bool {
        self.digesting.bytes() < self.written
    }

    fn take(&mut self, piece: &[u8]) -> io::Result<()> {
        self.file.write_all_at(piece, self.written)?;
        if !self.is_behind() {
            self.digesting.write_all(piece)?;
        }
        self.written += piece.len() as u64;
        Ok(())
    }

    /// Digests some of what was only written.
    fn catch_up(&mut self) -> io::Result<()> {
        let from = self.digesting.bytes();
        let most = super::BUFFER_BYTES as u64;
        self.buffer.resize((self.written - from).min(most) as usize, 0);
        self.file.read_exact_at(&mut self.buffer, from)?;
        self.digesting.write_all(&self.buffer)
    }

    fn finish(mut self) -> io::Result<(u64, HexDigest, HexDigest)> {
        while self.is_behind() {
            self.catch_up()?;
        }
        self.file.sync_all()?;
        let (_, digests) = self.digesting.finish();
        let both = digests.sha256.zip(digests.md5);
        let (sha256, md5) = both.ok_or_else(|| io::Error::other("there are no digests"))?;
        Ok((digests.bytes, sha256, md5))
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        let (end, path, begun) = (self.end, std::mem::take(&mut self.path), self.begun.take());
        if end == End::Renamed {
            return;
        }
        let (parts, kept_bytes_max) = (self.parts.clone(), self.kept_bytes_max);
        on_a_thread_that_may_wait(move || {
            if end == End::Goes {
                let _ = fs::remove_file(path);
            }
            drop(begun);
            if end == End::Stays {
                // It is tried again with the next one.
                let _ = parts.bound(kept_bytes_max);
            }
        });
    }
}

/// To remove a large file takes its time.
fn on_a_thread_that_may_wait(work: impl FnOnce() + Send + 'static) {
    match Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(work)),
        Err(_) => work(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use ops_package::Algorithm;
    use tokio::sync::mpsc::channel;

    use super::super::space::Space;
    use super::super::underway::Underway;
    use super::*;

    #[test]
    fn what_was_there_and_what_comes_is_digested_whole_in_whatever_pieces_it_comes() {
        let folder = tempfile::TempDir::new().unwrap();
        let parts = Arc::new(Parts { folder: folder.path().into(), underway: Underway::default() });
        let space = Space::of(folder.path().into());
        let bytes: Vec<u8> = (0_u32..4 << 20).map(|n| (n >> 9) as u8 ^ n as u8).collect();
        let mut whole = Digesting::new(io::sink(), Algorithm::Sha256);
        whole.consume(&bytes);
        let wanted = whole.finish().1.sha256.unwrap();
        for (offset, piece) in [(0, 1 << 16), (3_000_001, 1 << 14), (3_000_001, 1 << 20), (4 << 20, 1)] {
            let (spool, mut ended) = Spool::begin(&parts, "a", Some(&wanted), 0).unwrap();
            assert!(Spool::begin(&parts, "b", Some(&wanted), 0).is_none());
            fs::write(folder.path().join(wanted.as_str()), bytes.get(..offset).unwrap()).unwrap();
            let (sender, pieces) = channel(2);
            let promise = space.promise(0, 0).unwrap();
            let received = std::thread::scope(|scope| {
                let receiving = scope.spawn(|| spool.receive(offset as u64, pieces, promise));
                for piece in bytes.get(offset..).unwrap().chunks(piece) {
                    sender.blocking_send(Bytes::copy_from_slice(piece)).unwrap();
                }
                drop(sender);
                receiving.join().unwrap().unwrap()
            });
            assert_eq!((received.size, &received.sha256), (bytes.len() as u64, &wanted), "{offset}");
            assert!(fs::read(folder.path().join(wanted.as_str())).unwrap() == bytes, "{offset}");
            assert!(ended.try_recv().is_err_and(|it| it == oneshot::error::TryRecvError::Empty));
            received.spool.discard();
            assert!(ended.try_recv().is_err_and(|it| it == oneshot::error::TryRecvError::Closed));
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }
}
