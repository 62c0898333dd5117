//! Deletes trees of any depth and size with three descriptors. Every folder is opened by its name in the open folder above,
//! and never through a link: whoever swaps one for a link meanwhile leads nobody out of the tree.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};
use nix::{NixPath, Result};

use super::rename_at;
use crate::error::Fault;

const FOLDER: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
const LIFTED: &str = ".lifted-";

/// A whole tree, whatever it is; links are not followed. What cannot be removed does not keep the rest.
pub fn remove_all(path: &Path) -> std::result::Result<(), Fault> {
    let removed = match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => remove_below(parent, name),
        _ => Err(Errno::EINVAL),
    };
    removed.map_err(|error| Fault::io("remove", path, &error.into()))
}

fn remove_below(parent: &Path, name: &OsStr) -> Result<()> {
    let above = match open_folder(AT_FDCWD, parent) {
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(()),
        opened => opened?,
    };
    if !is_folder_left(&above, name)? {
        return Ok(());
    }
    let top = open_folder(&above, name)?;
    Tree { top, lifted: 0, progress: false }.empty_and(|| remove_folder(&above, name))
}

/// Folders in folders are lifted up to the top before they are emptied: however deep somebody nested them, they are deleted
/// there one by one.
struct Tree {
    top: OwnedFd,
    lifted: u64,
    progress: bool,
}

impl Tree {
    /// Goes over the top until nothing is in it and `remove_top` succeeds, or nothing more of it can be removed.
    fn empty_and(&mut self, remove_top: impl Fn() -> Result<()>) -> Result<()> {
        loop {
            self.progress = false;
            let listed = open_folder(&self.top, c".")?;
            // What was lifted meanwhile is still in it.
            match each(&listed, |name| self.remove_entry(name)).and_then(|()| remove_top()) {
                Err(_) if self.progress => {}
                ended => return ended,
            }
        }
    }

    fn remove_entry(&mut self, name: &CStr) -> Result<()> {
        if is_folder_left(&self.top, name)? {
            let name = self.claim(name)?;
            let folder = open_folder(&self.top, name.as_c_str())?;
            each(&folder, |inner| self.remove_or_lift(&folder, inner))?;
            remove_folder(&self.top, name.as_c_str())?;
        }
        self.progress = true;
        Ok(())
    }

    /// What something is mounted on cannot be renamed, and so it is never emptied. Once each: a folder that stays would come
    /// by under its new name again.
    fn claim(&mut self, name: &CStr) -> Result<CString> {
        if name.to_bytes().starts_with(LIFTED.as_bytes()) {
            return Ok(name.to_owned());
        }
        let lifted = self.next_name();
        rename_at(&self.top, name, &self.top, &lifted)?;
        Ok(lifted)
    }

    fn remove_or_lift(&mut self, folder: &OwnedFd, inner: &CStr) -> Result<()> {
        if !is_folder_left(folder, inner)? || remove_folder(folder, inner).is_ok() {
            return Ok(());
        }
        let name = self.next_name();
        rename_at(folder, inner, &self.top, &name)?;
        // Even when the folder that it was in cannot go.
        self.progress = true;
        Ok(())
    }

    /// One that is taken, by who was interrupted at this before, is met once only: by then it is empty.
    fn next_name(&mut self) -> CString {
        self.lifted += 1;
        CString::new(format!("{LIFTED}{}-{}", std::process::id(), self.lifted)).unwrap_or_default()
    }
}

fn open_folder(above: impl AsFd, name: &(impl NixPath + ?Sized)) -> Result<OwnedFd> {
    openat(above, name, FOLDER, Mode::empty())
}

/// Does `work` for every name in `folder`; gives the first error.
fn each(folder: &OwnedFd, mut work: impl FnMut(&CStr) -> Result<()>) -> Result<()> {
    let mut result = Ok(());
    for entry in Dir::openat(folder, c".", FOLDER, Mode::empty())?.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            result = result.and(work(name));
        }
    }
    result
}

/// Removes what is no folder. Tells whether a folder is there, which is left alone.
fn is_folder_left(above: &OwnedFd, name: &(impl NixPath + ?Sized)) -> Result<bool> {
    match unlinkat(above, name, UnlinkatFlags::NoRemoveDir) {
        Err(Errno::EISDIR) => Ok(true),
        other => gone(other).map(|()| false),
    }
}

fn remove_folder(above: &OwnedFd, name: &(impl NixPath + ?Sized)) -> Result<()> {
    gone(unlinkat(above, name, UnlinkatFlags::RemoveDir))
}

/// What is gone is removed, whoever did it.
fn gone(result: Result<()>) -> Result<()> {
    match result {
        Err(Errno::ENOENT) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::fs_layout::just_rename;

    #[test]
    fn a_tree_deeper_than_any_path_goes_and_what_its_links_lead_to_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (top, kept) = (folder.path().join("top"), folder.path().join("kept"));
        fs::create_dir_all(kept.join("folder")).unwrap();
        fs::write(kept.join("folder/file"), "x").unwrap();
        // From the innermost folder out, since no path could name it.
        let mut tree = folder.path().join("0");
        fs::create_dir(&tree).unwrap();
        for depth in 1..3000 {
            let outer = folder.path().join(depth.to_string());
            fs::create_dir(&outer).unwrap();
            fs::write(outer.join("file"), "x").unwrap();
            symlink(&kept, outer.join("link")).unwrap();
            just_rename(&tree, &outer.join("a-name-of-some-length")).unwrap();
            tree = outer;
        }
        just_rename(&tree, &top).unwrap();

        remove_all(&top).unwrap();

        assert!(!top.exists() && kept.join("folder/file").exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        remove_all(&top).unwrap();
        remove_all(&kept.join("folder/file/below a file")).unwrap();
    }

    /// A folder in which `folder` and its content are nobody's to lose.
    fn with_kept() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("kept");
        fs::create_dir_all(kept.join("folder")).unwrap();
        for file in ["file", "folder/file"] {
            fs::write(kept.join(file), "x").unwrap();
        }
        (folder, kept)
    }

    #[test]
    fn links_at_every_level_go_and_what_they_lead_to_stays() {
        let (folder, kept) = with_kept();
        let top = folder.path().join("top");
        fs::create_dir_all(top.join("1/2/3/4")).unwrap();
        for level in ["", "1", "1/2", "1/2/3", "1/2/3/4"] {
            symlink(&kept, top.join(level).join("link")).unwrap();
            symlink("..", top.join(level).join("up")).unwrap();
        }
        symlink(&kept, folder.path().join("link")).unwrap();

        remove_all(&top).unwrap();
        assert!(open_folder(AT_FDCWD, &folder.path().join("link")).is_err());
        remove_all(&folder.path().join("link")).unwrap();

        assert!(kept.join("file").exists() && kept.join("folder/file").exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_was_lifted_is_progress_even_when_the_folder_above_stays() {
        let (folder, kept) = with_kept();
        fs::create_dir(kept.join("folder/inner")).unwrap();
        let top = open_folder(AT_FDCWD, folder.path()).unwrap();
        let mut tree = Tree { top, lifted: 0, progress: false };
        let above = open_folder(AT_FDCWD, &kept).unwrap();

        tree.remove_or_lift(&above, c"folder").unwrap();

        assert!(tree.progress && kept.exists() && !kept.join("folder").exists());
    }

    #[test]
    fn a_folder_is_renamed_before_it_is_emptied_and_once_only() {
        let (folder, kept) = with_kept();
        let top = open_folder(AT_FDCWD, folder.path()).unwrap();
        let mut tree = Tree { top, lifted: 0, progress: false };

        let name = tree.claim(c"kept").unwrap();

        assert!(!kept.exists() && folder.path().join(name.to_str().unwrap()).join("folder/file").exists());
        assert_eq!(tree.claim(&name).unwrap(), name);
    }

    /// Whoever owns a folder in the tree can do this at any moment.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "somebody else is at work meanwhile")]
    fn a_folder_that_is_swapped_for_a_link_leads_nowhere() {
        let (folder, kept) = with_kept();
        let (top, over) = (folder.path().join("top"), Arc::new(AtomicBool::new(false)));
        let swapping = ["", "a"].map(|above| {
            let (above, kept, over) = (top.join(above), kept.clone(), over.clone());
            std::thread::spawn(move || {
                let names = ["folder", "link"].map(|name| above.join(name));
                while !over.load(Ordering::Relaxed) {
                    names.iter().for_each(|it| drop(fs::remove_file(it).or_else(|_| fs::remove_dir(it))));
                    let _ = fs::create_dir_all(&names[0]).and_then(|()| symlink(&kept, &names[1]));
                    while exchange(&names[0], &names[1]).is_ok() && !over.load(Ordering::Relaxed) {}
                }
            })
        });
        let until = Instant::now() + Duration::from_secs(1);
        while Instant::now() < until {
            let _ = remove_all(&top);
        }
        over.store(true, Ordering::Relaxed);
        swapping.into_iter().for_each(|it| it.join().unwrap());

        assert!(kept.join("file").exists() && kept.join("folder/file").exists());
    }

    fn exchange(one: &Path, other: &Path) -> std::io::Result<()> {
        #[expect(clippy::disallowed_methods, reason = "as somebody else would")]
        nix::fcntl::renameat2(AT_FDCWD, one, AT_FDCWD, other, nix::fcntl::RenameFlags::RENAME_EXCHANGE)?;
        Ok(())
    }
}
