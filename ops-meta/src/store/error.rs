//! What a database refuses, in words for who asked.

use std::fmt;
use std::io;
use std::path::PathBuf;

use rusqlite::{Error, ErrorCode};

/// Why something was not read or written. Nothing of it is half there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreError {
    /// There is no such object.
    Missing(String),
    /// The change contradicts what is there.
    Conflict(String),
    /// No room on the disk.
    Full,
    /// What is in the file makes no sense.
    Damaged(String),
    /// Locked, unreadable, gone: perhaps for a while.
    Away(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(what) => write!(f, "there is no {what}"),
            Self::Conflict(why) => f.write_str(why),
            Self::Full => f.write_str("the disk of the data folder is full; make room, nothing was changed"),
            Self::Damaged(why) => write!(
                f,
                "ops-meta.db is damaged ({why}) and was left as it is; `ops-meta restore` puts a backup in its place"
            ),
            Self::Away(why) => {
                write!(f, "the database does not answer: {why}; nothing was changed, try again")
            }
        }
    }
}

impl std::error::Error for StoreError {}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        let makes_no_sense = matches!(
            error,
            Error::FromSqlConversionFailure(..)
                | Error::IntegralValueOutOfRange(..)
                | Error::InvalidColumnType(..)
                | Error::QueryReturnedNoRows
                | Error::Utf8Error(..)
        );
        match error.sqlite_error_code() {
            _ if makes_no_sense => Self::Damaged(error.to_string()),
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(error.to_string()),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::Away("another program has locked it".to_owned())
            }
            _ => Self::Away(error.to_string()),
        }
    }
}

/// Why the database of a data folder cannot be used. It was left as it is.
#[derive(Debug)]
pub enum Unopened {
    Folder(PathBuf, io::Error),
    /// Another ops-meta serves from this folder: the process of this number, where that is known.
    InUse(PathBuf, Option<u32>),
    NotOurs(PathBuf),
    Damaged(PathBuf, String),
    Newer {
        path: PathBuf,
        found: i64,
        known: i64,
    },
    Failed(PathBuf, Error),
}

impl fmt::Display for Unopened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path, error) => {
                write!(
                    f,
                    "failed to use the data folder `{}`: {error}; --data DIR names another",
                    path.display()
                )
            }
            Self::InUse(path, holder) => write!(
                f,
                "failed to use the data folder `{}`: another ops-meta uses it{}; end that one, or name another \
                 folder with --data",
                path.display(),
                holder.map_or_else(String::new, |pid| format!(" (pid {pid})"))
            ),
            Self::NotOurs(path) => write!(
                f,
                "failed to open `{}`: this is no database of ops-meta, and was left as it is",
                path.display()
            ),
            Self::Damaged(path, why) => write!(
                f,
                "failed to read `{}`: it is damaged ({why}), and was left as it is; `ops-meta restore` puts a \
                 backup in its place",
                path.display()
            ),
            Self::Newer { path, found, known } => write!(
                f,
                "failed to open `{}`: a newer ops-meta made it (schema {found}, this one knows {known}); use that \
                 one, or a backup from before",
                path.display()
            ),
            Self::Failed(path, error) => write!(f, "failed to open `{}`: {error}", path.display()),
        }
    }
}

impl std::error::Error for Unopened {}
