#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;

use super::*;
use crate::domain::role::Role;
use crate::store::{Actor, Batch, Change, EventsAsked, HostId, HostRow, HostWrite, NewToken, Store};

/// Two folders: one for the database, one for its backups.
struct House {
    data: TempDir,
    elsewhere: TempDir,
}

impl House {
    fn new() -> Self {
        Self { data: TempDir::new().unwrap(), elsewhere: TempDir::new().unwrap() }
    }

    fn store(&self) -> Store {
        Store::open(self.data.path()).unwrap()
    }

    fn backup(&self) -> PathBuf {
        self.elsewhere.path().join("a b%?#.db")
    }

    fn back_up(&self, existing: Existing) -> Result<u64, NotCopied> {
        back_up(self.data.path(), &self.backup(), existing)
    }

    fn restore(&self) -> Result<Restored, NotCopied> {
        restore(self.data.path(), &self.backup(), "TIME")
    }

    /// Every file but the lock, and what is in it.
    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let entries = fs::read_dir(self.data.path()).unwrap().flatten();
        let named = entries.map(|it| (it.file_name().into_string().unwrap(), fs::read(it.path()).unwrap()));
        let mut files: Vec<_> = named.filter(|(name, _)| name != "lock").collect();
        files.sort();
        files
    }

    fn names(&self) -> Vec<String> {
        self.files().into_iter().map(|(name, _)| name).collect()
    }
}

fn token(name: &str) -> Change {
    let mut hash = [0; 32];
    for (to, from) in hash.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    Change::CreateToken(NewToken {
        name: name.to_owned(),
        role: Role::Viewer,
        hostname: None,
        hash,
        expires: None,
    })
}

async fn create(store: &Store, name: &str) {
    store.change(Actor("a test".to_owned()), token(name)).await.unwrap();
}

async fn names(store: &Store) -> Vec<String> {
    store.tokens().await.unwrap().into_iter().map(|token| token.name).collect()
}

fn host(id: HostId) -> Batch {
    let row = HostRow {
        id,
        hostname: format!("host{id}").into(),
        first_seen: 1,
        last_seen: 2,
        revived: 0,
        ip: String::new(),
        report_hash: 0,
        machine_id: String::new(),
        facts: "{}".into(),
        agents: "[]".into(),
    };
    Batch { changed: vec![HostWrite { row, report: None, history: Vec::new() }], ..Batch::default() }
}

#[tokio::test]
async fn a_backup_brings_back_what_was_and_keeps_what_is() {
    let house = House::new();
    let store = house.store();
    create(&store, "before").await;
    store.flush(|| host(1)).await.unwrap();
    let bytes = house.back_up(Existing::Kept).unwrap();
    let found = house.backup().metadata().unwrap();
    assert_eq!((found.len(), found.permissions().mode() & 0o777), (bytes, 0o600));
    create(&store, "after").await;
    drop(store);

    let restored = house.restore().unwrap();
    assert_eq!((restored.bytes, restored.hosts, restored.generation), (bytes, 1, 1));
    assert!(restored.newest_event.is_some());
    assert_eq!(restored.aside, Some(house.data.path().join("ops-meta.db.before-restore-TIME")));
    assert_eq!(house.names(), ["ops-meta.db", "ops-meta.db.before-restore-TIME"]);
    assert_eq!(names(&house.store()).await, ["before"]);

    // The way back is the same one.
    fs::copy(restored.aside.unwrap(), house.backup()).unwrap();
    restore(house.data.path(), &house.backup(), "LATER").unwrap();
    assert_eq!(names(&house.store()).await, ["before", "after"]);
}

#[tokio::test]
async fn a_backup_under_load_is_one_state_of_the_database() {
    let house = House::new();
    let store = house.store();
    let ended = Arc::new(AtomicBool::new(false));
    let (stop, writer) = (ended.clone(), store.clone());
    let writing = tokio::spawn(async move {
        let mut written = 0_u64;
        while !stop.load(Ordering::Relaxed) {
            create(&writer, &format!("token {written}")).await;
            writer.flush(move || host(written as HostId)).await.unwrap();
            written += 1;
        }
        written
    });
    let mut seen = Vec::new();
    for _ in 0..5 {
        let (data, file) = (house.data.path().to_owned(), house.backup());
        tokio::task::spawn_blocking(move || back_up(&data, &file, Existing::Replaced))
            .await
            .unwrap()
            .unwrap();
        let copy = TempDir::new().unwrap();
        let restored = restore(copy.path(), &house.backup(), "TIME").unwrap();
        let store = Store::open(copy.path()).unwrap();
        let events = store.events(EventsAsked { limit: 1_000_000, ..EventsAsked::default() }).await.unwrap();
        // A token, its event and the generation are one change; its host is written before the next token.
        let generation = restored.generation;
        assert_eq!((events.len(), names(&store).await.len()), (generation as usize, generation as usize));
        assert!(generation - restored.hosts <= 1, "{restored:?}");
        seen.push(generation);
    }
    ended.store(true, Ordering::Relaxed);
    let written = writing.await.unwrap();
    assert!(seen.is_sorted() && seen.last() <= Some(&written), "{seen:?} {written}");
}

#[tokio::test]
async fn a_file_that_exists_is_kept_unless_told_otherwise() {
    let house = House::new();
    let _store = house.store();
    fs::write(house.backup(), "precious").unwrap();
    assert!(matches!(house.back_up(Existing::Kept), Err(NotCopied::Exists(_))));
    assert_eq!(fs::read(house.backup()).unwrap(), b"precious");
    house.back_up(Existing::Replaced).unwrap();
    assert_ne!(fs::read(house.backup()).unwrap(), b"precious");
    assert_eq!(fs::read_dir(house.elsewhere.path()).unwrap().count(), 1);
}

#[test]
fn a_folder_without_a_database_is_no_reason_to_make_one() {
    let house = House::new();
    assert!(matches!(house.back_up(Existing::Kept), Err(NotCopied::NoDatabase(_))));
    let nowhere = house.data.path().join("nowhere");
    assert!(matches!(back_up(&nowhere, &house.backup(), Existing::Kept), Err(NotCopied::Io(..))));
    assert_eq!(house.names(), [""; 0]);
    assert!(!house.backup().exists());
}

#[test]
fn a_backup_is_no_file_of_the_data_folder() {
    let house = House::new();
    let _store = house.store();
    let before = house.names();
    for name in ["ops-meta.db", "ops-meta.db-wal", "lock", "mine.db"] {
        let refused = back_up(house.data.path(), &house.data.path().join(name), Existing::Replaced);
        assert!(matches!(refused, Err(NotCopied::InDataFolder(_))), "{name}");
    }
    assert_eq!(house.names(), before);
}

#[test]
fn what_a_cut_off_backup_left_is_used_up() {
    let house = House::new();
    let _store = house.store();
    let left = house.elsewhere.path().join(".a b%?#.db.part");
    fs::write(&left, [7; 100]).unwrap();
    house.back_up(Existing::Kept).unwrap();
    assert!(!left.exists());
}

#[test]
fn nothing_is_restored_under_a_server_or_a_backup() {
    let house = House::new();
    let store = house.store();
    house.back_up(Existing::Kept).unwrap();
    assert!(matches!(house.restore(), Err(NotCopied::Unopened(crate::store::Unopened::InUse(..)))));
    drop(store);
    let before = house.files();
    let backup = locked(house.data.path(), FlockArg::LockSharedNonblock).unwrap();
    assert!(matches!(house.restore(), Err(NotCopied::Busy(_))));
    drop(backup);
    assert_eq!(house.files(), before);
    house.restore().unwrap();
}

#[tokio::test]
async fn what_is_no_backup_leaves_the_folder_as_it_was() {
    let house = House::new();
    create(&house.store(), "present").await;
    house.back_up(Existing::Kept).unwrap();
    let good = fs::read(house.backup()).unwrap();
    let before = house.files();
    let mut damaged = good.clone();
    damaged[4096..12_288].fill(0xff);
    let sql = |sql: &str| {
        fs::write(house.backup(), &good).unwrap();
        Connection::open(house.backup()).unwrap().execute_batch(sql).unwrap();
        fs::read(house.backup()).unwrap()
    };
    let newer = sql("PRAGMA user_version = 99");
    let foreign = sql("PRAGMA application_id = 1");
    for (what, bytes) in [
        ("empty", &[][..]),
        ("text", b"hello"),
        ("damaged", &damaged),
        ("newer", &newer),
        ("foreign", &foreign),
        ("cut", &good[..good.len() / 2]),
    ] {
        fs::write(house.backup(), bytes).unwrap();
        let Err(why) = house.restore() else { panic!("{what} was restored") };
        assert!(why.to_string().starts_with("failed to "), "{what}: {why}");
        assert_eq!(house.files(), before, "{what}");
    }
    fs::remove_file(house.backup()).unwrap();
    assert!(matches!(house.restore(), Err(NotCopied::Io(..))));
    // What was there already stays, too.
    fs::write(house.backup(), &good).unwrap();
    house.restore().unwrap();
    let before = house.files();
    assert!(matches!(house.restore(), Err(NotCopied::Io(..))), "the same TIME");
    assert_eq!(house.files(), before);
}

#[test]
fn a_database_in_use_is_no_backup() {
    let house = House::new();
    let store = house.store();
    let copy = TempDir::new().unwrap();
    let refused = restore(copy.path(), &house.data.path().join(FILE), "TIME");
    assert!(matches!(refused, Err(NotCopied::NoBackup(..))), "{refused:?}");
    drop(store);
}

#[tokio::test]
async fn a_damaged_database_goes_aside_and_so_does_a_log_without_database() {
    let house = House::new();
    create(&house.store(), "good").await;
    house.back_up(Existing::Kept).unwrap();
    let database = house.data.path().join(FILE);
    fs::write(&database, [7; 9000]).unwrap();
    house.restore().unwrap();
    assert_eq!(house.names(), ["ops-meta.db", "ops-meta.db.before-restore-TIME"]);
    assert_eq!(names(&house.store()).await, ["good"]);

    fs::remove_file(&database).unwrap();
    fs::write(present::with_suffix(&database, "-wal"), "of another database").unwrap();
    restore(house.data.path(), &house.backup(), "LATER").unwrap();
    assert!(
        house.names().contains(&"ops-meta.db.before-restore-LATER-wal".to_owned()),
        "{:?}",
        house.names()
    );
    assert_eq!(names(&house.store()).await, ["good"]);
}
