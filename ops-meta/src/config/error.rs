//! Why there is no configuration.

use std::fmt;
use std::path::PathBuf;

use super::CONFIG_BYTES_MAX;
use super::faults::Fault;

/// The file, and what is wrong with it.
#[derive(Debug)]
pub enum ConfigError {
    Unreadable(PathBuf, std::io::Error),
    TooLarge(PathBuf),
    NotJson(PathBuf, serde_json::Error),
    Faulty(PathBuf, Vec<Fault>),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Unreadable(path, _)
        | Self::TooLarge(path)
        | Self::NotJson(path, _)
        | Self::Faulty(path, _)) = self;
        write!(f, "failed to read `{}`: ", path.display())?;
        match self {
            Self::Unreadable(_, error) => error.fmt(f),
            Self::TooLarge(_) => write!(f, "it has more than {CONFIG_BYTES_MAX} bytes"),
            Self::NotJson(_, error) => write!(f, "it is not JSON: {error}"),
            Self::Faulty(_, faults) => {
                write!(f, "it has {} fault(s)", faults.len())?;
                faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
            }
        }
    }
}

impl std::error::Error for ConfigError {}
