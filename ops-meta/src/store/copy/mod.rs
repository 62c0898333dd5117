//! Copies of the database: one made while a server writes it, and one put in its place while none does.
//!
//! * `back_up` writes a new file under another name, syncs it, and gives it its name: a copy that has its name is whole.
//! * `restore` copies the file into the data folder, and checks that copy and not the original, which may change. The
//!   present database gets a second name first, so that there is a database under the usual name at each moment.
//! * Both lock the folder itself, shared or alone: a reader that outlives a restore would clean up after the new
//!   database by its name.

mod error;
mod part;
mod present;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf, absolute};

use nix::fcntl::{Flock, FlockArg};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rusqlite::{Connection, OpenFlags};
use std::os::unix::ffi::OsStrExt as _;

use super::sqlite::{FILE, FolderLock, recognised, unopened};
pub use error::NotCopied;
use part::Part;
use present::Present;

/// What becomes of a file that has the name of the copy already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    Kept,
    Replaced,
}

/// What was put in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    pub bytes: u64,
    pub hosts: u64,
    pub generation: u64,
    /// Of the newest event, in Unix milliseconds.
    pub newest_event: Option<i64>,
    /// Where the database that was there is now.
    pub aside: Option<PathBuf>,
}

/// Writes a copy of a folder's database, in one state of it, and says how many bytes it has. Whoever writes the database
/// is not held up.
pub fn back_up(folder: &Path, file: &Path, existing: Existing) -> Result<u64, NotCopied> {
    let _no_restore = locked(folder, FlockArg::LockSharedNonblock)?;
    let file = absolute(file).map_err(NotCopied::io("find", file))?;
    let refused = existing == Existing::Kept && file.symlink_metadata().is_ok();
    if refused {
        return Err(NotCopied::Exists(file));
    }
    let path = folder.join(FILE);
    if !path.exists() {
        return Err(NotCopied::NoDatabase(folder.to_owned()));
    }
    let part = Part::beside(&file)?;
    if part.lies_in(folder) {
        return Err(NotCopied::InDataFolder(file));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error| NotCopied::Unopened(unopened(&path, error));
    let database = Connection::open_with_flags(&path, flags).map_err(failed)?;
    if recognised(&path, &database).map_err(NotCopied::Unopened)? == 0 {
        return Err(NotCopied::NoDatabase(folder.to_owned()));
    }
    database.execute("VACUUM INTO ?", [part.path_text()?]).map_err(|error| NotCopied::sql(&file, error))?;
    part.put(&file, existing)
}

/// Puts a copy in the place of a folder's database. Where it fails, the folder is as it was.
pub fn restore(folder: &Path, file: &Path, time: &str) -> Result<Restored, NotCopied> {
    let mut source = File::open(file).map_err(NotCopied::io("read", file))?;
    refuse_one_in_use(file)?;
    let _no_server = FolderLock::take(folder).map_err(NotCopied::Unopened)?;
    let _no_backup = locked(folder, FlockArg::LockExclusiveNonblock)?;
    let database = absolute(folder.join(FILE)).map_err(NotCopied::io("find", folder))?;
    let mut part = Part::beside(&database)?;
    io::copy(&mut source, part.file()).map_err(NotCopied::io("copy", file))?;
    let mut restored = checked(&part.path, file)?;
    part.give_to_owner_of(folder)?;
    let present = Present::set_aside(&database, time)?;
    restored.bytes = part.put(&database, Existing::Replaced)?;
    restored.aside = present.stays_aside();
    Ok(restored)
}

/// As long as a backup reads, nobody restores, and the other way round.
fn locked(folder: &Path, how: FlockArg) -> Result<Flock<File>, NotCopied> {
    let failed = NotCopied::io("use the data folder", folder);
    let file = match File::open(folder) {
        Ok(file) => file,
        Err(error) => return Err(failed(error)),
    };
    Flock::lock(file, how).map_err(|(_, errno)| match errno {
        nix::Error::EWOULDBLOCK => NotCopied::Busy(folder.to_owned()),
        errno => failed(errno.into()),
    })
}

/// A file with a log of changes beside it is a database and no backup: a part of what it knows is in the log.
fn refuse_one_in_use(file: &Path) -> Result<(), NotCopied> {
    let log = present::with_suffix(file, "-wal");
    match log.metadata() {
        Ok(found) if found.len() > 0 => {
            let why = format!("`{}` lies beside it, as beside a database in use", log.display());
            Err(NotCopied::NoBackup(file.to_owned(), why))
        }
        _ => Ok(()),
    }
}

/// What is in a copy of `file`, once it is clear that it is whole and ours.
fn checked(copy: &Path, file: &Path) -> Result<Restored, NotCopied> {
    let no_backup = |why: String| NotCopied::NoBackup(file.to_owned(), why);
    let sql = |error: rusqlite::Error| no_backup(error.to_string());
    let database = open_unwritten(copy).map_err(sql)?;
    if recognised(file, &database).map_err(NotCopied::Unopened)? == 0 {
        return Err(no_backup("it is empty".to_owned()));
    }
    let verdict: String =
        database.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(sql)?;
    if verdict != "ok" {
        return Err(no_backup(format!("it is damaged: {verdict}")));
    }
    let number = |text: &str| database.query_row(text, [], |row| row.get::<_, Option<i64>>(0)).map_err(sql);
    Ok(Restored {
        bytes: 0,
        hosts: number("SELECT count(*) FROM hosts")?.unwrap_or_default().unsigned_abs(),
        generation: number("SELECT generation FROM state")?.unwrap_or_default().unsigned_abs(),
        newest_event: number("SELECT max(at) FROM events")?,
        aside: None,
    })
}

/// What of a path needs no `%` in the URI of a file (sqlite.org/uri.html).
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');

/// For a file that nobody else has: no log of changes is made beside it, and one that lies there is not read.
fn open_unwritten(path: &Path) -> rusqlite::Result<Connection> {
    let path = percent_encode(path.as_os_str().as_bytes(), PLAIN);
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(format!("file://{path}?immutable=1"), flags)
}
