use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

/// A process that executes a file below a folder or works there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    pub exe: PathBuf,
}

/// The processes that execute a file below `folder` or work there; zombies are none.
pub fn below(folder: &Path) -> Vec<Process> {
    pids()
        .filter(|pid| *pid != std::process::id() as i32)
        .filter_map(|pid| {
            let link = |name: &str| fs::read_link(format!("/proc/{pid}/{name}")).ok();
            let exe = link("exe")?;
            let there = exe.starts_with(folder) || link("cwd").is_some_and(|it| it.starts_with(folder));
            there.then_some(Process { pid, exe })
        })
        .collect()
}

/// Whether a process is there and no zombie.
pub fn is_alive(pid: i32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok()
}

/// A field of `/proc/PID/stat` after the command's name, counted from 0: the state, the parent, the group, the session ...
fn field(pid: i32, at: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(at).map(str::to_owned)
}

/// CPU seconds, user and system, that a process has had so far, in hundredths (proc(5)).
pub fn cpu_secs(pid: i32) -> f64 {
    let ticks = |at| field(pid, at).and_then(|it| it.parse::<u64>().ok()).unwrap_or(0);
    (ticks(11) + ticks(12)) as f64 / 100.0
}

/// The processes that this one began and that are still there, zombies too.
pub fn children(parent: i32) -> Vec<i32> {
    let parent = parent.to_string();
    pids().filter(|pid| field(*pid, 1).is_some_and(|it| it == parent)).collect()
}

/// Whether a process has ended and nobody has waited for it.
pub fn is_zombie(pid: i32) -> bool {
    field(pid, 0).is_some_and(|it| it == "Z")
}

/// The most memory that a process has had at once so far.
pub fn peak_bytes(pid: i32) -> u64 {
    memory(pid, "VmHWM:")
}

/// The memory that a process has now.
pub fn resident_bytes(pid: i32) -> u64 {
    memory(pid, "VmRSS:")
}

fn memory(pid: i32, key: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

fn pids() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc").unwrap().flatten().filter_map(|it| it.file_name().to_str()?.parse().ok())
}

/// Ends a process that a test started, by its id, and sees it gone.
pub fn kill(pid: i32) {
    send(pid, Signal::SIGKILL);
    let end = Instant::now() + Duration::from_secs(5);
    while is_alive(pid) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn send(pid: i32, signal: Signal) {
    let _ = signal::kill(Pid::from_raw(pid), signal);
}
