//! A sink that remembers what it was told, and checks that it could rely on it.

use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::io::BufRead;
use std::path::{Component, Path};

use ops_package::{EntryPath, Limits, Refusal, Sink, Summary, WalkError, walk};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Told {
    Folder(u32),
    File(u32, Vec<u8>),
    Symlink(String),
    HardLink(String),
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Recording {
    pub(crate) told: BTreeMap<String, Told>,
    folders: HashSet<String>,
}

impl Recording {
    fn add(&mut self, path: &EntryPath, told: Told) {
        let components = path.as_path().components();
        assert!(components.clone().all(|component| matches!(component, Component::Normal(_))));
        assert_eq!(components.count(), path.components().count());
        let above = path.as_path().parent().unwrap();
        assert!(
            above == Path::new("") || self.folders.contains(above.to_str().unwrap()),
            "{path} before its folder"
        );
        assert!(self.told.insert(path.to_string(), told).is_none(), "{path} twice");
    }
}

impl Sink for Recording {
    type Error = Infallible;

    fn folder(&mut self, path: &EntryPath, mode: u32) -> Result<(), Infallible> {
        self.add(path, Told::Folder(mode));
        self.folders.insert(path.to_string());
        Ok(())
    }

    fn folder_mode(&mut self, path: &EntryPath, mode: u32) -> Result<(), Infallible> {
        assert_eq!(self.told.insert(path.to_string(), Told::Folder(mode)), Some(Told::Folder(0o755)));
        Ok(())
    }

    fn file(
        &mut self,
        path: &EntryPath,
        mode: u32,
        size: u64,
        content: &mut dyn BufRead,
    ) -> Result<(), Infallible> {
        let mut bytes = Vec::new();
        if content.read_to_end(&mut bytes).is_ok() {
            assert_eq!(bytes.len() as u64, size);
        }
        self.add(path, Told::File(mode, bytes));
        Ok(())
    }

    fn symlink(&mut self, path: &EntryPath, target: &str) -> Result<(), Infallible> {
        self.add(path, Told::Symlink(target.to_owned()));
        Ok(())
    }

    fn hard_link(&mut self, path: &EntryPath, existing: &EntryPath) -> Result<(), Infallible> {
        assert!(matches!(self.told[existing.as_str()], Told::File(..) | Told::HardLink(_)));
        self.add(path, Told::HardLink(existing.to_string()));
        Ok(())
    }
}

/// Limits that tests can reach.
pub(crate) fn small_limits() -> Limits {
    Limits {
        unpacked_bytes_max: 1 << 20,
        entries_max: 100,
        path_bytes_max: 300,
        depth_max: 8,
        metadata_bytes_max: 4096,
    }
}

pub(crate) fn record(tarball: &[u8], limits: &Limits) -> Result<(Summary, Recording), Refusal> {
    let mut sink = Recording::default();
    match walk(tarball, limits, &mut sink) {
        Ok(summary) => Ok((summary, sink)),
        Err(WalkError::Refused(refusal)) => Err(refusal),
        Err(WalkError::Read(error)) => panic!("{error}"),
    }
}

/// What an accepted package holds.
pub(crate) fn accepted(tarball: &[u8]) -> BTreeMap<String, Told> {
    record(tarball, &small_limits()).unwrap().1.told
}

/// A refusal as `CODE Variant`.
pub(crate) fn named(refusal: &Refusal) -> String {
    let debug = format!("{refusal:?}");
    let variant = debug.split([' ', '{']).next().unwrap();
    format!("{} {variant}", refusal.code())
}
