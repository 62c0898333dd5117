//! Why something was not done with a package.

use std::fmt;
use std::sync::Arc;

use crate::blobs::BlobError;
use crate::domain::package::Build;
use crate::store::{Package, StoreError};

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
    Taken(Box<(Build, Build)>),
    /// Its blob has other bytes than were brought.
    Altered(String),
    /// Its blob stays.
    NotDeleted(Build, BlobError),
    /// It is no more served, and the database did not take the rest of it.
    HalfDeleted(Build, StoreError),
    /// Somebody would miss it.
    InUse(Build, String),
    /// Its file has to be read to its end first, and others are being read.
    Reading,
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
                    "package {} is being deleted; wait until it is gone, or delete it again to hear what keeps it",
                    package.build
                )
            }
            Self::Taken(both) => write!(
                f,
                "package {} would be fetched as `/packages/{}`, as package {} is, which is there; take another version",
                both.0,
                both.0.path(),
                both.1
            ),
            Self::Altered(why) => f.write_str(why),
            Self::HalfDeleted(build, why) => write!(
                f,
                "package {build} is served no more, but the database did not take all of its end ({why}); ops-meta tries \
                 again once a minute"
            ),
            Self::InUse(build, why) => write!(f, "package {build} is in use: {why}; it was not deleted"),
            Self::Reading => f.write_str("its file has to be read first, as others are now; try again later"),
            Self::NotDeleted(build, why) => write!(
                f,
                "package {build} is served no more, and its file is still there: {why}; mend that and delete it again"
            ),
        }
    }
}

impl std::error::Error for NotDone {}
