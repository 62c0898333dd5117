//! Runs an updater under strace, with or without injuries, and reads what strace wrote.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use e2e::{binary, children, is_alive, kill};

/// No round lasts that long, so it hangs.
const RUN_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);

/// Calls that change a file system, or make a change of it last. Which of the openings do is seen by their flags.
/// `?`: not every machine has each of them.
pub const MUTATING: &[&str] = &[
    "?open",
    "openat",
    "?openat2",
    "?creat",
    "write",
    "writev",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "sendfile",
    "splice",
    "copy_file_range",
    "ftruncate",
    "truncate",
    "fallocate",
    "fsync",
    "fdatasync",
    "syncfs",
    "sync",
    "sync_file_range",
    "?rename",
    "?renameat",
    "renameat2",
    "?unlink",
    "unlinkat",
    "?rmdir",
    "?mkdir",
    "mkdirat",
    "?link",
    "linkat",
    "?symlink",
    "symlinkat",
    "?mknod",
    "mknodat",
    "?chmod",
    "fchmod",
    "fchmodat",
    "?fchmodat2",
    "?chown",
    "fchown",
    "?lchown",
    "fchownat",
    "?utime",
    "?utimes",
    "?futimesat",
    "utimensat",
    "setxattr",
    "fsetxattr",
    "lsetxattr",
    "removexattr",
];

/// One call, as strace saw it begin.
#[derive(Debug, Clone)]
pub struct Call {
    pub pid: i32,
    pub name: String,
    pub args: String,
    /// The absolute paths among its arguments, in order: names and open files.
    pub paths: Vec<PathBuf>,
    /// What came back, as far as it stands on the same line.
    result: String,
}

impl Call {
    /// A line of `strace -f -y -o`: process, call, arguments, result. Signals and ends are no calls.
    fn parse(line: &str) -> Option<Self> {
        let (pid, rest) = line.split_once(' ')?;
        let (name, rest) = rest.trim_start().split_once('(')?;
        if !name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_') {
            return None;
        }
        let (args, result) = rest.rsplit_once(" = ").unwrap_or((rest, ""));
        let mut call = Self {
            pid: pid.parse().ok()?,
            name: name.to_owned(),
            args: args.to_owned(),
            paths: Vec::new(),
            result: result.to_owned(),
        };
        call.paths = call.paths_of();
        Some(call)
    }

    fn paths_of(&self) -> Vec<PathBuf> {
        // What is written is no path, whatever it begins with.
        let writes = self.name.contains("write");
        let mut paths = Vec::new();
        let mut rest = self.args.as_str();
        while let Some(at) = rest.find(['"', '<']) {
            let end = if rest[at..].starts_with('"') { '"' } else { '>' };
            let from = &rest[at + 1..];
            let Some(until) = from.find(end) else { break };
            // `AT_FDCWD</somewhere>` tells where the process works, not what it works on.
            let is_cwd = rest[..at].ends_with("AT_FDCWD");
            if from.starts_with('/') && !is_cwd && (end == '>' || !writes) {
                paths.push(PathBuf::from(&from[..until]));
            }
            rest = &from[until + 1..];
        }
        paths
    }

    /// It changes something, or makes it last. To open a file for reading does neither.
    pub fn mutates(&self) -> bool {
        let opens = self.name.starts_with("open");
        self.name != "execve"
            && (!opens
                || ["O_CREAT", "O_WRONLY", "O_RDWR", "O_TRUNC"].iter().any(|it| self.args.contains(it)))
    }

    /// As far as it is known: a call that was interrupted by another process's ends on another line.
    pub fn succeeded(&self) -> bool {
        !self.result.starts_with("-1")
    }

    pub fn touches(&self, path: &Path) -> bool {
        self.paths.iter().any(|it| it == path)
    }
}

/// What strace wrote into a file.
pub fn text(file: &Path) -> String {
    String::from_utf8_lossy(&fs::read(file).unwrap_or_default()).into_owned()
}

/// The calls in the order in which they began, of the updater and its children only: who executes its binary.
pub fn calls_of_updater(trace: &str) -> Vec<Call> {
    let calls: Vec<Call> = trace.lines().filter_map(Call::parse).collect();
    let mut ours: BTreeSet<i32> = BTreeSet::new();
    calls
        .into_iter()
        .filter(|it| {
            if it.name == "execve" {
                let is_ours = it.args.contains("/ops-updater\"") || it.args.contains("\"/proc/self/exe\"");
                // Whoever executes something else is an agent's from here on.
                if is_ours {
                    ours.insert(it.pid)
                } else {
                    !ours.remove(&it.pid)
                };
                return true;
            }
            ours.contains(&it.pid)
        })
        .collect()
}

/// A strace, and the updater that it looks at.
pub struct Strace {
    strace: Child,
    pub updater: i32,
    said: PathBuf,
    trace: PathBuf,
}

impl Strace {
    /// Starts `ops-updater -c cfg once` under a strace with these words, which writes into `trace`.
    pub fn start(cfg: &Path, words: &[String], trace: &Path) -> Self {
        let updater = binary("ops-updater");
        let said = trace.with_extension("said");
        let mut command = Command::new("strace");
        command.arg("-o").arg(trace).args(words).arg(&updater).arg("-c").arg(cfg).arg("once");
        let strace = spawn(&mut command, &said);
        let pid = strace.id() as i32;
        let mut it = Self { strace, updater: 0, said, trace: trace.to_owned() };
        let end = Instant::now() + Duration::from_secs(20);
        // Between fork and exec it is still a strace, and strace has other children at first, to see what it can do.
        while it.updater == 0 && it.traces() {
            let found = children(pid).into_iter().find(|it| runs(*it, &updater));
            it.updater = found.unwrap_or(0);
            assert!(Instant::now() < end, "strace does not start the updater: {}", text(&it.said));
            std::thread::sleep(Duration::from_millis(1));
        }
        it
    }

    /// Looks at processes that are there already.
    pub fn attach(pids: &[i32], words: &[String], trace: &Path) -> Self {
        let said = trace.with_extension("said");
        let mut command = Command::new("strace");
        command.arg("-o").arg(trace).args(words);
        for pid in pids {
            command.arg("-p").arg(pid.to_string());
        }
        let mut it =
            Self { strace: spawn(&mut command, &said), updater: pids[0], said, trace: trace.to_owned() };
        let end = Instant::now() + Duration::from_secs(20);
        let tracer = it.strace.id() as i32;
        // One of them may have ended in the meantime.
        let is_settled = |pid: &i32| tracer_of(*pid) == Some(tracer) || !is_alive(*pid);
        while it.traces() && !pids.iter().all(is_settled) {
            assert!(Instant::now() < end, "strace does not attach: {}", text(&it.said));
            std::thread::sleep(Duration::from_millis(1));
        }
        it
    }

    /// Whether strace is still at it; it ends when everything that it looked at has ended. A machine on which it may not
    /// attach proves nothing: that is a failure, not a reason to skip.
    fn traces(&mut self) -> bool {
        let Some(exit) = self.strace.try_wait().unwrap() else { return true };
        assert!(
            text(&self.trace).contains("+++ "),
            "strace cannot trace the updater here ({exit}): these tests need ptrace (as root, or with \
             CAP_SYS_PTRACE, and kernel.yama.ptrace_scope below 3). It says: {}",
            text(&self.said)
        );
        false
    }

    /// Waits until the updater ended, or `condition` holds.
    pub fn until(&self, mut condition: impl FnMut() -> bool) {
        let end = Instant::now() + RUN_MAX;
        while self.updater != 0 && is_alive(self.updater) && !condition() {
            if Instant::now() > end {
                kill(self.updater);
                panic!("the updater does not end within {RUN_MAX:?}");
            }
            std::thread::sleep(POLL);
        }
    }

    /// Strace goes, what it looked at stays as it is: stopped, running or gone.
    pub fn go(self) {
        drop(self);
    }

    /// The updater and its children that execute its binary.
    pub fn updaters(&self) -> Vec<i32> {
        let program = binary("ops-updater");
        let mut all = vec![self.updater];
        all.extend(children(self.updater).into_iter().filter(|it| runs(*it, &program)));
        all
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        // On any other signal than this it would end its updater.
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}

fn spawn(command: &mut Command, said: &Path) -> Child {
    let said = fs::File::create(said).unwrap();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
    command.spawn().unwrap_or_else(|error| panic!("strace cannot be run ({error}): run make deps"))
}

fn runs(pid: i32, program: &Path) -> bool {
    let real = fs::canonicalize(program).unwrap();
    fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|it| it == real)
}

fn tracer_of(pid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|it| it.strip_prefix("TracerPid:"))?.trim().parse().ok()
}
