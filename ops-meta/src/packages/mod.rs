//! Every package, in memory: found by what it is called and by what hosts fetch. Its row and its blob come and go
//! together: a change is whole, and they are made one after the other.

mod reading;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::Mutex;

use crate::blobs::{BlobError, Blobs, Received};
use crate::clock::now_ms;
use crate::domain::package::Build;
use crate::store::{Actor, Change, NewPackage, Package, PackageChange, PackageState, Store, StoreError};

/// All packages, and their bytes.
pub struct Packages {
    table: RwLock<Table>,
    pub blobs: Blobs,
    /// One change at a time: whether a blob is another package's too must not change between the look and the deed.
    change: Mutex<()>,
    /// One blob at a time is read anew, and whoever else wants it waits for the outcome. Files that were found to have other
    /// bytes: they are not read again for everybody who asks.
    reading: Mutex<HashMap<String, String>>,
}

#[derive(Default)]
struct Table {
    all: BTreeMap<Build, Arc<Package>>,
    /// By what hosts fetch.
    paths: HashMap<String, Build>,
}

/// Why a package is not there, or not as wanted.
#[derive(Debug)]
pub enum NotDone {
    Store(StoreError),
    Blob(BlobError),
    /// Other bytes lie under this version.
    Differs(Arc<Package>),
    /// It is on its way out.
    Leaving(Arc<Package>),
    /// Hosts would fetch it by the same path as this other one.
    Taken(Build, Build),
    /// Its blob has other bytes than were brought.
    Altered(String),
    /// Its blob stays.
    NotDeleted(Build, BlobError),
}

impl From<StoreError> for NotDone {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<BlobError> for NotDone {
    fn from(error: BlobError) -> Self {
        Self::Blob(error)
    }
}

impl fmt::Display for NotDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Blob(error) => error.fmt(f),
            Self::Differs(package) => write!(
                f,
                "package {} is there with other bytes (sha256 {}); a version never changes: take another one",
                package.build, package.content.sha256
            ),
            Self::Leaving(package) => {
                write!(
                    f,
                    "package {} is being deleted; delete it again, or wait until it is gone",
                    package.build
                )
            }
            Self::Taken(build, other) => write!(
                f,
                "package {build} would be fetched as `/packages/{}`, as package {other} is, which is there; take another \
                 version",
                build.path()
            ),
            Self::Altered(why) => f.write_str(why),
            Self::NotDeleted(build, why) => write!(
                f,
                "package {build} is served no more, and its file is still there: {why}; mend that and delete it again"
            ),
        }
    }
}

impl std::error::Error for NotDone {}

/// What became of a package that was brought.
pub enum Brought {
    New(Arc<Package>),
    /// The same bytes were there.
    There(Arc<Package>),
}

impl Packages {
    pub fn new(packages: Vec<Package>, blobs: Blobs) -> Self {
        let it =
            Self { table: RwLock::default(), blobs, change: Mutex::default(), reading: Mutex::default() };
        packages.into_iter().for_each(|package| _ = it.put(package));
        it
    }

    pub fn find(&self, build: &Build) -> Option<Arc<Package>> {
        self.table().all.get(build).cloned()
    }

    /// What is served under a path below `/packages/`.
    pub fn served(&self, path: &str) -> Option<Arc<Package>> {
        let table = self.table();
        let package = table.all.get(table.paths.get(path)?)?;
        (package.state == PackageState::Ready).then(|| package.clone())
    }

    /// In the order of their names, versions and platforms.
    pub fn all(&self) -> Vec<Arc<Package>> {
        self.table().all.values().cloned().collect()
    }

    /// Every build of a version; none: there is no such version.
    pub fn builds(&self, name: &str, version: &str) -> Vec<Arc<Package>> {
        let is_it = |build: &Build| build.name.as_str() == name && build.version.as_str() == version;
        self.all().into_iter().filter(|package| is_it(&package.build)).collect()
    }

    fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, package: Package) -> Arc<Package> {
        let (package, build) = (Arc::new(package.clone()), package.build);
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table.paths.insert(build.path(), build.clone());
        table.all.insert(build, package.clone());
        package
    }

    fn remove(&self, build: &Build) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table.paths.remove(&build.path());
        table.all.remove(build);
    }

    /// Keeps the bytes, then the row: not to be broken off in between.
    pub async fn bring(
        &self,
        store: &Store,
        actor: Actor,
        received: Received,
        mut new: NewPackage,
    ) -> Result<Brought, NotDone> {
        let _one_at_a_time = self.change.lock().await;
        if let Some(there) = self.find(&new.build) {
            return self.bring_again(store, actor, there, received, new).await;
        }
        if let Some(other) = self.table().paths.get(&new.build.path()).cloned() {
            received.spool.discard();
            return Err(NotDone::Taken(new.build, other));
        }
        let seen = self.blobs.keep(received).await?;
        new.content.seen = seen.clone();
        let created = Change::CreatePackage(Box::new(new.clone()));
        let changed = store.change(actor.clone(), created).await?;
        let at = changed.event.map_or_else(now_ms, |event| event.at);
        let sha256 = new.content.sha256.clone();
        let package = self.put(new.kept(changed.id.unwrap_or_default(), at, actor.0));
        // Of whatever other version has these bytes: they lie in another file now. Where that is not noted it is read anew.
        let _ = self.is_seen(store, &sha256, &seen).await;
        Ok(Brought::New(package))
    }

    /// A signature may come later than the bytes. A file that is gone or looks otherwise is put back.
    async fn bring_again(
        &self,
        store: &Store,
        actor: Actor,
        there: Arc<Package>,
        received: Received,
        new: NewPackage,
    ) -> Result<Brought, NotDone> {
        // Nobody is to go on with what is not wanted.
        if there.state != PackageState::Ready {
            received.spool.discard();
            return Err(NotDone::Leaving(there));
        }
        if there.content.sha256 != new.content.sha256 {
            received.spool.discard();
            return Err(NotDone::Differs(there));
        }
        let blob = self.blobs.open_blob(&there.content.sha256).await;
        if blob.is_ok_and(|blob| blob.seen == there.content.seen) {
            received.spool.discard();
        } else {
            let seen = self.blobs.keep(received).await?;
            self.is_seen(store, &there.content.sha256, &seen).await?;
        }
        let signature = new.signature.filter(|it| there.signature.as_ref() != Some(it));
        match signature {
            None => Ok(Brought::There(there)),
            Some(it) => {
                Ok(Brought::There(self.changed(store, actor, &there, PackageChange::Sign(it)).await?))
            }
        }
    }

    /// Changes what is known of a package.
    pub async fn mark(
        &self,
        store: &Store,
        actor: Actor,
        package: &Package,
        change: PackageChange,
    ) -> Result<Arc<Package>, NotDone> {
        let _one_at_a_time = self.change.lock().await;
        self.changed(store, actor, package, change).await
    }

    /// In the database, then in memory.
    async fn changed(
        &self,
        store: &Store,
        actor: Actor,
        package: &Package,
        change: PackageChange,
    ) -> Result<Arc<Package>, NotDone> {
        let (id, after) = (package.id, package.after(&change));
        store.change(actor, Change::Package { id, change }).await?;
        Ok(self.put(after))
    }

    /// Serves it no more, removes its blob, then its row. Where the blob stays, it says so, and why.
    pub async fn delete(&self, store: &Store, actor: Actor, package: &Package) -> Result<(), NotDone> {
        let _one_at_a_time = self.change.lock().await;
        let leaving = self.changed(store, actor.clone(), package, PackageChange::Delete).await?;
        let sha256 = &leaving.content.sha256;
        let others = self.all().iter().any(|it| it.id != leaving.id && it.content.sha256 == *sha256);
        if !others && let Err(why) = self.blobs.remove(sha256).await {
            let failed = PackageChange::DeleteFailed(why.to_string());
            self.changed(store, actor, &leaving, failed).await?;
            return Err(NotDone::NotDeleted(leaving.build.clone(), why));
        }
        store.change(actor, Change::Package { id: leaving.id, change: PackageChange::Gone }).await?;
        self.remove(&leaving.build);
        Ok(())
    }

    /// Blobs that no package has, and their sizes; removed, where that is asked for.
    pub async fn orphans(&self, remove: bool) -> Result<Vec<u64>, NotDone> {
        let _one_at_a_time = self.change.lock().await;
        let packages = self.all();
        let mut sizes = Vec::new();
        for (sha256, size) in self.blobs.all().await? {
            if packages.iter().any(|it| it.content.sha256 == sha256) {
                continue;
            }
            if remove {
                self.blobs.remove(&sha256).await?;
            }
            sizes.push(size);
        }
        Ok(sizes)
    }
}
