//! The database that is there, moved out of the way of another one.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::NotCopied;

/// What may lie beside a database. A log that stayed would be read as the new database's.
const SIDE_FILES: [&str; 3] = ["-wal", "-shm", "-journal"];

/// A database that has a second name, and its side files. Dropped before [`stays_aside`](Self::stays_aside) it gets all
/// of them back.
pub struct Present {
    /// Where the database was, the name it got.
    linked: Option<PathBuf>,
    /// From where to where.
    moved: Vec<(PathBuf, PathBuf)>,
}

impl Present {
    /// `NAME.before-restore-TIME`; it never replaces anything.
    pub fn set_aside(database: &Path, time: &str) -> Result<Self, NotCopied> {
        let aside = with_suffix(database, &format!(".before-restore-{time}"));
        let mut present = Self { linked: None, moved: Vec::new() };
        if database.exists() {
            empty_the_log(database)?;
            fs::hard_link(database, &aside).map_err(NotCopied::io("keep the database as", &aside))?;
            present.linked = Some(aside.clone());
        }
        for suffix in SIDE_FILES {
            let (from, to) = (with_suffix(database, suffix), with_suffix(&aside, suffix));
            if from.exists() {
                fs::rename(&from, &to).map_err(NotCopied::io("move aside", &from))?;
                present.moved.push((from, to));
            }
        }
        Ok(present)
    }

    pub fn stays_aside(mut self) -> Option<PathBuf> {
        self.moved.clear();
        self.linked.take()
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        for (from, to) in &self.moved {
            let _ = fs::rename(to, from);
        }
        if let Some(aside) = &self.linked {
            let _ = fs::remove_file(aside);
        }
    }
}

/// What the log holds goes into the database, and the log away. A database too damaged for that keeps its log.
fn empty_the_log(database: &Path) -> Result<(), NotCopied> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let emptied = Connection::open_with_flags(database, flags)
        .and_then(|it| it.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)));
    match emptied {
        Ok(0) | Err(_) => Ok(()),
        // Somebody reads it.
        Ok(_) => Err(NotCopied::Busy(database.parent().unwrap_or(database).to_owned())),
    }
}

pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
