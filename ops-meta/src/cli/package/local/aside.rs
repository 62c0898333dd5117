//! A file that is being written, under a name of its own until it is whole.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::cli::regular;

const ENDING: &str = ".part";

/// `.NAME.PID.part` beside `NAME`, locked. It is removed when this is dropped; after a kill by the next of this name.
pub struct Aside {
    path: PathBuf,
    file: File,
}

impl Aside {
    pub fn beside(target: &Path) -> io::Result<Self> {
        let name = target.file_name().ok_or(io::ErrorKind::IsADirectory)?.to_string_lossy();
        let beginning = format!(".{name}.");
        remove_abandoned(target, &beginning)?;
        let path = target.with_file_name(format!("{beginning}{}{ENDING}", std::process::id()));
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        file.lock()?;
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

/// What nobody holds any more.
fn remove_abandoned(target: &Path, beginning: &str) -> io::Result<()> {
    let folder = target.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for entry in folder.read_dir()? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        let pid = name.strip_prefix(beginning).and_then(|rest| rest.strip_suffix(ENDING));
        if pid.is_some_and(|pid| pid.parse::<u32>().is_ok()) {
            let path = folder.join(&*name);
            if regular::open(&path).is_ok_and(|file| file.try_lock().is_ok()) {
                fs::remove_file(path)?;
            }
        }
    }
    Ok(())
}

impl Drop for Aside {
    fn drop(&mut self) {
        // It is gone where it got its name.
        let _ = fs::remove_file(&self.path);
    }
}
