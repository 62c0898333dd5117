//! A file that is being written, under a name of its own until it is whole.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// `.NAME.PID.part` beside `NAME`. It is removed when this is dropped.
pub struct Aside {
    path: PathBuf,
    file: File,
}

impl Aside {
    pub fn beside(target: &Path) -> io::Result<Self> {
        let name = target.file_name().ok_or(io::ErrorKind::IsADirectory)?.to_string_lossy();
        let path = target.with_file_name(format!(".{name}.{}.part", std::process::id()));
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        Ok(Self { path, file })
    }

    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Gives it its name, once it is on the disk.
    pub fn put(self, target: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, target)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // It is gone where it got its name.
        let _ = fs::remove_file(&self.path);
    }
}
