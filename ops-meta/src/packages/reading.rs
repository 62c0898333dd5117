//! The bytes of packages, as they were brought and no others.

use std::collections::HashMap;

use ops_wire::HexDigest;

use super::{NotDone, Packages};
use crate::blobs::{Blob, BlobError};
use crate::store::{Actor, Change, Package, PackageChange, Store};

impl Packages {
    /// The blob of a package, as it was brought: one that looks otherwise than when it was last read is read anew.
    pub async fn blob(&self, store: &Store, package: &Package) -> Result<Blob, NotDone> {
        let blob = self.blobs.open_blob(&package.content.sha256).await?;
        if blob.seen == package.content.seen {
            return Ok(blob);
        }
        let mut altered = self.reading.lock().await;
        if let Some(why) = altered.get(&blob.seen) {
            return Err(NotDone::Altered(why.clone()));
        }
        // Another may have read it meanwhile.
        match self.find(&package.build).is_some_and(|it| it.content.seen == blob.seen) {
            true => Ok(blob),
            false => self.read_anew(store, package, blob, &mut altered).await,
        }
    }

    /// Reads the blob to its end, whatever it looks like.
    pub async fn verify(&self, store: &Store, package: &Package) -> Result<(), NotDone> {
        let mut altered = self.reading.lock().await;
        let blob = self.blobs.open_blob(&package.content.sha256).await?;
        self.read_anew(store, package, blob, &mut altered).await.map(drop)
    }

    async fn read_anew(
        &self,
        store: &Store,
        package: &Package,
        mut blob: Blob,
        altered: &mut HashMap<String, String>,
    ) -> Result<Blob, NotDone> {
        let read = tokio::task::spawn_blocking(move || {
            let digest = blob.digest();
            (blob, digest)
        });
        let (blob, digest) =
            read.await.map_err(|_| BlobError::Failed("reading was broken off".to_owned()))?;
        let digest = digest.map_err(BlobError::from)?;
        let wanted = &package.content.sha256;
        if digest.as_ref() == Some(wanted) {
            altered.remove(&blob.seen);
            self.is_seen(store, wanted, &blob.seen).await?;
            return Ok(blob);
        }
        let why = format!(
            "the file of package {} has other bytes than were brought (sha256 {} instead of {wanted}); push the package \
             again, or put its file back from a backup",
            package.build,
            digest.map_or_else(String::new, |it| it.to_string())
        );
        // As it looks it was seen to be right, perhaps; it is not to be served, and a fresh push takes its place.
        self.is_seen(store, wanted, "").await?;
        if altered.insert(blob.seen, why.clone()).is_none() {
            let change = PackageChange::Altered(why.clone());
            let actor = Actor("ops-meta".to_owned());
            store.change(actor, Change::Package { id: package.id, change }).await?;
        }
        Err(NotDone::Altered(why))
    }

    /// Notes what a blob that is right looks like, for all packages that have it.
    pub(super) async fn is_seen(&self, store: &Store, sha256: &HexDigest, seen: &str) -> Result<(), NotDone> {
        store.blob_seen(sha256.clone(), seen.to_owned()).await?;
        for same in self.all().iter().filter(|it| it.content.sha256 == *sha256) {
            let mut package = Package::clone(same);
            package.content.seen = seen.to_owned();
            self.put(package);
        }
        Ok(())
    }
}
