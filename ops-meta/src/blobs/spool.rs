//! An upload, while it comes: a file aside. One whose sha256 is told beforehand is kept when it is cut, and goes on later.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use ops_package::{Algorithm, Digesting};
use ops_wire::HexDigest;
use tokio::sync::mpsc::Receiver;

/// How long a cut upload waits to be gone on with.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// Of one that has no name yet; those of a run that has ended are of no use.
const NAMELESS: &str = "nameless-";

/// The file of one upload. Dropped, it goes, unless somebody can go on with it.
pub struct Spool {
    path: PathBuf,
    /// Whether the file stays when this is dropped.
    stays: bool,
    _begun: Begun,
}

/// What is being uploaded: nobody else uploads the same meanwhile.
#[derive(Default)]
pub struct Underway(Arc<Mutex<HashSet<String>>>);

/// These are being uploaded, until this is dropped.
struct Begun {
    all: Arc<Mutex<HashSet<String>>>,
    names: Vec<String>,
}

impl Underway {
    /// `None`: one of them is being uploaded already.
    fn begin(&self, names: Vec<String>) -> Option<Begun> {
        let mut all = locked(&self.0);
        if names.iter().any(|name| all.contains(name)) {
            return None;
        }
        all.extend(names.iter().cloned());
        Some(Begun { all: self.0.clone(), names })
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let mut all = locked(&self.all);
        self.names.iter().for_each(|name| _ = all.remove(name));
    }
}

/// Nothing panics while it is locked.
fn locked(all: &Mutex<HashSet<String>>) -> MutexGuard<'_, HashSet<String>> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A whole upload.
pub struct Received {
    pub spool: Spool,
    pub size: u64,
    pub sha256: HexDigest,
    pub md5: HexDigest,
}

/// How much of an upload is there. Blocks.
pub fn offset(folder: &Path, sha256: &HexDigest) -> u64 {
    length(&folder.join(sha256.as_str()))
}

fn length(path: &Path) -> u64 {
    fs::symlink_metadata(path).map_or(0, |it| it.len())
}

/// Removes what a run before left. Blocks.
pub fn remove_nameless(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().and_then(|it| it.to_str()).is_some_and(|it| it.starts_with(NAMELESS)) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Removes what nobody went on with in time. Blocks.
pub fn remove_old(folder: &Path) -> io::Result<()> {
    let now = SystemTime::now();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let age = entry.metadata()?.modified().ok().and_then(|it| now.duration_since(it).ok());
        if age.is_some_and(|age| age > KEPT) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

impl Spool {
    /// Of this package, whose sha256 may be known; `None`: it is being uploaded already.
    pub fn begin(
        underway: &Underway,
        folder: &Path,
        package: &str,
        sha256: Option<&HexDigest>,
    ) -> Option<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = match sha256 {
            Some(sha256) => sha256.to_string(),
            None => format!("{NAMELESS}{}", NEXT.fetch_add(1, Ordering::Relaxed)),
        };
        let begun = underway.begin(vec![package.to_owned(), name.clone()])?;
        Some(Self { path: folder.join(name), stays: sha256.is_some(), _begun: begun })
    }

    /// Whether somebody can go on with it where it is cut.
    pub fn is_resumable(&self) -> bool {
        self.stays
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
        self.stays = true;
    }

    /// Nobody is to go on with it: it is wrong.
    pub fn discard(mut self) {
        self.stays = false;
    }

    /// Writes what comes, behind the first `offset` bytes, and digests all of it. Blocks until there is no more.
    pub fn receive(mut self, offset: u64, pieces: Receiver<Bytes>) -> io::Result<Received> {
        match self.write(offset, pieces) {
            Ok((size, sha256, md5)) => Ok(Received { spool: self, size, sha256, md5 }),
            Err(error) => {
                // A full disk needs the room more.
                self.stays = false;
                Err(error)
            }
        }
    }

    fn write(&self, offset: u64, mut pieces: Receiver<Bytes>) -> io::Result<(u64, HexDigest, HexDigest)> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(&self.path)?;
        file.set_len(offset)?;
        let there = BufReader::with_capacity(super::BUFFER_BYTES, (&file).take(offset));
        let mut digesting = Digesting::new(Digesting::new(io::sink(), Algorithm::Md5), Algorithm::Sha256);
        io::copy(&mut { there }, &mut digesting)?;
        file.seek(SeekFrom::Start(offset))?;
        while let Some(piece) = pieces.blocking_recv() {
            file.write_all(&piece)?;
            digesting.write_all(&piece)?;
        }
        file.sync_all()?;
        let (inner, outer) = digesting.finish();
        let digests = outer.sha256.zip(inner.finish().1.md5);
        let (sha256, md5) = digests.ok_or_else(|| io::Error::other("there are no digests"))?;
        Ok((outer.bytes, sha256, md5))
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if !self.stays {
            let _ = fs::remove_file(&self.path);
        }
    }
}
