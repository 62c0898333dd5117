//! The folder of uploads: of one that was cut there is a part, which waits to be gone on with, by sha256. Whatever is
//! being written is nobody else's. All of this blocks.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::underway::Underway;

/// Of what has no name yet; that of a run that has ended is of no use.
pub const NAMELESS: &str = "nameless-";

/// Where uploads are written.
pub struct Parts {
    pub folder: PathBuf,
    pub underway: Underway,
}

/// One that lies there.
struct Part {
    name: String,
    changed: SystemTime,
    size: u64,
}

impl Part {
    fn of(name: String, it: &Metadata) -> Self {
        // One whose age nobody can tell is the oldest.
        Self { name, changed: it.modified().unwrap_or(SystemTime::UNIX_EPOCH), size: it.len() }
    }

    fn is_older_than(&self, age: Duration) -> bool {
        // One of the future is new.
        SystemTime::now().duration_since(self.changed).is_ok_and(|is| is >= age)
    }
}

/// Bytes of a file; 0: there is none.
pub fn length(path: &Path) -> u64 {
    fs::symlink_metadata(path).map_or(0, |it| it.len())
}

impl Parts {
    /// Removes what a run before left.
    pub fn remove_nameless(&self) -> io::Result<()> {
        for part in self.all()?.iter().filter(|part| part.name.starts_with(NAMELESS)) {
            fs::remove_file(self.folder.join(&part.name))?;
        }
        Ok(())
    }

    /// Removes what nobody writes, and nobody went on with for so long. How large each was.
    pub fn drop_old(&self, age: Duration) -> io::Result<Vec<u64>> {
        let mut sizes = Vec::new();
        for part in self.all()? {
            sizes.extend(self.remove(&part.name, |part| part.is_older_than(age))?);
        }
        Ok(sizes)
    }

    /// What nobody writes has so many bytes at most: the oldest goes first.
    pub fn bound(&self, bytes_max: u64) -> io::Result<()> {
        let mut parts = self.all()?;
        parts.retain(|part| !self.underway.has(&part.name));
        parts.sort_by_key(|part| part.changed);
        let mut all: u64 = parts.iter().map(|part| part.size).sum();
        for part in parts {
            if all <= bytes_max {
                break;
            }
            self.remove(&part.name, |now| now.changed == part.changed)?;
            // One that somebody goes on with meanwhile counts no more, either.
            all = all.saturating_sub(part.size);
        }
        Ok(())
    }

    fn all(&self) -> io::Result<Vec<Part>> {
        let mut parts = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            // It may be a package meanwhile.
            if let (Ok(name), Some(it)) = (entry.file_name().into_string(), found(entry.metadata())?) {
                parts.push(Part::of(name, &it));
            }
        }
        Ok(parts)
    }

    /// Where nobody writes it and it is still `wanted` out; its size.
    fn remove(&self, name: &str, wanted: impl Fn(&Part) -> bool) -> io::Result<Option<u64>> {
        let Some(_ours) = self.underway.begin(vec![name.to_owned()]) else { return Ok(None) };
        let path = self.folder.join(name);
        let part = found(fs::symlink_metadata(&path))?.map(|it| Part::of(name.to_owned(), &it));
        let Some(part) = part.filter(wanted) else { return Ok(None) };
        Ok(found(fs::remove_file(path))?.map(|()| part.size))
    }
}

/// `None`: it is not there.
fn found<T>(it: io::Result<T>) -> io::Result<Option<T>> {
    match it {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        it => it.map(Some),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::fs::File;

    use super::*;

    fn parts(folder: &Path, of: &[(&str, u64, u64)]) -> Parts {
        for (name, size, age_secs) in of {
            let file = File::create(folder.join(name)).unwrap();
            file.set_len(*size).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(*age_secs)).unwrap();
        }
        Parts { folder: folder.into(), underway: Underway::default() }
    }

    fn names(parts: &Parts) -> Vec<String> {
        let mut names: Vec<_> = parts.all().unwrap().into_iter().map(|part| part.name).collect();
        names.sort();
        names
    }

    #[test]
    fn the_oldest_goes_first_and_what_is_written_stays() {
        let folder = tempfile::TempDir::new().unwrap();
        let parts = parts(folder.path(), &[("a", 10, 5), ("b", 10, 9), ("c", 10, 7), ("d", 10, 99)]);
        let written = parts.underway.begin(vec!["d".to_owned()]);
        parts.bound(30).unwrap();
        assert_eq!(names(&parts), ["a", "b", "c", "d"]);
        parts.bound(29).unwrap();
        assert_eq!(names(&parts), ["a", "c", "d"]);
        parts.bound(0).unwrap();
        assert_eq!(names(&parts), ["d"]);
        drop(written);
        parts.bound(9).unwrap();
        assert_eq!(names(&parts), [""; 0]);
    }

    #[test]
    fn what_is_old_goes_unless_it_is_written() {
        let folder = tempfile::TempDir::new().unwrap();
        let parts = parts(folder.path(), &[("a", 1, 5), ("b", 2, 20), ("c", 4, 30), ("nameless-0", 8, 30)]);
        let written = parts.underway.begin(vec!["c".to_owned()]);
        let mut sizes = parts.drop_old(Duration::from_secs(10)).unwrap();
        sizes.sort_unstable();
        assert_eq!((sizes, names(&parts)), (vec![2, 8], vec!["a".to_owned(), "c".to_owned()]));
        drop(written);
        assert_eq!(parts.drop_old(Duration::ZERO).unwrap().len(), 2);
    }
}
