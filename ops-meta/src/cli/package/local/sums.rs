//! The files of digests beside a package.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use ops_package::{Algorithm, SUMS_BYTES_MAX, find_sum};
use ops_wire::HexDigest;

use super::aside::Aside;
use crate::cli::regular;

pub struct Sums {
    pub path: PathBuf,
    algorithm: Algorithm,
    /// What the package is called.
    file: String,
}

impl Sums {
    pub fn md5(package: &Path) -> Self {
        Self::beside(package, ".md5", Algorithm::Md5)
    }

    pub fn sha256(package: &Path) -> Self {
        Self::beside(package, ".sha256", Algorithm::Sha256)
    }

    fn beside(package: &Path, ending: &str, algorithm: Algorithm) -> Self {
        let file = package.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { path: package.with_file_name(format!("{file}{ending}")), algorithm, file }
    }

    /// What it says of the package.
    pub fn read(&self) -> Result<HexDigest, String> {
        let read = regular::read(&self.path, SUMS_BYTES_MAX);
        let text = read.map_err(|error| format!("failed to read it: {error}"))?;
        find_sum(&text, self.algorithm, &self.file).map_err(|why| why.to_string())
    }

    /// One that is not there is gone, too.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// As md5sum and sha256sum write it.
    pub fn write(&self, digest: &HexDigest) -> io::Result<()> {
        let mut aside = Aside::beside(&self.path)?;
        aside.file().write_all(format!("{digest}  {}\n", self.file).as_bytes())?;
        aside.put(&self.path)
    }
}
