//! What is packed is accepted, is what it was, and is the same each time.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};

use ops_package::{Algorithm, Digesting, Limits, Mode, Outline, Packed, Packer, Refusal};
use proptest::prelude::*;

use crate::recording::{Told, record};

/// By path, so in the order in which it is packed.
type Tree = BTreeMap<String, Told>;

/// Reads in pieces of odd sizes, as a slow disk may.
struct Dribble<'a>(&'a [u8]);

impl Read for Dribble<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = buffer.len().min(777);
        self.0.read(&mut buffer[..len])
    }
}

fn pack_from(tree: &Tree, mtime: u64, dribble: bool) -> (Vec<u8>, Packed) {
    let limits = Limits::default();
    let mut outline = Outline::new(&limits);
    let mut packer = Packer::new(Vec::new(), mtime);
    for (path, told) in tree {
        let path = path.as_bytes();
        match told {
            Told::Folder(_) => packer.folder(&outline.folder(path).unwrap()).unwrap(),
            Told::File(mode, content) => {
                let (bytes, mode) = (content.len() as u64, Mode::of(*mode));
                let path = outline.file(path, bytes, mode).unwrap();
                let content: &mut dyn Read =
                    if dribble { &mut Dribble(content) } else { &mut content.as_slice() };
                packer.file(&path, bytes, mode, content).unwrap();
            }
            Told::Symlink(target) => {
                let (path, target) = outline.symlink(path, target.as_bytes()).unwrap();
                packer.symlink(&path, &target).unwrap();
            }
            Told::HardLink(_) => unreachable!(),
        }
    }
    assert_eq!(outline.finish(), Ok(tree.len() as u64));
    packer.finish().unwrap()
}

fn pack(tree: &Tree) -> Vec<u8> {
    pack_from(tree, 0, false).0
}

fn control() -> (String, Told) {
    ("control".to_owned(), Told::File(0o755, b"#!/bin/sh\n".to_vec()))
}

/// Names around what a header has room for, in one component or several, of one byte or several a character.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[a-z0-9_.+~@ -]{0,12}[a-z]", 1 => "[a-z]{90,120}", 1 => "[a-z]{0,2}[äöü€]{30,60}"]
}

fn told() -> impl Strategy<Value = Told> {
    let content = prop_oneof![prop::collection::vec(any::<u8>(), 0..1600), Just(vec![7; 200_000])];
    let file =
        (prop::sample::select(vec![0o644, 0o755]), content).prop_map(|(mode, it)| Told::File(mode, it));
    let target = prop::collection::vec(name(), 1..4).prop_map(|names| Told::Symlink(names.join("//")));
    prop_oneof![4 => file, 1 => target, 1 => Just(Told::Folder(0o755))]
}

fn tree() -> impl Strategy<Value = Tree> {
    let entries = prop::collection::vec((prop::collection::vec(name(), 1..4), told()), 0..8);
    entries.prop_map(|entries| entries.into_iter().fold(Tree::from([control()]), add))
}

/// Adds an entry and the folders it lies in, unless something else stands there.
fn add(mut tree: Tree, (names, told): (Vec<String>, Told)) -> Tree {
    let folders: Vec<_> = (1..names.len()).map(|len| names[..len].join("/")).collect();
    let free = |path: &String| matches!(tree.get(path), None | Some(Told::Folder(_)));
    let path = names.join("/");
    if folders.iter().all(free) && !tree.contains_key(&path) {
        tree.extend(folders.into_iter().map(|folder| (folder, Told::Folder(0o755))));
        tree.insert(path, told);
    }
    tree
}

/// A tree as it lies on the disk.
fn read(folder: &Path, below: &str, tree: &mut Tree) {
    for entry in fs::read_dir(folder.join(below)).unwrap() {
        let path = Path::new(below).join(entry.unwrap().file_name());
        let (at, path) = (folder.join(&path), path.to_str().unwrap().to_owned());
        let about = at.symlink_metadata().unwrap();
        // GNU tar sets that of a folder once another name follows, as `u.x` does before `u/a`.
        assert!(about.is_dir() || about.mtime() == 1_000_000_000, "{path} {}", about.mtime());
        let mode = about.permissions().mode() & 0o7777;
        let told = if about.is_dir() {
            read(folder, &path, tree);
            Told::Folder(mode)
        } else if about.is_symlink() {
            Told::Symlink(fs::read_link(&at).unwrap().to_str().unwrap().to_owned())
        } else {
            Told::File(mode, fs::read(&at).unwrap())
        };
        tree.insert(path, told);
    }
}

/// What GNU tar makes of a package.
fn unpacked(tarball: &[u8]) -> Tree {
    let folder = tempfile::tempdir().unwrap();
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(folder.path()).args(["-xpzf", "-"]).stdin(Stdio::piped());
    let mut child = tar.spawn().unwrap();
    child.stdin.take().unwrap().write_all(tarball).unwrap();
    assert!(child.wait().unwrap().success());
    let mut tree = Tree::new();
    read(folder.path(), "", &mut tree);
    tree
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn what_was_packed_comes_out(tree in tree()) {
        let (tarball, _) = pack_from(&tree, 1_000_000_000, false);
        prop_assert_eq!(&record(&tarball, &Limits::default()).unwrap().1.told, &tree);
        prop_assert_eq!(&unpacked(&tarball), &tree);
    }

    #[test]
    fn the_same_is_the_same_however_it_is_read(tree in tree()) {
        prop_assert_eq!(pack_from(&tree, 7, false), pack_from(&tree, 7, true));
    }
}

#[test]
fn digests_and_size_are_those_of_what_was_written() {
    let (tarball, packed) = pack_from(&Tree::from([control()]), 0, false);
    let digest = |algorithm| {
        let mut digesting = Digesting::new(io::sink(), algorithm);
        digesting.write_all(&tarball).unwrap();
        digesting.finish().1
    };
    assert_eq!(packed.bytes, tarball.len() as u64);
    assert_eq!(Some(packed.md5), digest(Algorithm::Md5).md5);
    assert_eq!(Some(packed.sha256), digest(Algorithm::Sha256).sha256);
}

#[test]
fn the_gzip_header_names_neither_a_file_nor_a_time() {
    let tarball = pack(&Tree::from([control()]));
    assert_eq!(tarball[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
}

#[test]
fn a_file_that_grows_or_shrinks_meanwhile_is_an_error() {
    let limits = Limits::default();
    for (bytes, content) in [(3, &b"ab"[..]), (3, b"abcd"), (0, b"a"), (1, b"")] {
        let path = Outline::new(&limits).file(b"x", bytes, Mode::Plain).unwrap();
        let packed = Packer::new(io::sink(), 0).file(&path, bytes, Mode::Plain, &mut Dribble(content));
        assert!(packed.unwrap_err().to_string().contains("changed while"), "{bytes}");
    }
}

#[test]
fn an_outline_refuses_what_a_walk_would() {
    let limits = Limits { unpacked_bytes_max: 10, entries_max: 3, ..Limits::default() };
    let outline = || Outline::new(&limits);
    assert_eq!(outline().finish(), Err(Refusal::NoControl));
    let plain = |outline: &mut Outline, path: &[u8]| outline.file(path, 1, Mode::Plain).map(|_| ());
    let mut own = outline();
    plain(&mut own, b"control").unwrap();
    assert_eq!(own.finish(), Err(Refusal::ControlNotExecutable));
    assert!(matches!(plain(&mut outline(), b".ops-updater"), Err(Refusal::Reserved { .. })));
    assert!(matches!(plain(&mut outline(), b"a\xff"), Err(Refusal::Path { .. })));
    assert!(matches!(plain(&mut outline(), b"a\n"), Err(Refusal::Path { .. })));
    assert!(matches!(outline().folder(b"."), Err(Refusal::Path { .. })));
    assert!(matches!(outline().symlink(b"a/b", b"../../c"), Err(Refusal::Symlink { .. })));
    assert!(matches!(outline().symlink(b"a", b"/etc"), Err(Refusal::Symlink { .. })));
    assert_eq!(outline().file(b"a", 11, Mode::Plain), Err(Refusal::UnpackedTooLarge { limit: 10 }));
    let mut full = outline();
    for path in [&b"a"[..], b"b", b"c"] {
        full.folder(path).unwrap();
    }
    assert_eq!(full.folder(b"d"), Err(Refusal::TooManyEntries { limit: 3 }));
}

/// Frozen: what this changes, changes the digest of every package that somebody packs again.
#[test]
fn the_bytes_stay_what_they_are() {
    let long = "l".repeat(120);
    let tree = Tree::from([
        control(),
        ("bin".to_owned(), Told::Folder(0o755)),
        (
            "bin/agent".to_owned(),
            Told::File(0o644, (0..200_000_u32).flat_map(|n| (n.wrapping_mul(n) / 7).to_le_bytes()).collect()),
        ),
        ("bin/current".to_owned(), Told::Symlink(long.clone())),
        (long, Told::File(0o755, b"x".to_vec())),
    ]);
    let (_, packed) = pack_from(&tree, 0, false);
    assert_eq!(packed.sha256.as_str(), "e6d4fed6a34c0ad28ebb98e34f21a4f40518fe7ae3bfb46f26d471154143d557");
}
