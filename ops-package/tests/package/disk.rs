//! A sink that writes without a thought of its own, and archives that try everything.

use std::fs;
use std::io::{self, BufRead};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use ops_package::{EntryPath, Sink, walk};
use proptest::prelude::*;

use crate::recording::small_limits;
use crate::tarball::{Head, Tar};

struct Disk(PathBuf);

impl Disk {
    fn at(&self, path: &EntryPath) -> PathBuf {
        self.0.join(path.as_path())
    }
}

impl Sink for Disk {
    type Error = io::Error;

    fn folder(&mut self, path: &EntryPath, _: u32) -> io::Result<()> {
        fs::create_dir(self.at(path))
    }

    fn folder_mode(&mut self, _: &EntryPath, _: u32) -> io::Result<()> {
        Ok(())
    }

    fn file(&mut self, path: &EntryPath, _: u32, _: u64, content: &mut dyn BufRead) -> io::Result<()> {
        let mut file = fs::File::create(self.at(path))?;
        io::copy(content, &mut file).map(|_| ())
    }

    fn symlink(&mut self, path: &EntryPath, target: &str) -> io::Result<()> {
        symlink(target, self.at(path))
    }

    fn hard_link(&mut self, path: &EntryPath, existing: &EntryPath) -> io::Result<()> {
        fs::hard_link(self.at(existing), self.at(path))
    }
}

/// Everything below `folder` leads to something below it, or to nothing.
fn stays_inside(folder: &Path, root: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if let Ok(real) = fs::canonicalize(entry.path()) {
            assert!(real.starts_with(root), "{} leads to {}", entry.path().display(), real.display());
        }
        if entry.file_type().unwrap().is_dir() {
            stays_inside(&entry.path(), root);
        }
    }
}

fn path() -> impl Strategy<Value = String> {
    let component = prop::sample::select(vec!["a", "b", "c", "a", "b", "..", ".", "", "control"]);
    prop::collection::vec(component, 1..5).prop_map(|components| components.join("/"))
}

fn entry() -> impl Strategy<Value = (u8, String, String)> {
    (prop::sample::select(b"01225".to_vec()), path(), path())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn nothing_gets_outside(entries in prop::collection::vec(entry(), 1..8)) {
        let outer = tempfile::tempdir().unwrap();
        let outside = fs::canonicalize(outer.path()).unwrap();
        let root = outside.join("x/y/root");
        fs::create_dir_all(&root).unwrap();
        let tar = entries.iter().fold(Tar::empty(), |tar, (kind, name, link)| {
            tar.head(&Head { kind: *kind, name: name.as_bytes(), link: link.as_bytes(), ..Head::default() }, b"")
        });
        let _ = walk(&tar.gz()[..], &small_limits(), &mut Disk(root.clone()));
        stays_inside(&root, &root);
        for (folder, only) in [("", "x"), ("x", "y"), ("x/y", "root")] {
            let names: Vec<_> = fs::read_dir(outside.join(folder)).unwrap().map(|e| e.unwrap().file_name()).collect();
            prop_assert_eq!(names, [only]);
        }
    }
}
