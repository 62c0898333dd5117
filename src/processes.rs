//! What runs on this host: the only reader of `/proc/PID`.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How many processes a sentence names.
const NAMED_MAX: usize = 5;

/// A process that has to do with a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    /// Its executable lies below the folder.
    pub executes: bool,
    /// Its working folder lies there.
    pub works: bool,
    pub group: i32,
    /// In Unix clock ticks since boot: with the pid, it names one process for ever.
    pub started: u64,
}

/// The processes that execute a file below `folder` or work there. Our own process and zombies are none of them.
pub fn below(folder: &Path) -> Vec<Process> {
    let own = std::process::id() as i32;
    let folder = real(folder);
    pids().filter(|pid| *pid != own).filter_map(|pid| related(pid, &folder)).collect()
}

/// As the kernel names it: the links of `/proc` lead to real paths.
fn real(folder: &Path) -> PathBuf {
    fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned())
}

/// Whether some process executes, works or has a file open below `folder`.
pub fn uses(folder: &Path) -> bool {
    let folder = &real(folder);
    !below(folder).is_empty() || pids().any(|pid| has_open(pid, folder))
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok()))
}

fn related(pid: i32, folder: &Path) -> Option<Process> {
    let leads_here =
        |name| link(pid, name).is_some_and(|it| it.starts_with(folder) && is_ours(pid, name, &it));
    let (executes, works) = (leads_here("exe"), leads_here("cwd"));
    if !executes && !works {
        return None;
    }
    let (group, started) = stat(pid)?;
    Some(Process { pid, executes, works, group, started })
}

/// In a container the same path may be another file.
fn is_ours(pid: i32, name: &str, path: &Path) -> bool {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
    if namespace(&pid.to_string()) == namespace("self") {
        return true;
    }
    let file = |path: &Path| fs::metadata(path).ok().map(|it| (it.dev(), it.ino()));
    file(Path::new(&format!("/proc/{pid}/{name}"))).is_some_and(|theirs| file(path) == Some(theirs))
}

/// Where a link of `/proc/PID` leads; of a deleted file, where it was.
fn link(pid: i32, name: &str) -> Option<PathBuf> {
    let target = fs::read_link(format!("/proc/{pid}/{name}")).ok()?;
    match target.as_os_str().as_bytes().strip_suffix(b" (deleted)") {
        Some(before) => Some(PathBuf::from(std::ffi::OsStr::from_bytes(before))),
        None => Some(target),
    }
}

fn has_open(pid: i32, folder: &Path) -> bool {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    descriptors.filter_map(|it| fs::read_link(it.path()).ok()).any(|target| target.starts_with(folder))
}

/// Process group and start of a process; `None` when it is gone or a zombie.
fn stat(pid: i32) -> Option<(i32, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name is in parentheses and may hold anything; what follows the last one is regular (proc(5)).
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    let group = fields.nth(1)?.parse().ok()?;
    Some((group, fields.nth(16)?.parse().ok()?))
}

/// The same process is still there.
pub fn is_alive(process: &Process) -> bool {
    stat(process.pid).is_some_and(|(_, started)| started == process.started)
}

/// Processes in words, for a sentence.
pub fn describe(processes: &[Process], folder: &Path) -> String {
    let one = |it: &Process| {
        let does = if it.executes { "executes a file of" } else { "works in" };
        format!("process {} {does} `{}`", it.pid, folder.display())
    };
    let mut named: Vec<String> = processes.iter().take(NAMED_MAX).map(one).collect();
    if processes.len() > NAMED_MAX {
        named.push(format!("{} more", processes.len() - NAMED_MAX));
    }
    if named.is_empty() { "no process of it is to be seen".to_owned() } else { named.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a process to look at")]
    fn a_process_that_works_in_a_folder_is_seen_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap();
        assert_eq!(below(&real), []);
        let mut child = std::process::Command::new("sleep").arg("60").current_dir(&real).spawn().unwrap();
        let seen = below(&real);
        assert_eq!(seen.iter().map(|it| (it.pid, it.works)).collect::<Vec<_>>(), [(child.id() as i32, true)]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!is_alive(&seen[0]) && below(&real).is_empty());
    }
}
