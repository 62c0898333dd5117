//! `ops-meta package` in a folder with a small agent.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::command_line::{Said, command, run};

/// `ops-meta package ...` in a folder.
pub fn package(folder: &TempDir, args: &[&str]) -> Said {
    run(command(&[&["package"], args].concat()).env("PATH", "/usr/bin:/bin").current_dir(folder.path()))
}

pub fn make_executable(file: &Path) {
    fs::set_permissions(file, Permissions::from_mode(0o755)).unwrap();
}

/// A folder with the folder `agent` in it, which has a control script and a file.
pub fn agent() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let agent = folder.path().join("agent");
    fs::create_dir_all(agent.join("bin")).unwrap();
    fs::write(agent.join("control"), "#!/bin/sh\n").unwrap();
    make_executable(&agent.join("control"));
    fs::write(agent.join("bin/agent"), "elf").unwrap();
    symlink("bin/agent", agent.join("current")).unwrap();
    folder
}

pub const AS_1_0: [&str; 6] = ["pack", "agent", "--name", "agent", "--version", "1.0"];

pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = entries.collect();
    names.sort();
    names
}

/// Runs a tool that has to be well.
pub fn tool(folder: &Path, args: &[&str]) -> String {
    let output = Command::new(args[0]).args(&args[1..]).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{args:?} {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Nothing is written, and standard error has each of these.
pub fn refused(folder: &TempDir, args: &[&str], code: i32, sentences: &[&str]) {
    let before = names(folder.path());
    let said = package(folder, args);
    assert_eq!((said.code, said.out.as_str()), (code, ""), "{said:?}");
    for sentence in sentences {
        assert!(said.err.contains(sentence), "{sentence:?} is not in {said:?}");
    }
    assert_eq!(names(folder.path()), before);
}
