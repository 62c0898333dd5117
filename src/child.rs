//! Throw-away children: this binary again, with one job on its standard input and a pipe of lines back. They do what
//! the parent never does (the network, archives, deletion of trees); the parent begins, polls, bounds and ends them.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child as Process, ChildStdout, Command, Stdio};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use ops_wire::ErrorCode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Fault;

/// The hidden first argument of a child.
pub const ARGUMENT: &str = "--child";
/// What a child may print in all: an answer of ops-meta is the largest of it.
const PRINTED_BYTES_MAX: usize = 8 << 20;

/// How long after a kill one looks whether it worked.
const OVERDUE_LOOK: Duration = Duration::from_secs(1);

/// A child under way.
#[derive(Debug)]
pub struct Child {
    process: Process,
    pipe: Option<ChildStdout>,
    buffer: Vec<u8>,
    printed: usize,
    deadline: Duration,
    overdue: bool,
}

/// What a poll found.
#[derive(Debug, Default)]
pub struct Polled {
    /// Whole lines that came since the last poll.
    pub lines: Vec<Vec<u8>>,
    /// The child is no more. A fault: it did not end by itself, or not well.
    pub ended: Option<Result<(), Fault>>,
}

impl Child {
    /// Begins the child `kind` with `job`, to be killed at `deadline`.
    pub fn begin(kind: &str, job: &impl Serialize, deadline: Duration) -> Result<Self, Fault> {
        let me = Path::new("/proc/self/exe");
        let job = hand_over(job).map_err(|error| Fault::io("hand a job to a child of", me, &error))?;
        let mut command = command(me);
        command.arg0("ops-updater").args([ARGUMENT, kind]).stdin(job).stdout(Stdio::piped());
        hear_signals(&mut command);
        let mut process = command.spawn().map_err(|error| Fault::io("begin a child of", me, &error))?;
        let pipe = process.stdout.take();
        if let Some(pipe) = &pipe {
            fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
                .map_err(|error| Fault::io("set up the pipe of a child of", me, &error.into()))?;
        }
        Ok(Self { process, pipe, buffer: Vec::new(), printed: 0, deadline, overdue: false })
    }

    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    pub fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Takes what the child printed and sees whether it ended; does not wait.
    pub fn poll(&mut self, now: Duration) -> Polled {
        if !self.overdue && now >= self.deadline {
            self.overdue = true;
            self.kill();
        }
        if self.overdue {
            // One that waits for a sick disk does not even end then: it is looked at again, but not all the time.
            self.deadline = now + OVERDUE_LOOK;
        }
        let exit = self.process.try_wait();
        self.collect();
        let lines = self.lines();
        let ended = match exit {
            Ok(None) => None,
            _ if self.overdue => Some(Err(killed("it did not end in time"))),
            Ok(Some(exit)) if exit.success() => Some(Ok(())),
            Ok(Some(exit)) => Some(Err(killed(&exit.to_string()))),
            Err(error) => Some(Err(killed(&error.to_string()))),
        };
        Polled { lines, ended }
    }

    /// Ends the child at once; what is left is to be waited for.
    pub fn end(mut self) -> Process {
        self.kill();
        self.process
    }

    fn kill(&mut self) {
        let _ = self.process.kill();
    }

    fn collect(&mut self) {
        let Some(pipe) = &mut self.pipe else { return };
        let mut chunk = [0; 16384];
        loop {
            match pipe.read(&mut chunk) {
                Ok(0) => return self.pipe = None,
                Ok(bytes) => {
                    self.printed += bytes;
                    if self.printed > PRINTED_BYTES_MAX {
                        return self.kill();
                    }
                    self.buffer.extend_from_slice(chunk.get(..bytes).unwrap_or_default());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    fn lines(&mut self) -> Vec<Vec<u8>> {
        let Some(end) = self.buffer.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
        let rest = self.buffer.split_off(end + 1);
        let whole = std::mem::replace(&mut self.buffer, rest);
        whole.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
    }
}

fn killed(how: &str) -> Fault {
    Fault::new(ErrorCode::ChildKilled, format!("a child of the updater was ended: {how}"))
}

#[expect(clippy::disallowed_methods, reason = "this room starts the updater's own children")]
fn command(me: &Path) -> Command {
    Command::new(me)
}

/// The parent blocks the signals that it hears by descriptor; a child hears none that way.
#[expect(unsafe_code, reason = "what happens between fork and exec is to be had in no other way")]
fn hear_signals(command: &mut Command) {
    // SAFETY: the closure makes one system call, which is async-signal-safe, and allocates nothing.
    unsafe {
        command.pre_exec(|| {
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None).map_err(io::Error::from)
        });
    }
}

/// The job as a file in memory: unlike a pipe it takes any size without a reader.
fn hand_over(job: &impl Serialize) -> io::Result<File> {
    use std::io::Seek;
    let mut file = File::from(memfd_create(c"job", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(&serde_json::to_vec(job)?)?;
    file.rewind()?;
    Ok(file)
}

/// In the child: reads the job, and makes sure that the child does not outlive its parent.
pub fn take_job<T: DeserializeOwned>() -> Result<T, Fault> {
    let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
    let mut bytes = Vec::new();
    let read = io::stdin().lock().read_to_end(&mut bytes);
    read.map_err(|error| Fault::io("read the job from", Path::new("standard input"), &error))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Fault::new(ErrorCode::Io, format!("a job cannot be read: {error}")))
}

/// In the child: one line to the parent.
pub fn say(value: &impl Serialize) {
    if let Ok(mut line) = serde_json::to_vec(value) {
        line.push(b'\n');
        // A parent that is gone ends this child by a signal anyway.
        let _ = io::stdout().lock().write_all(&line);
    }
}
