//! Deletes trees of any depth and size with two descriptors and short paths.

use std::fs::{self, DirEntry};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::just_rename;
use crate::error::Fault;

/// A whole tree, whatever it is; links are not followed. What cannot be removed does not keep the rest.
pub fn remove_all(path: &Path) -> Result<(), Fault> {
    let removed = match fs::symlink_metadata(path) {
        Ok(it) if it.is_dir() => Tree { top: path, lifted: 0 }.remove(),
        Ok(_) => gone(fs::remove_file(path)),
        Err(error) if error.kind() == ErrorKind::NotADirectory => Ok(()),
        Err(error) => gone(Err(error)),
    };
    removed.map_err(|error| Fault::io("remove", path, &error))
}

/// Folders in folders are lifted up to the top before they are emptied: however deep somebody nested them, they are deleted
/// there one by one.
struct Tree<'a> {
    top: &'a Path,
    lifted: u64,
}

impl Tree<'_> {
    /// Goes over the top until nothing is in it, or nothing more of it can be removed.
    fn remove(&mut self) -> io::Result<()> {
        loop {
            let (mut removed_some, mut result) = (false, Ok(()));
            for entry in fs::read_dir(self.top)? {
                match entry.and_then(|it| self.remove_entry(&it)) {
                    Ok(()) => removed_some = true,
                    Err(error) => result = result.and(Err(error)),
                }
            }
            // What was lifted meanwhile is still in it.
            match result.and_then(|()| gone(fs::remove_dir(self.top))) {
                Err(_) if removed_some => {}
                ended => return ended,
            }
        }
    }

    fn remove_entry(&mut self, entry: &DirEntry) -> io::Result<()> {
        let path = entry.path();
        if !entry.file_type()?.is_dir() {
            return gone(fs::remove_file(path));
        }
        let mut result = Ok(());
        for inner in fs::read_dir(&path)? {
            result = result.and(inner.and_then(|it| self.remove_or_lift(&it)));
        }
        result.and_then(|()| gone(fs::remove_dir(path)))
    }

    fn remove_or_lift(&mut self, inner: &DirEntry) -> io::Result<()> {
        let path = inner.path();
        if !inner.file_type()?.is_dir() {
            return gone(fs::remove_file(path));
        }
        gone(fs::remove_dir(&path)).or_else(|_| just_rename(&path, &self.next_name()))
    }

    /// One that is taken, by who was interrupted at this before, is met once only: by then it is empty.
    fn next_name(&mut self) -> PathBuf {
        self.lifted += 1;
        self.top.join(format!(".lifted-{}-{}", std::process::id(), self.lifted))
    }
}

/// What is gone is removed, whoever did it.
fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

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
}
