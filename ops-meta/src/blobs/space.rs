//! Room on the disk. What uploads under way have still to write is promised to them, and so much stays free: the
//! database lies on the same disk, and whoever wants to make room needs it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::statvfs::statvfs;

/// After so many bytes is looked again: somebody else may write, too.
const LOOK_BYTES: u64 = 1 << 20;

/// The disk, and what of it is promised.
pub struct Space {
    free: Box<dyn Fn() -> io::Result<u64> + Send + Sync>,
    promised: Mutex<u64>,
}

/// What an upload may still write, until this is dropped.
pub struct Promise {
    of: Arc<Space>,
    left: u64,
    reserve: u64,
    /// Written since the disk was looked at.
    unlooked: u64,
}

/// It does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Short {
    free: u64,
    wanted: u64,
    promised: u64,
    reserve: u64,
}

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { free, wanted, promised, reserve } = self;
        write!(
            f,
            "{free} bytes are free, {wanted} are wanted, {promised} more are for other uploads under way, and {reserve} \
             stay free (`diskReserveBytes`)"
        )
    }
}

impl std::error::Error for Short {}

impl Space {
    /// Of the disk with this folder.
    pub fn of(folder: PathBuf) -> Arc<Self> {
        Self::with(move || {
            let it = statvfs(&folder)?;
            Ok(it.blocks_available() * it.fragment_size())
        })
    }

    fn with(free: impl Fn() -> io::Result<u64> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { free: Box::new(free), promised: Mutex::default() })
    }

    /// So many bytes, 0 where nobody knows how many come. Blocks.
    pub fn promise(self: &Arc<Self>, wanted: u64, reserve: u64) -> Result<Promise, Short> {
        let mut promised = self.promised();
        self.look(wanted, *promised, reserve)?;
        *promised = promised.saturating_add(wanted);
        Ok(Promise { of: self.clone(), left: wanted, reserve, unlooked: 0 })
    }

    /// Where nobody can tell what is free, it is seen when it is written.
    fn look(&self, wanted: u64, promised: u64, reserve: u64) -> Result<(), Short> {
        let needed = wanted.saturating_add(promised).saturating_add(reserve);
        match (self.free)() {
            Ok(free) if free < needed => Err(Short { free, wanted, promised, reserve }),
            _ => Ok(()),
        }
    }

    /// Nothing panics while it is locked.
    fn promised(&self) -> MutexGuard<'_, u64> {
        self.promised.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Promise {
    /// So much of it is written; whether there may be more. Blocks.
    pub fn wrote(&mut self, bytes: u64) -> io::Result<()> {
        self.give_back(bytes);
        self.unlooked += bytes;
        if self.unlooked < LOOK_BYTES {
            return Ok(());
        }
        self.unlooked = 0;
        self.of.look(0, 0, self.reserve).map_err(|short| io::Error::new(io::ErrorKind::StorageFull, short))
    }

    fn give_back(&mut self, bytes: u64) {
        let bytes = bytes.min(self.left);
        self.left -= bytes;
        let mut promised = self.of.promised();
        *promised = promised.saturating_sub(bytes);
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.give_back(self.left);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use super::*;

    #[test]
    fn what_is_promised_is_promised_once_and_the_reserve_to_nobody() {
        let free = Arc::new(AtomicU64::new(100 << 20));
        let seen = free.clone();
        let space = Space::with(move || Ok(seen.load(Relaxed)));
        let promise = |mib: u64| space.promise(mib << 20, 40 << 20);
        assert!(promise(61).is_err());
        let mut first = promise(50).unwrap();
        assert!(promise(11).is_err(), "10 are left");
        let second = promise(10).unwrap();
        // What is written is free no more, and promised no more.
        free.fetch_sub(30 << 20, Relaxed);
        first.wrote(30 << 20).unwrap();
        assert!(promise(1).is_err());
        drop(second);
        assert!(promise(10).is_ok());
        // Somebody else writes.
        free.store((40 << 20) - 1, Relaxed);
        first.wrote(1000).unwrap();
        let error = first.wrote(1 << 20).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(error.to_string().contains("`diskReserveBytes`"), "{error}");
        drop(first);
        assert_eq!(*space.promised(), 0);
    }

    #[test]
    fn where_nobody_knows_how_many_come_it_is_looked_while_they_do() {
        let space = Space::with(|| Ok(10));
        assert!(space.promise(0, 11).is_err());
        let mut promise = space.promise(0, 10).unwrap();
        assert!(promise.wrote(5 << 20).is_ok());
        assert!(Space::with(|| Err(io::ErrorKind::Other.into())).promise(u64::MAX, 1).is_ok());
    }
}
