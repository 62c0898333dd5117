//! Why there is no copy, or none was put in place.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::store::Unopened;

/// What was there is there still, and nothing else is.
#[derive(Debug)]
pub enum NotCopied {
    Unopened(Unopened),
    /// The folder holds none.
    NoDatabase(PathBuf),
    Exists(PathBuf),
    InDataFolder(PathBuf),
    /// A backup of the folder is being made, or one is being restored.
    Busy(PathBuf),
    /// Another one is being written to this file.
    Written(PathBuf),
    /// Nothing that can be restored, for the reason given.
    NoBackup(PathBuf, String),
    Io(&'static str, PathBuf, io::Error),
    Sql(PathBuf, rusqlite::Error),
}

impl NotCopied {
    /// For `map_err`.
    pub fn io(verb: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        move |error| Self::Io(verb, path.to_owned(), error)
    }

    pub fn sql(path: &Path, error: rusqlite::Error) -> Self {
        Self::Sql(path.to_owned(), error)
    }
}

impl fmt::Display for NotCopied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unopened(why) => why.fmt(f),
            Self::NoDatabase(folder) => write!(
                f,
                "failed to find a database in `{}`: no ops-meta has served from this folder yet; --data DIR names \
                 another",
                folder.display()
            ),
            Self::Exists(file) => {
                write!(f, "failed to write `{}`: it exists; --force replaces it", file.display())
            }
            Self::InDataFolder(file) => write!(
                f,
                "failed to write `{}`: this is in the data folder itself; a backup belongs elsewhere",
                file.display()
            ),
            Self::Busy(folder) => write!(
                f,
                "failed to use the data folder `{}`: a backup of it is being made or restored, or another program \
                 reads its database; wait for the end of that",
                folder.display()
            ),
            Self::Written(file) => {
                write!(f, "failed to write `{}`: another backup is being written to it", file.display())
            }
            Self::NoBackup(file, why) => {
                write!(
                    f,
                    "failed to restore `{}`: {why}; take a file that `ops-meta backup` made",
                    file.display()
                )
            }
            Self::Io(verb, path, error) => write!(f, "failed to {verb} `{}`: {error}", path.display()),
            Self::Sql(path, error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
                write!(f, "failed to write `{}`: the disk is full", path.display())
            }
            Self::Sql(path, error) => write!(f, "failed to write `{}`: {error}", path.display()),
        }
    }
}

impl std::error::Error for NotCopied {}
