//! Tarballs, made by hand: good ones, and nearly good ones.

use std::io::Write as _;

use md5::{Digest as _, Md5};
use sha2::Sha256;

/// The bytes of a tarball with these files; `control` is executable.
pub fn tarball(files: &[(&str, &[u8])]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::File::create(&path).unwrap().write_all(content).unwrap();
    }
    let run = |program: &str, args: &[&str]| {
        let output =
            std::process::Command::new(program).args(args).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    if folder.path().join("control").exists() {
        run("chmod", &["755", "control"]);
    }
    let names: Vec<&str> = files.iter().map(|(path, _)| path.split('/').next().unwrap()).collect();
    run("tar", &[&["--mtime=@0", "--owner=0", "--group=0", "-czf", "-"], &names[..]].concat())
}

/// A good one that says `word`.
pub fn package(word: &str) -> Vec<u8> {
    tarball(&[("control", format!("#!/bin/sh\necho {word}\n").as_bytes())])
}

/// With a manifest that says this.
pub fn package_with(manifest: &str) -> Vec<u8> {
    tarball(&[("control", b"#!/bin/sh\n"), ("manifest.json", manifest.as_bytes())])
}

pub fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

pub fn md5(bytes: &[u8]) -> String {
    format!("{:x}", Md5::digest(bytes))
}

/// A good one of about so many bytes, which do not become fewer.
pub fn large_package(bytes: usize) -> Vec<u8> {
    let (mut noise, mut block) = (Vec::with_capacity(bytes + 32), Sha256::digest(b"noise"));
    while noise.len() < bytes {
        noise.extend(block);
        block = Sha256::digest(block);
    }
    tarball(&[("control", b"#!/bin/sh\n"), ("noise", &noise)])
}

/// Writes it with the `.md5` beside it.
pub fn write_with_md5(folder: &std::path::Path, file: &str, bytes: &[u8]) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(file), bytes).unwrap();
    std::fs::write(folder.join(format!("{file}.md5")), format!("{}  {file}\n", md5(bytes))).unwrap();
}
