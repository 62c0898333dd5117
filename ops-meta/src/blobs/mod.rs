//! The bytes of packages: each blob is a file named by its sha256. It is written aside, read whole, and has its name only
//! then, so that what bears a name is complete.

mod parts;
mod space;
mod spool;
mod underway;

use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{Error, GetResultPayload, ObjectStore, ObjectStoreExt};
use ops_package::{Algorithm, Digesting};
use ops_wire::HexDigest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::shares::{Share, Shares};
use parts::Parts;
use space::Space;
pub use space::{Promise, Short};
pub use spool::{Received, Spool};
use underway::Underway;

/// Below the data folder.
const FOLDER: &str = "packages";
const BLOBS: &str = "blobs";
const UPLOADS: &str = "uploads";
/// Uploads at once: each holds a thread for as long as it comes, and downloads need threads too.
const UPLOADS_MAX: usize = 32;
/// Of one address, which does not keep all others out.
const UPLOADS_PER_ADDRESS_MAX: usize = UPLOADS_MAX / 2;
/// How long a cut upload waits to be gone on with.
const PARTS_KEPT: Duration = Duration::from_secs(24 * 3600);
/// What is read at once.
const BUFFER_BYTES: usize = 1 << 20;

/// Every blob, and what is still on its way.
pub struct Blobs {
    store: LocalFileSystem,
    parts: Arc<Parts>,
    space: Arc<Space>,
    /// For uploads.
    places: Arc<Semaphore>,
    /// Places of each address.
    shares: Arc<Shares>,
}

/// A place among the uploads, until it is dropped.
pub struct Place {
    _permit: OwnedSemaphorePermit,
    _share: Share,
}

/// Why a blob cannot be had, or kept.
#[derive(Debug)]
pub enum BlobError {
    Missing,
    Failed(String),
}

impl fmt::Display for BlobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("its file is not there"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for BlobError {}

impl From<Error> for BlobError {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound { .. } => Self::Missing,
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<io::Error> for BlobError {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// A blob as it lies there.
pub struct Blob {
    pub file: File,
    /// Size, time and inode in one word: as long as it is the same, so are the bytes, as far as anybody can see without
    /// reading them.
    pub seen: String,
}

impl Blob {
    fn of(file: File) -> io::Result<Self> {
        let it = file.metadata()?;
        let seen = format!("{}-{}.{:09}-{}", it.size(), it.mtime(), it.mtime_nsec(), it.ino());
        Ok(Self { file, seen })
    }

    /// The digest of what is there now. Blocks.
    pub fn digest(&mut self) -> io::Result<Option<HexDigest>> {
        let (mut digesting, mut buffer) =
            (Digesting::new(&self.file, Algorithm::Sha256), vec![0; BUFFER_BYTES]);
        while digesting.read(&mut buffer)? > 0 {}
        Ok(digesting.finish().1.sha256)
    }
}

impl Blobs {
    /// Makes the folders where there are none. What nobody can go on with is removed. Blocks.
    pub fn open(data: &Path) -> io::Result<Self> {
        let root = data.join(FOLDER);
        for folder in [BLOBS, UPLOADS] {
            DirBuilder::new().recursive(true).mode(0o700).create(root.join(folder))?;
        }
        let store = LocalFileSystem::new_with_prefix(&root).map_err(io::Error::other)?.with_fsync(true);
        let folder = root.join(UPLOADS);
        let space = Space::of(folder.clone());
        let parts = Arc::new(Parts { folder, underway: Underway::default() });
        parts.remove_nameless()?;
        one_file_system(&root)?;
        Ok(Self {
            store,
            parts,
            space,
            places: Arc::new(Semaphore::new(UPLOADS_MAX)),
            shares: Shares::new(UPLOADS_PER_ADDRESS_MAX),
        })
    }

    /// For an upload from this address; `None`: it has its share, or all are taken.
    pub fn place(&self, from: IpAddr) -> Option<Place> {
        let permit = self.places.clone().try_acquire_owned().ok()?;
        let mut share = self.shares.of(from);
        share.grow(1).then_some(Place { _permit: permit, _share: share })
    }

    /// An upload of a package, whose sha256 may be known; `None`: it is being uploaded already. What comes with it fails
    /// once it has ended, and its file is gone where it is to go. All that are cut are kept up to so many bytes.
    pub fn begin(
        &self,
        package: &str,
        sha256: Option<&HexDigest>,
        kept_bytes_max: u64,
    ) -> Option<(Spool, oneshot::Receiver<()>)> {
        Spool::begin(&self.parts, package, sha256, kept_bytes_max)
    }

    /// How much there is of an upload that was cut. Blocks.
    pub fn offset(&self, sha256: &HexDigest) -> u64 {
        parts::length(&self.parts.folder.join(sha256.as_str()))
    }

    /// Room on the disk for an upload of so many bytes, 0 where nobody knows how many come; beside what others were
    /// promised, and what stays free. Blocks.
    pub fn promise(&self, bytes: u64, reserve: u64) -> Result<Promise, Short> {
        self.space.promise(bytes, reserve)
    }

    /// Removes uploads that were cut, and that nobody went on with for so long; what is being written stays. How large
    /// each was. Blocks.
    pub fn drop_parts(&self, older_than: Duration) -> io::Result<Vec<u64>> {
        self.parts.drop_old(older_than)
    }

    /// Removes uploads that nobody went on with in time. Blocks.
    pub fn forget_old_uploads(&self) -> io::Result<()> {
        self.drop_parts(PARTS_KEPT).map(drop)
    }

    /// Gives what was received its name. In the place of a file of that name, which should have the same bytes.
    pub async fn keep(&self, received: Received) -> Result<String, BlobError> {
        let (sha256, spool) = (received.sha256, received.spool);
        let from = Key::from_iter([UPLOADS, spool.name()]);
        self.store.rename(&from, &key(&sha256)).await?;
        spool.renamed();
        Ok(self.open_blob(&sha256).await?.seen)
    }

    /// Makes an upload of it again, that can be gone on with; unless another is under way already.
    pub async fn take_back(&self, sha256: &HexDigest) -> Result<(), BlobError> {
        let Some(_begun) = self.parts.underway.begin(vec![sha256.to_string()]) else {
            return self.remove(sha256).await;
        };
        Ok(self.store.rename(&key(sha256), &Key::from_iter([UPLOADS, sha256.as_str()])).await?)
    }

    pub async fn open_blob(&self, sha256: &HexDigest) -> Result<Blob, BlobError> {
        let GetResultPayload::File(file, _) = self.store.get(&key(sha256)).await?.payload else {
            return Err(BlobError::Failed("the store of blobs gave no file".to_owned()));
        };
        Ok(Blob::of(file)?)
    }

    /// One that is not there is removed.
    pub async fn remove(&self, sha256: &HexDigest) -> Result<(), BlobError> {
        match self.store.delete(&key(sha256)).await.map_err(BlobError::from) {
            Err(BlobError::Missing) | Ok(()) => Ok(()),
            Err(why) => Err(why),
        }
    }

    /// Every blob there is, and its size.
    pub async fn all(&self) -> Result<Vec<(HexDigest, u64)>, BlobError> {
        let blobs = Key::from(BLOBS);
        let found: Vec<_> = self.store.list(Some(&blobs)).try_collect().await?;
        let named =
            found.iter().filter_map(|it| Some((HexDigest::sha256(it.location.filename()?)?, it.size)));
        Ok(named.collect())
    }
}

/// Whether an upload can become a blob; else that would come out once all its bytes came. Blocks.
fn one_file_system(root: &Path) -> io::Result<()> {
    let name = format!("{}rename", parts::NAMELESS);
    let [from, to] = [UPLOADS, BLOBS].map(|folder| root.join(folder).join(&name));
    let renamed = File::create(&from).and_then(|_| fs::rename(&from, &to));
    for left in [from, to] {
        let _ = fs::remove_file(left);
    }
    match renamed {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            let why = format!("its folders `{UPLOADS}` and `{BLOBS}` have to be on one file system");
            Err(io::Error::new(error.kind(), why))
        }
        // Whatever else is wrong may be mended while the server runs: a full disk, perhaps.
        _ => Ok(()),
    }
}

/// In folders by the first two digits.
fn key(sha256: &HexDigest) -> Key {
    let digits = sha256.as_str();
    Key::from_iter([BLOBS, digits.get(..2).unwrap_or_default(), digits])
}
