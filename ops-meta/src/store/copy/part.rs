//! A file that is being written, under a name of its own until it is whole.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, Flock, FlockArg, OFlag, RenameFlags, renameat2};

use super::{Existing, NotCopied};

/// `.NAME.part` beside `NAME`: always the same name, so that what a cut-off try left is used up by the next one. It is
/// removed when this is dropped.
pub struct Part {
    pub path: PathBuf,
    folder: PathBuf,
    file: Flock<File>,
}

impl Part {
    /// Empty, and open to nobody else: tokens' hashes and what hosts said will be in it.
    pub fn beside(file: &Path) -> Result<Self, NotCopied> {
        let no_file = || NotCopied::io("write", file)(io::ErrorKind::IsADirectory.into());
        let name = file.file_name().ok_or_else(no_file)?.to_string_lossy();
        let folder = file.parent().ok_or_else(no_file)?.to_owned();
        let path = folder.join(format!(".{name}.part"));
        let failed = NotCopied::io("write", &path);
        let options = &mut File::options();
        let options = options.create(true).truncate(false).write(true).mode(0o600);
        let opened = options.custom_flags(OFlag::O_NOFOLLOW.bits()).open(&path).map_err(&failed)?;
        let locked = Flock::lock(opened, FlockArg::LockExclusiveNonblock);
        let opened = locked.map_err(|(_, errno)| match errno {
            nix::Error::EWOULDBLOCK => NotCopied::Written(file.to_owned()),
            errno => failed(errno.into()),
        })?;
        // Whoever had the lock before may have removed the file meanwhile.
        let same =
            |found: fs::Metadata, own: fs::Metadata| (found.dev(), found.ino()) == (own.dev(), own.ino());
        if !path.symlink_metadata().is_ok_and(|found| opened.metadata().is_ok_and(|own| same(found, own))) {
            return Err(NotCopied::Written(file.to_owned()));
        }
        opened
            .set_len(0)
            .and_then(|()| opened.set_permissions(Permissions::from_mode(0o600)))
            .map_err(&failed)?;
        Ok(Self { path: path.clone(), folder, file: opened })
    }

    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    pub fn lies_in(&self, folder: &Path) -> bool {
        let real = |path: &Path| path.canonicalize().ok();
        real(&self.folder).is_some_and(|own| real(folder) == Some(own))
    }

    /// For a statement of the database, which takes text only.
    pub fn path_text(&self) -> Result<&str, NotCopied> {
        let failed = || NotCopied::io("write", &self.path)(io::Error::other("its name is not UTF-8"));
        self.path.to_str().ok_or_else(failed)
    }

    /// Root restores, and another account serves.
    pub fn give_to_owner_of(&self, folder: &Path) -> Result<(), NotCopied> {
        let give = || {
            let (owner, own) = (folder.metadata()?, self.file.metadata()?);
            if (owner.uid(), owner.gid()) == (own.uid(), own.gid()) {
                return Ok(());
            }
            fchown(&*self.file, Some(owner.uid()), Some(owner.gid()))
        };
        give().map_err(NotCopied::io("give to the owner of the folder", &self.path))
    }

    /// Gives it its name once it is on the disk; says how many bytes it has.
    pub fn put(self, file: &Path, existing: Existing) -> Result<u64, NotCopied> {
        let put = || {
            self.file.sync_all()?;
            match existing {
                Existing::Replaced => fs::rename(&self.path, file)?,
                Existing::Kept => self.put_new(file)?,
            }
            File::open(&self.folder)?.sync_all()?;
            Ok(self.file.metadata()?.len())
        };
        put().map_err(|error: io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => NotCopied::Exists(file.to_owned()),
            _ => NotCopied::io("write", file)(error),
        })
    }

    /// NFS knows no rename that replaces nothing; a second name does the same there.
    fn put_new(&self, file: &Path) -> io::Result<()> {
        match renameat2(AT_FDCWD, &self.path, AT_FDCWD, file, RenameFlags::RENAME_NOREPLACE) {
            Err(nix::Error::EINVAL) => fs::hard_link(&self.path, file),
            done => Ok(done?),
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // It is gone where it got its name.
        let _ = fs::remove_file(&self.path);
    }
}
