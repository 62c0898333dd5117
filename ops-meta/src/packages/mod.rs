//! Every package, in memory: found by what it is called and by what hosts fetch. Its row and its blob come and go
//! together: a change is whole, and they are made one after the other.

mod not_done;
mod reading;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use ops_wire::HexDigest;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

use crate::blobs::{Blobs, Received};
use crate::domain::package::Build;
use crate::log;
use crate::store::{Actor, Change, NewPackage, Package, PackageChange, PackageState, Store, StoreError};
pub use not_done::NotDone;
use reading::Reading;

/// How long a change waits for others.
const WAIT: Duration = Duration::from_secs(2);

/// All packages, and their bytes.
pub struct Packages {
    table: RwLock<Table>,
    pub blobs: Blobs,
    /// One change at a time: whether a blob is another package's too must not change between the look and the deed.
    change: Mutex<()>,
    reading: Reading,
}

#[derive(Default)]
struct Table {
    all: BTreeMap<Build, Arc<Package>>,
    /// By what hosts fetch.
    paths: HashMap<String, Build>,
}

/// What became of a package that was brought.
pub enum Brought {
    New(Arc<Package>),
    /// The same bytes were there.
    There(Arc<Package>),
}

impl Packages {
    pub fn new(packages: Vec<Package>, blobs: Blobs) -> Self {
        let (table, change, reading) = (RwLock::default(), Mutex::default(), Reading::default());
        let it = Self { table, blobs, change, reading };
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
        self.table().all.values().filter(|package| is_it(&package.build)).cloned().collect()
    }

    fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, package: Package) -> Arc<Package> {
        let (build, package) = (package.build.clone(), Arc::new(package));
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table.paths.insert(build.path(), build.clone());
        table.all.insert(build, package.clone());
        package
    }

    /// Changes in memory what is there now, whatever was there when somebody looked.
    fn update(&self, is_it: impl Fn(&Package) -> bool, change: impl Fn(&Package) -> Package) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        for package in table.all.values_mut().filter(|it| is_it(it)) {
            *package = Arc::new(change(package));
        }
    }

    /// The package as it is now: another may have changed it, or be there under its name.
    fn now(&self, package: &Package) -> Result<Arc<Package>, NotDone> {
        let is_it = |it: &Arc<Package>| it.id == package.id;
        let found = self.find(&package.build).filter(is_it);
        found.ok_or_else(|| StoreError::Missing(format!("package {}", package.build)).into())
    }

    /// To change packages. Whoever cannot in time is told so, however many wait.
    async fn turn(&self) -> Result<MutexGuard<'_, ()>, NotDone> {
        let why = || StoreError::Away("other changes of packages wait for it as well".to_owned());
        Ok(timeout(WAIT, self.change.lock()).await.map_err(|_| why())?)
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
        let _turn = self.turn().await?;
        if let Some(there) = self.find(&new.build) {
            return self.bring_again(store, actor, there, received, new).await;
        }
        let taken = self.table().paths.get(&new.build.path()).cloned();
        if let Some(other) = taken {
            received.spool.discard();
            return Err(NotDone::Taken(Box::new((new.build, other))));
        }
        let is_resumable = received.spool.is_resumable();
        let seen = self.blobs.keep(received).await?;
        new.content.seen = seen.clone();
        let sha256 = new.content.sha256.clone();
        let created = Change::CreatePackage(Box::new(new.clone()));
        let changed = match store.change(actor.clone(), created).await {
            Ok(changed) => changed,
            Err(why) => {
                // As it was before: what came need not come again.
                self.take_back(&sha256, is_resumable).await;
                return Err(why.into());
            }
        };
        let package = self.put(new.kept(changed.id.unwrap_or_default(), actor.0));
        // Whatever other version has these bytes: they lie in another file now.
        if self.has(&sha256, |it| it.id != package.id) {
            self.is_seen(store, &sha256, &seen).await;
        }
        Ok(Brought::New(package))
    }

    /// A blob that became nobody's.
    async fn take_back(&self, sha256: &HexDigest, is_resumable: bool) {
        if self.has(sha256, |_| true) {
            return;
        }
        let taken_back = match is_resumable {
            true => self.blobs.take_back(sha256).await,
            false => self.blobs.remove(sha256).await,
        };
        if let Err(why) = taken_back {
            log::line(
                "blob_of_nobody",
                &[("level", "warning"), ("sha256", sha256.as_str()), ("why", &why.to_string())],
            );
        }
    }

    /// Whether a package of these has the bytes.
    fn has(&self, sha256: &HexDigest, is_one: impl Fn(&Package) -> bool) -> bool {
        self.table().all.values().any(|it| it.content.sha256 == *sha256 && is_one(it))
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
            self.is_seen(store, &there.content.sha256, &seen).await;
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
        let _turn = self.turn().await?;
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
        let id = self.now(package)?.id;
        store.change(actor, Change::Package { id, change: change.clone() }).await?;
        self.update(|it| it.id == id, |it| it.after(&change));
        self.now(package)
    }

    /// Serves it no more, removes its blob, then its row. Where the blob stays, it says so, and why. `missed_by` says who
    /// would miss it at the last moment.
    pub async fn delete(
        &self,
        store: &Store,
        actor: Actor,
        package: &Package,
        missed_by: impl FnOnce(&Build) -> Option<String>,
    ) -> Result<(), NotDone> {
        let _turn = self.turn().await?;
        if let Some(why) = missed_by(&package.build) {
            return Err(NotDone::InUse(package.build.clone(), why));
        }
        let leaving = self.changed(store, actor.clone(), package, PackageChange::Delete).await?;
        let half = |why| NotDone::HalfDeleted(leaving.build.clone(), why);
        let sha256 = &leaving.content.sha256;
        if !self.has(sha256, |it| it.id != leaving.id)
            && let Err(why) = self.blobs.remove(sha256).await
        {
            let failed = PackageChange::DeleteFailed(why.to_string());
            return Err(match self.changed(store, actor, &leaving, failed).await {
                Err(NotDone::Store(why)) => half(why),
                _ => NotDone::NotDeleted(leaving.build.clone(), why),
            });
        }
        let gone = Change::Package { id: leaving.id, change: PackageChange::Gone };
        store.change(actor, gone).await.map_err(half)?;
        self.remove(&leaving.build);
        Ok(())
    }

    /// Blobs that no package has; removed, where that is asked for.
    pub async fn orphans(&self, remove: bool) -> Result<Orphans, NotDone> {
        let _turn = self.turn().await?;
        let of_packages: HashSet<HexDigest> =
            self.table().all.values().map(|it| it.content.sha256.clone()).collect();
        let mut orphans = Orphans::default();
        for (sha256, size) in self.blobs.all().await? {
            if of_packages.contains(&sha256) {
                continue;
            }
            let removed = if remove { self.blobs.remove(&sha256).await } else { Ok(()) };
            match removed {
                Ok(()) => orphans.sizes.push(size),
                Err(why) => orphans.failed.push(format!("the file {sha256} of no package: {why}")),
            }
        }
        Ok(orphans)
    }
}

/// Blobs of no package.
#[derive(Debug, Default)]
pub struct Orphans {
    pub sizes: Vec<u64>,
    /// Why some are still there.
    pub failed: Vec<String>,
}
