//! What is in a package, as a list, and its manifest.

use std::collections::BTreeMap;
use std::io::{BufRead, Read};

use serde::Serialize;

use crate::limits::Limits;
use crate::manifest::{MANIFEST, MANIFEST_BYTES_MAX, Manifest, ManifestError};
use crate::path::EntryPath;
use crate::sink::Sink;
use crate::walk::{Summary, WalkError, walk};

/// Entries that a listing keeps.
const ENTRIES_MAX: usize = 65_536;
/// Bytes of paths and targets together that it keeps: a small archive may have many long ones.
const TEXT_BYTES_MAX: usize = 8 << 20;

/// One thing in a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    pub path: String,
    pub kind: EntryKind,
    pub mode: u32,
    /// Bytes of a file, and of the file that a hard link is another name of; else 0.
    pub size: u64,
    /// Where a link leads.
    pub target: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    File,
    Folder,
    Symlink,
    Hardlink,
}

/// Lists a package while it is walked through, and reads its manifest.
#[derive(Debug, Default)]
pub struct Listing {
    /// By path, because the mode of a folder may be told long after it.
    entries: BTreeMap<String, Rest>,
    text_bytes: usize,
    truncated: bool,
    manifest: Option<Manifest>,
}

/// An entry without its path.
#[derive(Debug)]
struct Rest {
    kind: EntryKind,
    mode: u32,
    size: u64,
    target: Option<String>,
}

/// A package that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    pub summary: Summary,
    /// In the order of their paths' bytes.
    pub entries: Vec<Entry>,
    /// There are more than the list has.
    pub truncated: bool,
    pub manifest: Option<Manifest>,
}

/// Walks through a `.tar.gz`, lists what is in it and reads its manifest. What either is refused for ends it.
pub fn inspect(tarball: impl Read + Send, limits: &Limits) -> Result<Inspected, WalkError<ManifestError>> {
    let mut listing = Listing::default();
    let summary = walk(tarball, limits, &mut listing)?;
    Ok(listing.inspected(summary))
}

impl Listing {
    /// After a walk that ended well, with what that gave.
    pub fn inspected(self, summary: Summary) -> Inspected {
        let whole = |(path, Rest { kind, mode, size, target })| Entry { path, kind, mode, size, target };
        Inspected {
            summary,
            entries: self.entries.into_iter().map(whole).collect(),
            truncated: self.truncated,
            manifest: self.manifest,
        }
    }

    fn add(&mut self, path: &EntryPath, rest: Rest) {
        let bytes = path.as_str().len() + rest.target.as_ref().map_or(0, String::len);
        if self.entries.len() >= ENTRIES_MAX || self.text_bytes.saturating_add(bytes) > TEXT_BYTES_MAX {
            self.truncated = true;
            return;
        }
        self.text_bytes += bytes;
        self.entries.insert(path.to_string(), rest);
    }

    /// Of anything but a regular file.
    fn add_other(&mut self, path: &EntryPath, rest: Rest) -> Result<(), ManifestError> {
        if path.as_str() == MANIFEST {
            return Err(ManifestError::NoFile);
        }
        self.add(path, rest);
        Ok(())
    }

    fn read_manifest(&mut self, size: u64, content: &mut dyn BufRead) -> Result<(), ManifestError> {
        if size > MANIFEST_BYTES_MAX as u64 {
            return Err(ManifestError::TooLarge);
        }
        let mut bytes = Vec::new();
        // What fails here is the archive, and the walk knows why.
        if content.read_to_end(&mut bytes).is_ok() {
            self.manifest = Some(Manifest::read(&bytes)?);
        }
        Ok(())
    }
}

impl Sink for Listing {
    type Error = ManifestError;

    fn folder(&mut self, path: &EntryPath, mode: u32) -> Result<(), ManifestError> {
        self.add_other(path, Rest { kind: EntryKind::Folder, mode, size: 0, target: None })
    }

    fn folder_mode(&mut self, path: &EntryPath, mode: u32) -> Result<(), ManifestError> {
        if let Some(folder) = self.entries.get_mut(path.as_str()) {
            folder.mode = mode;
        }
        Ok(())
    }

    fn file(
        &mut self,
        path: &EntryPath,
        mode: u32,
        size: u64,
        content: &mut dyn BufRead,
    ) -> Result<(), ManifestError> {
        if path.as_str() == MANIFEST {
            self.read_manifest(size, content)?;
        }
        self.add(path, Rest { kind: EntryKind::File, mode, size, target: None });
        Ok(())
    }

    fn symlink(&mut self, path: &EntryPath, target: &str) -> Result<(), ManifestError> {
        let target = Some(target.to_owned());
        self.add_other(path, Rest { kind: EntryKind::Symlink, mode: 0o777, size: 0, target })
    }

    fn hard_link(&mut self, path: &EntryPath, existing: &EntryPath) -> Result<(), ManifestError> {
        // It is not in the list where that is cut.
        let (mode, size) = self.entries.get(existing.as_str()).map_or((0, 0), |file| (file.mode, file.size));
        let target = Some(existing.to_string());
        self.add_other(path, Rest { kind: EntryKind::Hardlink, mode, size, target })
    }
}
