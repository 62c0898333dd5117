//! Archives that others packed: the tar crate, and the tools that are on PATH.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use ops_package::Limits;
use proptest::prelude::*;

use crate::recording::{Told, record};
use crate::tarball::gz;

/// A tree to be packed: what a sink should be told of it.
type Tree = BTreeMap<String, Told>;

fn name() -> impl Strategy<Value = String> {
    // Short and long ones, so that names below 100 bytes, ustar prefixes and long-name headers all occur.
    prop_oneof![4 => "[a-z0-9_.+~@ -]{1,12}[a-z]", 1 => "[a-z]{60,120}", 1 => "[äöü€]{1,20}"]
}

fn tree() -> impl Strategy<Value = Tree> {
    let file = (prop::sample::select(vec![0o644, 0o755, 0o600]), prop::collection::vec(any::<u8>(), 0..2000));
    let files = prop::collection::vec((prop::collection::vec(name(), 1..4), file), 0..8);
    files.prop_map(|files| {
        let control = ("control".to_owned(), Told::File(0o755, b"#!/bin/sh\n".to_vec()));
        files.into_iter().fold(BTreeMap::from([control]), add)
    })
}

/// Adds a file and the folders it lies in, unless something else stands there.
fn add(mut tree: Tree, (names, (mode, content)): (Vec<String>, (u32, Vec<u8>))) -> Tree {
    let folders: Vec<_> = (1..names.len()).map(|len| names[..len].join("/")).collect();
    let free = |path: &String| !matches!(tree.get(path), Some(Told::File(..)));
    let path = names.join("/");
    if folders.iter().all(free) && !tree.contains_key(&path) {
        tree.extend(folders.into_iter().map(|folder| (folder, Told::Folder(0o755))));
        tree.insert(path, Told::File(mode, content));
    }
    tree
}

fn write(tree: &Tree, folder: &Path) {
    for (path, told) in tree {
        let at = folder.join(path);
        match told {
            Told::Folder(_) => fs::create_dir(&at).unwrap(),
            Told::File(_, content) => fs::write(&at, content).unwrap(),
            Told::Symlink(target) => symlink(target, &at).unwrap(),
            Told::HardLink(existing) => fs::hard_link(folder.join(existing), &at).unwrap(),
        }
        if let Told::Folder(mode) | Told::File(mode, _) = told {
            fs::set_permissions(&at, fs::Permissions::from_mode(*mode)).unwrap();
        }
    }
}

fn told(tarball: &[u8]) -> Tree {
    record(tarball, &Limits::default()).unwrap().1.told
}

/// A tool's standard output, or `None` when it is not here.
fn output(command: &mut Command) -> Option<Vec<u8>> {
    let output = command.stderr(Stdio::inherit()).output().ok()?;
    assert!(output.status.success(), "{command:?}");
    Some(output.stdout)
}

fn gnu_tar(folder: &Path, args: &[&str]) -> Option<Vec<u8>> {
    output(Command::new("tar").arg("-C").arg(folder).args(["-czf", "-"]).args(args).arg("."))
}

fn some_tree() -> Tree {
    let file = |content: &[u8]| Told::File(0o755, content.to_vec());
    BTreeMap::from([
        ("bin".to_owned(), Told::Folder(0o755)),
        ("bin/agent".to_owned(), file(&[7; 300_000])),
        ("control".to_owned(), file(b"#!/bin/sh\n")),
        ("lib".to_owned(), Told::Folder(0o700)),
        ("lib/current".to_owned(), Told::Symlink("../bin/agent".to_owned())),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn what_the_tar_crate_packs_comes_out(tree in tree()) {
        let folder = tempfile::tempdir().unwrap();
        write(&tree, folder.path());
        let mut builder = tar::Builder::new(Vec::new());
        builder.append_dir_all("", folder.path()).unwrap();
        prop_assert_eq!(told(&gz(&builder.into_inner().unwrap())), tree);
    }

    #[test]
    fn what_gnu_tar_packs_comes_out(tree in tree(), format in prop::sample::select(vec!["gnu", "pax", "oldgnu"])) {
        let folder = tempfile::tempdir().unwrap();
        write(&tree, folder.path());
        if let Some(tarball) = gnu_tar(folder.path(), &["--format", format]) {
            prop_assert_eq!(told(&tarball), tree);
        }
    }
}

#[test]
fn gnu_tar_in_all_its_formats() {
    let folder = tempfile::tempdir().unwrap();
    write(&some_tree(), folder.path());
    for args in [
        &["--format=gnu"][..],
        &["--format=oldgnu"],
        &["--format=pax"],
        &["--format=ustar"],
        &["--format=v7"],
        &["--format=pax", "--numeric-owner", "--owner=4294967294", "--mtime=@-1.5"],
        &["--format=gnu", "--owner=:4294967294", "--mtime=@-1"],
        &["--blocking-factor=1"],
        &["--blocking-factor=2000"],
    ] {
        if let Some(tarball) = gnu_tar(folder.path(), args) {
            assert_eq!(told(&tarball), some_tree(), "{args:?}");
        }
    }
}

#[test]
fn gnu_tar_with_hard_links() {
    let folder = tempfile::tempdir().unwrap();
    write(&some_tree(), folder.path());
    fs::hard_link(folder.path().join("bin/agent"), folder.path().join("zz")).unwrap();
    if let Some(tarball) = gnu_tar(folder.path(), &["--sort=name"]) {
        assert_eq!(told(&tarball)["zz"], Told::HardLink("bin/agent".to_owned()));
    }
}

#[test]
fn gnu_tars_sparse_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    write(&some_tree(), folder.path());
    let file = fs::File::create(folder.path().join("hole")).unwrap();
    file.set_len(10 << 20).unwrap();
    if file.metadata().unwrap().blocks() > 0 {
        return;
    }
    for format in ["--format=gnu", "--format=pax"] {
        if let Some(tarball) = gnu_tar(folder.path(), &["--sparse", format]) {
            let refusal = record(&tarball, &Limits::default()).unwrap_err();
            assert_eq!(refusal.code(), "archive_unsafe", "{refusal}");
        }
    }
}

#[test]
fn git_archive() {
    let folder = tempfile::tempdir().unwrap();
    write(&some_tree(), folder.path());
    let git = || {
        let mut git = Command::new("git");
        git.arg("-C").arg(folder.path()).args(["-c", "user.name=x", "-c", "user.email=x@example.org"]);
        git
    };
    if output(git().args(["init", "-q"])).is_none() {
        return;
    }
    output(git().args(["add", "."]));
    output(git().args(["commit", "-q", "-m", "x"]));
    let tarball = output(git().args(["archive", "--format=tar.gz", "HEAD"])).unwrap();
    assert_eq!(told(&tarball).keys().collect::<Vec<_>>(), some_tree().keys().collect::<Vec<_>>());
}

#[test]
fn python() {
    let folder = tempfile::tempdir().unwrap();
    write(&some_tree(), folder.path());
    let script = "import sys, tarfile\n\
        tar = tarfile.open(fileobj=sys.stdout.buffer, mode='w|gz', format=int(sys.argv[2]))\n\
        tar.add(sys.argv[1], arcname='.')\n\
        tar.close()";
    for format in ["0", "1", "2"] {
        let mut command = Command::new("python3");
        if let Some(tarball) = output(command.args(["-c", script]).arg(folder.path()).arg(format)) {
            assert_eq!(told(&tarball), some_tree(), "format {format}");
        }
    }
}
