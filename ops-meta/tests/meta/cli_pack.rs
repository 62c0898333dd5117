//! Packing: the same bytes each time, whole or not at all, and what cannot be packed told in words.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;

use crate::support::command_line::{command, run};
use crate::support::packages::{AS_1_0, agent, names, package, refused, tool};

#[test]
fn packed_twice_is_the_same_from_a_copy_of_other_times_and_owners_too() {
    let folder = agent();
    package(&folder, &AS_1_0).ok();
    let file = folder.path().join("agent-1.0.tar.gz");
    let first = fs::read(&file).unwrap();
    assert_eq!(package(&folder, &AS_1_0).ok().err, "");

    tool(folder.path(), &["cp", "-R", "agent", "copy"]);
    tool(folder.path(), &["touch", "-h", "-d", "2001-01-01", "copy/bin/agent", "copy/current", "copy"]);
    // Only root can give files away.
    let _ = Command::new("chown").args(["-R", "12345:54321", "copy"]).current_dir(folder.path()).output();
    fs::set_permissions(folder.path().join("copy/bin/agent"), Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(folder.path().join("copy/bin"), Permissions::from_mode(0o700)).unwrap();
    package(&folder, &["pack", "copy", "--name", "agent", "--version", "1.0", "--out", "a/b"]).ok();
    assert_eq!(fs::read(folder.path().join("a/b/agent-1.0.tar.gz")).unwrap(), first);
    let listed = tool(folder.path(), &["tar", "-tvzf", "agent-1.0.tar.gz", "--numeric-owner", "--utc"]);
    let lines: Vec<_> = listed.lines().collect();
    assert!(
        lines[0].starts_with("drwxr-xr-x 0/0 ") && lines[0].ends_with("1970-01-01 00:00 bin/"),
        "{listed}"
    );
    assert!(
        lines[1].starts_with("-rw-r--r-- 0/0 ") && lines[3].ends_with("current -> bin/agent"),
        "{listed}"
    );
}

#[test]
fn the_time_of_the_source_is_that_of_every_entry() {
    let folder = agent();
    let pack = |epoch: &str, version: &str| {
        let args = ["package", "pack", "agent", "--name", "agent", "--version", version];
        run(command(&args).env("SOURCE_DATE_EPOCH", epoch).current_dir(folder.path()))
    };
    pack("1000000000", "2").ok();
    let listed = tool(folder.path(), &["tar", "-tvzf", "agent-2.tar.gz", "--utc"]);
    assert!(listed.lines().all(|line| line.contains(" 2001-09-09 01:46 ")), "{listed}");
    let said = pack("yesterday", "3");
    assert!(said.code == 2 && said.err.contains("SOURCE_DATE_EPOCH is \"yesterday\""), "{said:?}");
}

#[test]
fn the_digests_are_those_that_the_tools_check() {
    let folder = agent();
    package(&folder, &AS_1_0).ok();
    assert_eq!(
        names(folder.path()),
        ["agent", "agent-1.0.tar.gz", "agent-1.0.tar.gz.md5", "agent-1.0.tar.gz.sha256"]
    );
    tool(folder.path(), &["md5sum", "--strict", "-c", "agent-1.0.tar.gz.md5"]);
    tool(folder.path(), &["sha256sum", "--strict", "-c", "agent-1.0.tar.gz.sha256"]);
    let written = tool(folder.path(), &["sha256sum", "agent-1.0.tar.gz"]);
    assert_eq!(fs::read_to_string(folder.path().join("agent-1.0.tar.gz.sha256")).unwrap(), written);
}

#[test]
fn what_would_be_taken_for_another_agent_has_to_say_what_it_is() {
    let folder = agent();
    let args = ["pack", "agent", "--name", "agent-2", "--version", "1.0"];
    let said = package(&folder, &args);
    assert!(
        said.code == 2 && said.err.contains("agent 2-1.0") && said.err.contains("manifest.json"),
        "{said:?}"
    );
    assert_eq!(names(folder.path()).len(), 1, "nothing is made");
    fs::write(folder.path().join("agent/manifest.json"), r#"{"name": "agent-2"}"#).unwrap();
    package(&folder, &args).ok();
    package(&folder, &["check", "agent-2-1.0.tar.gz"]).ok();
}

#[test]
fn another_package_of_the_name_is_kept_unless_forced() {
    let folder = agent();
    let file = folder.path().join("agent-1.0.tar.gz");
    package(&folder, &AS_1_0).ok();
    let first = fs::read(&file).unwrap();
    fs::write(folder.path().join("agent/bin/agent"), "other").unwrap();
    let said = package(&folder, &AS_1_0);
    assert!(said.code == 1 && said.err.contains("--force") && said.err.contains("its digest is"), "{said:?}");
    assert_eq!((fs::read(&file).unwrap() == first, names(folder.path()).len()), (true, 4));
    package(&folder, &["check", "agent-1.0.tar.gz"]).ok();

    package(&folder, &[&AS_1_0[..], &["--force"]].concat()).ok();
    assert_ne!(fs::read(&file).unwrap(), first);
    package(&folder, &["check", "agent-1.0.tar.gz"]).ok();

    // A file of digests that says the same in another form stays.
    let sums = folder.path().join("agent-1.0.tar.gz.md5");
    let other_form = fs::read_to_string(&sums).unwrap().replace("  ", " *");
    fs::write(&sums, &other_form).unwrap();
    package(&folder, &AS_1_0).ok();
    assert_eq!(fs::read_to_string(&sums).unwrap(), other_form);
}

/// Packs, and is killed at the `nth` of the calls that change the folder. Whether it was.
fn killed_at(folder: &Path, nth: usize) -> bool {
    let mut strace = Command::new("strace");
    let calls = "rename,renameat,renameat2,unlink,unlinkat,openat,fsync";
    strace.args(["-f", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
    strace.args(["-e", &format!("inject={calls}:signal=KILL:when={nth}"), env!("CARGO_BIN_EXE_ops-meta")]);
    strace.arg("package").args(AS_1_0).arg("--force").current_dir(folder);
    let output = strace.output().expect("packaging/deps.sh brings strace");
    assert!(output.status.success() || output.status.signal() == Some(9), "{output:?}");
    !output.status.success()
}

#[test]
fn a_kill_leaves_no_package_beside_the_digests_of_another() {
    let folder = agent();
    let [file, content] = ["agent-1.0.tar.gz", "agent/bin/agent"].map(|it| folder.path().join(it));
    let (mut nth, mut kept, mut replaced) = (1, 0, 0);
    loop {
        fs::write(&content, "old").unwrap();
        package(&folder, &[&AS_1_0[..], &["--force"]].concat()).ok();
        assert_eq!(names(folder.path()).len(), 4, "what the kill before left is gone");
        let old = fs::read(&file).unwrap();
        fs::write(&content, "new").unwrap();
        if !killed_at(folder.path(), nth) {
            break;
        }
        package(&folder, &["check", "agent-1.0.tar.gz"]).ok();
        *if fs::read(&file).unwrap() == old { &mut kept } else { &mut replaced } += 1;
        nth += 1;
    }
    assert!(kept > 5 && replaced > 2, "{kept} {replaced}");
}

#[test]
fn what_another_pack_is_writing_stays() {
    let folder = agent();
    let [left, held] = [".agent-1.0.tar.gz.4294967295.part", ".agent-1.0.tar.gz.4294967294.part"]
        .map(|name| folder.path().join(name));
    fs::write(&left, "left").unwrap();
    let holding = fs::File::create(&held).unwrap();
    holding.lock().unwrap();
    package(&folder, &AS_1_0).ok();
    assert_eq!((left.exists(), held.exists()), (false, true));
}

#[test]
fn all_that_cannot_be_packed_is_told_before_anything_is_written() {
    let folder = agent();
    let agent = folder.path().join("agent");
    tool(&agent, &["mkfifo", "queue"]);
    let _socket = UnixListener::bind(agent.join("socket")).unwrap();
    symlink("/etc/passwd", agent.join("absolute")).unwrap();
    symlink("../../x", agent.join("bin/up")).unwrap();
    fs::create_dir(agent.join(".ops-updater")).unwrap();
    fs::write(agent.join(".ops-updater/x"), "").unwrap();
    fs::write(agent.join("a\u{1b}b"), "").unwrap();
    fs::write(agent.join("manifest.json"), r#"{"os": 1}"#).unwrap();
    let sentences = [
        "agent: `queue` is refused: it is a fifo",
        "agent: `socket` is refused: it is a socket",
        "agent: the symlink `absolute` to `/etc/passwd` is refused: its target is absolute",
        "agent: the symlink `bin/up` to `../../x` is refused: its target lies outside the archive",
        "agent: `.ops-updater` is refused: the name is reserved for the host",
        "agent: the path `a\\u{1b}b` is refused: it has control characters",
        "agent: `os` in `manifest.json` is refused: a text is wanted, not `1`",
    ];
    for args in [&AS_1_0[..], &["check", "agent"]] {
        refused(&folder, args, 1, &sentences);
        assert_eq!(package(&folder, args).err.lines().count(), sentences.len());
    }
}

#[test]
fn a_folder_without_a_control_that_runs_is_refused_with_advice() {
    let folder = agent();
    let control = folder.path().join("agent/control");
    fs::set_permissions(&control, Permissions::from_mode(0o644)).unwrap();
    refused(
        &folder,
        &AS_1_0,
        1,
        &["agent: `control` is not executable by its owner; say `chmod +x agent/control`"],
    );
    fs::remove_file(&control).unwrap();
    refused(&folder, &AS_1_0, 1, &["no `control` at its root", "ops-meta package new"]);
    symlink("bin/agent", &control).unwrap();
    refused(&folder, &AS_1_0, 1, &["`control` is not a regular file"]);
    fs::create_dir(folder.path().join("outer")).unwrap();
    fs::rename(folder.path().join("agent"), folder.path().join("outer/inner")).unwrap();
    refused(&folder, &["pack", "outer", "--name", "a", "--version", "1"], 1, &["pack `outer/inner`"]);
}

#[test]
fn name_and_version_come_from_whoever_says_them_and_nobody_is_contradicted() {
    let folder = agent();
    refused(
        &folder,
        &["pack", "agent"],
        2,
        &["nothing says which agent and version it is", "--name and --version"],
    );
    refused(&folder, &["pack", "agent", "--name", "agent"], 2, &["nothing says which version it is"]);
    refused(&folder, &["pack", "agent", "--name", "../x", "--version", "1"], 2, &["--name"]);
    refused(&folder, &["pack", "nowhere"], 1, &["nowhere: failed to read the folder: No such file"]);

    fs::write(folder.path().join("agent/manifest.json"), r#"{"name": "a-b", "version": "v7", "owner": "x"}"#)
        .unwrap();
    refused(&folder, &AS_1_0, 2, &["--name says `agent`, and manifest.json says `a-b`"]);
    let said = package(&folder, &["pack", "agent"]).ok();
    assert!(said.err.contains("warning: manifest.json has the key `owner`"), "{said:?}");
    fs::remove_file(folder.path().join("agent/manifest.json")).unwrap();

    fs::rename(folder.path().join("agent"), folder.path().join("agent-2.0-rc1")).unwrap();
    package(&folder, &["pack", "agent-2.0-rc1"]).ok();
    let inside = ["package", "pack", ".", "--out", ".."];
    run(command(&inside).current_dir(folder.path().join("agent-2.0-rc1"))).ok();
    let there = names(folder.path());
    assert!(["a-b-v7.tar.gz", "agent-2.0-rc1.tar.gz"].iter().all(|it| there.iter().any(|name| name == it)));
}

#[test]
fn a_package_is_not_put_into_itself() {
    let folder = agent();
    let into = [&AS_1_0[..], &["--out", "agent/bin"]].concat();
    refused(&folder, &into, 2, &["would be put into the folder that is packed", "--out"]);
}
