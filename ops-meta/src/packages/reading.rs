//! The bytes of packages, as they were brought and no others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ops_wire::HexDigest;
use tokio::sync::Mutex as Queue;
use tokio::time::timeout;

use super::{NotDone, Packages};
use crate::blobs::{Blob, BlobError};
use crate::log;
use crate::store::{Actor, Change, Package, PackageChange, Store};

/// How long it is waited for other files that are read: hosts wait for the first byte for half a minute.
const WAIT: Duration = Duration::from_secs(10);

/// What is read anew, and what came of it.
#[derive(Default)]
pub struct Reading {
    /// One file at a time is read for those who fetch it.
    fetched: Arc<Queue<()>>,
    /// One file at a time is read because somebody asked for that.
    asked_for: Queue<()>,
    /// Blobs that were found to have other bytes: what their file looks like, and what is told of it.
    altered: Mutex<HashMap<HexDigest, (String, String)>>,
}

impl Packages {
    /// The blob of a package, as it was brought: one that looks otherwise than when it was last read is read anew, to its
    /// end also where nobody waits for it any more.
    pub async fn blob(self: &Arc<Self>, store: &Store, package: &Arc<Package>) -> Result<Blob, NotDone> {
        if let Ok(blob) = self.known(package).await? {
            return Ok(blob);
        }
        // Whoever waits has no file open meanwhile.
        let queue = self.reading.fetched.clone().lock_owned();
        let turn = timeout(WAIT, queue).await.map_err(|_| NotDone::Reading)?;
        let blob = match self.known(package).await? {
            Ok(blob) => return Ok(blob),
            Err(blob) => blob,
        };
        let (this, store, package) = (self.clone(), store.clone(), package.clone());
        let reading = tokio::spawn(async move {
            let _turn = turn;
            this.read_anew(&store, &package, blob).await
        });
        reading.await.map_err(|_| broken_off())?
    }

    /// The blob, `Ok` where it is known to be right; `Err` where that is not known.
    async fn known(&self, package: &Package) -> Result<Result<Blob, Blob>, NotDone> {
        let sha256 = &package.content.sha256;
        let blob = self.blobs.open_blob(sha256).await?;
        if self.find(&package.build).is_some_and(|it| it.content.seen == blob.seen) {
            return Ok(Ok(blob));
        }
        match self.is_altered(sha256, &blob.seen) {
            Some(why) => Err(NotDone::Altered(why)),
            None => Ok(Err(blob)),
        }
    }

    /// Reads the blob to its end, whatever it looks like.
    pub async fn verify(&self, store: &Store, package: &Package) -> Result<(), NotDone> {
        let _turn = self.reading.asked_for.lock().await;
        let blob = self.blobs.open_blob(&package.content.sha256).await?;
        self.read_anew(store, package, blob).await.map(drop)
    }

    /// What was found is so at once; that the database takes a note of it is another matter.
    async fn read_anew(&self, store: &Store, package: &Package, mut blob: Blob) -> Result<Blob, NotDone> {
        let read = tokio::task::spawn_blocking(move || {
            let digest = blob.digest();
            (blob, digest)
        });
        let (blob, digest) = read.await.map_err(|_| broken_off())?;
        let digest = digest.map_err(BlobError::from)?;
        let wanted = &package.content.sha256;
        if digest.as_ref() == Some(wanted) {
            self.altered().remove(wanted);
            self.is_seen(store, wanted, &blob.seen).await;
            return Ok(blob);
        }
        let why = format!(
            "the file of package {} has other bytes than were brought (sha256 {} instead of {wanted}); push the package \
             again, or put its file back from a backup",
            package.build,
            digest.map_or_else(String::new, |it| it.to_string())
        );
        let known = self.altered().insert(wanted.clone(), (blob.seen.clone(), why.clone()));
        // As it looks it was seen to be right, perhaps; it is not to be served, and a fresh push takes its place.
        self.is_seen(store, wanted, "").await;
        if known.is_none_or(|(seen, _)| seen != blob.seen) {
            let change = PackageChange::Altered(why.clone());
            let actor = Actor("ops-meta".to_owned());
            if let Err(away) = store.change(actor, Change::Package { id: package.id, change }).await {
                let fields = [("level", "error"), ("why", &*why), ("noEvent", &*away.to_string())];
                log::line("package_altered", &fields);
            }
        }
        Err(NotDone::Altered(why))
    }

    /// Notes what the file of a blob looks like that has the right bytes, for all packages that have it; empty: there is none.
    pub(super) async fn is_seen(&self, store: &Store, sha256: &HexDigest, seen: &str) {
        let with_seen = |it: &Package| {
            let mut it = it.clone();
            seen.clone_into(&mut it.content.seen);
            it
        };
        self.update(|it| it.content.sha256 == *sha256, with_seen);
        // Without the note it is read once more, after a restart.
        if let Err(why) = store.blob_seen(sha256.clone(), seen.to_owned()).await {
            log::line("blob_not_noted", &[("level", "warning"), ("why", &why.to_string())]);
        }
    }

    fn is_altered(&self, sha256: &HexDigest, seen: &str) -> Option<String> {
        let altered = self.altered();
        altered.get(sha256).filter(|(known, _)| known == seen).map(|(_, why)| why.clone())
    }

    /// Nothing panics while it is locked.
    fn altered(&self) -> std::sync::MutexGuard<'_, HashMap<HexDigest, (String, String)>> {
        self.reading.altered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn broken_off() -> BlobError {
    BlobError::Failed("reading was broken off".to_owned())
}
