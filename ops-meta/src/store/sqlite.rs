//! The file: opened, brought to the present schema, read and written in transactions.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::{StoreError, Unopened};
use super::holder;
use crate::readiness::Readiness;

/// The database in the data folder.
pub const FILE: &str = "ops-meta.db";
/// What was written last, beside it: SQLite makes it at the first look and keeps it while the database is open.
const LOG: &str = "ops-meta.db-wal";
/// Held while a server uses the folder, and while a backup is put into it.
pub const LOCK: &str = "lock";
/// "OPSM", in the header of the file (`PRAGMA application_id`).
const APPLICATION_ID: i64 = 0x4f50_534d;
/// Forward only. A line that was released is never changed.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001_first.sql"),
    include_str!("../../migrations/0002_events.sql"),
    include_str!("../../migrations/0003_packages.sql"),
    include_str!("../../migrations/0004_desired.sql"),
    include_str!("../../migrations/0005_rollouts.sql"),
    include_str!("../../migrations/0006_freezes_and_jobs.sql"),
];
/// How long a lock of another program is waited for, and with it those who come before.
const BUSY: Duration = Duration::from_secs(2);
/// Connections that are kept for reading; more are opened when needed.
const READERS_KEPT: usize = 4;

/// What a commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A power cut.
    Power,
    /// The end of this process; a power cut may cost the last commits.
    Process,
}

/// One open database. One connection writes, others read beside it.
pub struct Sqlite {
    path: PathBuf,
    /// Of the file that is open.
    identity: Identity,
    /// Of the log, once it is there.
    log: OnceLock<Identity>,
    writer: Mutex<Connection>,
    /// One permit. Whoever waits for it holds no thread.
    turns: Arc<Semaphore>,
    /// Hears of every write whether it was done.
    pub readiness: Arc<Readiness>,
    readers: Mutex<Vec<Connection>>,
    _lock: FolderLock,
}

/// The right to write, for one at a time in the order in which they came.
#[derive(Clone)]
pub struct Turn {
    /// So long a lock of another program is waited for.
    until: Instant,
    _permit: Arc<OwnedSemaphorePermit>,
}

/// The data folder is ours until this is dropped.
pub struct FolderLock {
    _file: Flock<File>,
}

impl FolderLock {
    /// Makes the folder where there is none.
    pub fn take(folder: &Path) -> Result<Self, Unopened> {
        let failed = |error| Unopened::Folder(folder.to_owned(), error);
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let file = File::options().create(true).truncate(false).write(true).open(folder.join(LOCK));
        let locked = Flock::lock(file.map_err(failed)?, FlockArg::LockExclusiveNonblock);
        let file = locked.map_err(|(file, errno)| match errno {
            nix::Error::EWOULDBLOCK => Unopened::InUse(folder.to_owned(), holder::of(&file)),
            errno => failed(errno.into()),
        })?;
        Ok(Self { _file: file })
    }
}

impl Sqlite {
    pub fn open(folder: &Path) -> Result<Self, Unopened> {
        let lock = FolderLock::take(folder)?;
        let path = folder.join(FILE);
        let mut writer = Connection::open(&path).map_err(|error| unopened(&path, error))?;
        let version = recognised(&path, &writer)?;
        prepare(&mut writer, version).map_err(|error| unopened(&path, error))?;
        let identity = identity(&path).map_err(|error| Unopened::Folder(folder.to_owned(), error))?;
        let opened = Self {
            path,
            identity,
            log: OnceLock::new(),
            writer: Mutex::new(writer),
            turns: Arc::new(Semaphore::new(1)),
            readiness: Arc::default(),
            readers: Mutex::default(),
            _lock: lock,
        };
        opened.log_is_in_its_place();
        Ok(opened)
    }

    /// Waits for it no longer than a write may take.
    pub async fn turn(&self) -> Result<Turn, StoreError> {
        let until = Instant::now() + BUSY;
        match tokio::time::timeout_at(until.into(), self.turns.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Turn { until, _permit: Arc::new(permit) }),
            _ => {
                let why = "other changes wait for it as well; perhaps another program has locked it";
                Err(StoreError::Away(why.to_owned()))
            }
        }
    }

    /// Reads a state of the database that no write changes meanwhile.
    pub async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let this = self.clone();
        blocking(move || {
            let mut reader = this.reader()?;
            let transaction = reader.transaction()?;
            let found = read(&transaction)?;
            drop(transaction);
            this.put_back(reader);
            Ok(found)
        })
        .await
    }

    /// Writes all of it or nothing.
    pub async fn write<T: Send + 'static>(
        self: &Arc<Self>,
        durability: Durability,
        write: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_then(self.turn().await?, durability, write, || ()).await
    }

    /// The same, when it is its turn; what is to be done `then`, in memory, is done before anybody else writes.
    pub async fn write_then<T: Send + 'static>(
        self: &Arc<Self>,
        turn: Turn,
        durability: Durability,
        write: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
        then: impl FnOnce() + Send + 'static,
    ) -> Result<T, StoreError> {
        let this = self.clone();
        blocking(move || {
            let mut writer = this.writer.lock().unwrap_or_else(PoisonError::into_inner);
            this.is_in_its_place(&writer)?;
            writer.busy_timeout(turn.until.saturating_duration_since(Instant::now()))?;
            let synchronous = match durability {
                Durability::Power => "FULL",
                Durability::Process => "NORMAL",
            };
            writer.pragma_update(None, "synchronous", synchronous)?;
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let written = write(&transaction)?;
            transaction.commit()?;
            then();
            // Here, since whoever waits for it may be gone.
            drop(turn);
            Ok(written)
        })
        .await
        .inspect(|_| self.readiness.has("database"))
        .inspect_err(|error| self.is_unready(error))
    }

    /// What contradicts what is there says nothing of the database.
    fn is_unready(&self, error: &StoreError) {
        match error {
            StoreError::Missing(_) | StoreError::Conflict(_) => {}
            error => self.readiness.lacks("database", error.to_string()),
        }
    }

    /// What is written into a file that was moved or removed would be gone with the next start.
    fn is_in_its_place(&self, writer: &Connection) -> Result<(), StoreError> {
        if identity(&self.path).ok() != Some(self.identity) {
            let why = "ops-meta.db was moved, removed or replaced while it is in use; put it back, or restart ops-meta";
            return Err(StoreError::Away(why.to_owned()));
        }
        if self.log_is_in_its_place() {
            return Ok(());
        }
        // What was written before is brought to where the next start finds it. Where that fails it is tried again.
        let _ = writer.query_row("PRAGMA wal_checkpoint", [], |_| Ok(()));
        let why = format!("{LOG} was moved, removed or replaced while it is in use; restart ops-meta");
        Err(StoreError::Away(why))
    }

    /// Once it was seen it stays where it is, and the same. A log that has no name any more is written all the same, and
    /// gone with the next start.
    fn log_is_in_its_place(&self) -> bool {
        match (self.log.get(), identity(&self.path.with_file_name(LOG))) {
            (Some(known), Ok(found)) => *known == found,
            (Some(_), Err(_)) => false,
            (None, Ok(found)) => *self.log.get_or_init(|| found) == found,
            (None, Err(_)) => true,
        }
    }

    /// A connection for reading, for a while.
    pub fn reader(&self) -> Result<Connection, StoreError> {
        let kept = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(reader) = kept {
            return Ok(reader);
        }
        // A database that was moved away is not made anew.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(&self.path, flags)?;
        reader.pragma_update(None, "query_only", true)?;
        reader.busy_timeout(BUSY)?;
        Ok(reader)
    }

    fn put_back(&self, reader: Connection) {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < READERS_KEPT {
            readers.push(reader);
        }
    }
}

/// Device and inode.
type Identity = (u64, u64);

fn identity(path: &Path) -> std::io::Result<Identity> {
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(StoreError::Away("the work on it was broken off".to_owned())))
}

pub fn unopened(path: &Path, error: rusqlite::Error) -> Unopened {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => Unopened::NotOurs(path.to_owned()),
        Some(ErrorCode::DatabaseCorrupt) => Unopened::Damaged(path.to_owned(), error.to_string()),
        _ => Unopened::Failed(path.to_owned(), error),
    }
}

/// The version of the schema, once it is clear that the file is ours. Writes nothing.
pub fn recognised(path: &Path, connection: &Connection) -> Result<i64, Unopened> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let failed = |error| unopened(path, error);
    connection.busy_timeout(BUSY).map_err(failed)?;
    let application = number("PRAGMA application_id").map_err(failed)?;
    let found = number("PRAGMA user_version").map_err(failed)?;
    let objects = number("SELECT count(*) FROM sqlite_schema").map_err(failed)?;
    let known = MIGRATIONS.len() as i64;
    match (application, found) {
        (0, 0) if objects == 0 => Ok(0),
        (APPLICATION_ID, _) if found > known => Err(Unopened::Newer { path: path.to_owned(), found, known }),
        (APPLICATION_ID, 1..) => Ok(found),
        _ => Err(Unopened::NotOurs(path.to_owned())),
    }
}

fn prepare(connection: &mut Connection, version: i64) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    // A burst of writes leaves no large file behind.
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    for (migration, version) in MIGRATIONS.iter().zip(1_i64..).skip(version as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}
