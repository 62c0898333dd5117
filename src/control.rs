//! Begins and polls an agent's `./control`, and starts no other program. A call never outlives its deadline, its end is
//! the end of the script's own process (a daemon that inherits the pipe does not count), and nothing of the updater
//! leaks into it: descriptors, signal mask, process group, terminal, umask and environment are its own.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, killpg, sigprocmask};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Gid, Pid, Uid};
use ops_wire::{ErrorCode, Status};

use crate::account::Account;
use crate::error::{Fault, tail};
use crate::processes::{self, Process};
use crate::upgrade::{Ended, Verb};

/// More output of one call than this is a flood: the call is ended.
const OUTPUT_BYTES_MAX: usize = 64 << 10;
/// The tail of an output that goes into a report.
const TAIL_BYTES: usize = 2 << 10;

/// A control script is not read further than this.
const SCRIPT_BYTES_MAX: u64 = 1 << 20;

/// Time limits of calls.
#[derive(Debug, Clone)]
pub struct Settings {
    pub status_timeout: Duration,
    pub start_timeout: Duration,
    pub stop_timeout: Duration,
}

impl Settings {
    fn timeout(&self, verb: Verb) -> Duration {
        match verb {
            Verb::Start => self.start_timeout,
            Verb::Stop => self.stop_timeout,
            Verb::Status | Verb::Check | Verb::Pid | Verb::Health => self.status_timeout,
        }
    }
}

/// A call under way.
#[derive(Debug)]
pub struct Call {
    pub verb: Verb,
    process: Child,
    output: Option<ChildStdout>,
    collected: Vec<u8>,
    deadline: Duration,
    ending: Option<Ending>,
}

/// Why we ended a call ourselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Overdue,
    Flood,
}

/// How a call ended.
#[derive(Debug)]
pub struct Finished {
    pub verb: Verb,
    /// `None`: we ended it.
    exit: Option<ExitStatus>,
    ending: Option<Ending>,
    output: Vec<u8>,
}

impl Call {
    /// Begins `folder/control VERB` in `folder`. `out`: where the output of a start goes, which is never a pipe.
    /// `account`: whom it runs as, if not as the updater.
    pub fn begin(
        folder: &Path,
        verb: Verb,
        out: Option<std::fs::File>,
        account: Option<&Account>,
        now: Duration,
        settings: &Settings,
    ) -> Result<Self, Fault> {
        let script = folder.join("control");
        refuse_what_others_may_write(&script, account)?;
        let mut process = spawn(&script, folder, verb, out, account)?;
        let output = process.stdout.take();
        if let Some(pipe) = &output {
            fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
                .map_err(|error| Fault::io("set up the pipe of", &script, &error.into()))?;
        }
        let deadline = now + settings.timeout(verb);
        Ok(Self { verb, process, output, collected: Vec::new(), deadline, ending: None })
    }

    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Its process group, which a daemon that it begins stays in unless it leaves.
    pub fn group(&self) -> i32 {
        self.pid().as_raw()
    }

    /// It does not change anything.
    pub fn is_question(&self) -> bool {
        !matches!(self.verb, Verb::Start | Verb::Stop)
    }

    pub fn pipe(&self) -> Option<&ChildStdout> {
        self.output.as_ref()
    }

    /// Looks whether the call has ended; does not wait.
    pub fn poll(&mut self, now: Duration) -> Option<Finished> {
        self.collect();
        if self.ending.is_none() && self.collected.len() > OUTPUT_BYTES_MAX {
            self.end_because(Ending::Flood);
        } else if self.ending.is_none() && now >= self.deadline {
            self.end_because(Ending::Overdue);
        }
        if !self.has_exited() {
            // Killed and not gone: it hangs in the kernel, and nobody can do more about it than wait elsewhere.
            let given_up = self.ending.is_some() && now >= self.deadline + Duration::from_secs(1);
            return given_up.then(|| self.finish(None));
        }
        self.collect();
        if self.is_question() {
            // What a question leaves behind would pile up. Its pid is still ours, as nobody has waited for it yet.
            self.kill_group();
        }
        let exit = self.process.try_wait().ok().flatten();
        Some(self.finish(exit))
    }

    /// Ends the call's whole process group at once; what is left is to be waited for.
    pub fn end(self) -> Child {
        if !self.has_exited() {
            self.kill_group();
        }
        self.process
    }

    fn finish(&mut self, exit: Option<ExitStatus>) -> Finished {
        Finished { verb: self.verb, exit, ending: self.ending, output: std::mem::take(&mut self.collected) }
    }

    fn end_because(&mut self, ending: Ending) {
        self.ending = Some(ending);
        self.kill_group();
    }

    fn kill_group(&self) {
        let _ = killpg(self.pid(), Signal::SIGKILL);
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.process.id() as i32)
    }

    /// The script has ended; it stays a zombie, so that its pid and group cannot become somebody else's.
    fn has_exited(&self) -> bool {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        !matches!(waitid(Id::Pid(self.pid()), flags), Ok(WaitStatus::StillAlive))
    }

    fn collect(&mut self) {
        let Some(pipe) = &mut self.output else { return };
        let mut chunk = [0; 8192];
        while self.collected.len() <= OUTPUT_BYTES_MAX {
            match pipe.read(&mut chunk) {
                Ok(0) => return self.output = None,
                Ok(bytes) => self.collected.extend_from_slice(chunk.get(..bytes).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }
}

fn spawn(
    script: &Path,
    folder: &Path,
    verb: Verb,
    out: Option<std::fs::File>,
    account: Option<&Account>,
) -> Result<Child, Fault> {
    let mut command = command(script);
    command
        .arg(verb.as_str())
        .current_dir(folder)
        .env_clear()
        .envs(environment(account))
        .stdin(Stdio::null());
    match out {
        Some(file) => {
            let copy = file.try_clone().map_err(|error| Fault::io("share the output of", script, &error))?;
            command.stdout(copy).stderr(file);
        }
        None => {
            command.stdout(Stdio::piped()).stderr(Stdio::null());
        }
    }
    own_session(&mut command, account);
    command
        .spawn()
        .map_err(|error| Fault { code: ErrorCode::ControlMissing, ..Fault::io("run", script, &error) })
}

#[expect(clippy::disallowed_methods, reason = "this room starts control scripts")]
fn command(script: &Path) -> Command {
    Command::new(script)
}

/// A session and process group of its own, no blocked signals (the updater blocks those that it hears by descriptor, and
/// an agent that inherits this cannot be ended), and the rights of `account` alone.
#[expect(unsafe_code, reason = "what happens between fork and exec is to be had in no other way")]
fn own_session(command: &mut Command, account: Option<&Account>) {
    let account = account.map(|it| {
        let groups: Vec<Gid> = it.groups.iter().copied().map(Gid::from_raw).collect();
        (groups, Gid::from_raw(it.gid), Uid::from_raw(it.uid))
    });
    // SAFETY: the closure makes system calls only, all async-signal-safe, and allocates nothing.
    unsafe {
        command.pre_exec(move || {
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
            nix::unistd::setsid()?;
            if let Some((groups, gid, uid)) = &account {
                // In this order: who gave up being root can change nothing more.
                nix::unistd::setgroups(groups)?;
                nix::unistd::setgid(*gid)?;
                nix::unistd::setuid(*uid)?;
            }
            Ok(())
        });
    }
}

/// A clean environment: what the administrator's shell had exported is no business of an agent.
fn environment(account: Option<&Account>) -> Vec<(&'static str, OsString)> {
    let path = OsString::from("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    let own = |name| std::env::var_os(name).map(|value| (name, value));
    let who = match account {
        Some(it) => {
            let name = OsString::from(&it.name);
            vec![("HOME", it.home.clone().into_os_string()), ("USER", name.clone()), ("LOGNAME", name)]
        }
        None => ["HOME", "USER", "LOGNAME"].into_iter().filter_map(own).collect(),
    };
    who.into_iter().chain(["LANG", "TZ"].into_iter().filter_map(own)).chain([("PATH", path)]).collect()
}

/// A root updater runs nothing that somebody else could have put there.
fn refuse_what_others_may_write(script: &Path, account: Option<&Account>) -> Result<(), Fault> {
    if !Uid::effective().is_root() {
        return Ok(());
    }
    // Where links lead to counts as well as where they lie.
    let real = std::fs::canonicalize(script).unwrap_or_else(|_| script.to_owned());
    let writable = script.ancestors().chain(real.ancestors()).find(|path| others_may_write(path, account));
    writable.map_or(Ok(()), |path| {
        let sentence = format!(
            "`{}` is not run as {}, since others may write `{}`: give it to root and take their right to write away",
            script.display(),
            account.map_or("root", |it| &it.name),
            path.display()
        );
        Err(Fault::new(ErrorCode::ControlUnsafe, sentence))
    })
}

/// In a sticky folder others may make entries, but not replace those of root.
fn others_may_write(path: &Path, account: Option<&Account>) -> bool {
    let Ok(it) = path.symlink_metadata() else { return false };
    let sticky = it.is_dir() && it.mode() & 0o1000 != 0;
    let own = |uid: u32| uid == 0 || account.is_some_and(|account| account.uid == uid);
    let by_group =
        it.mode() & 0o020 != 0 && it.gid() != 0 && account.is_none_or(|account| account.gid != it.gid());
    let by_all = it.mode() & 0o002 != 0;
    !own(it.uid()) || (!it.is_symlink() && !sticky && (by_group || by_all))
}

impl Finished {
    /// What an agent's `status` says: the last line that is not empty, compared and not searched. The second value
    /// is the reason when it says nothing.
    pub fn status(&self) -> (Status, Option<Fault>) {
        match self.ending {
            Some(Ending::Overdue) => {
                silent(ErrorCode::StatusTimeout, "./control status did not end in time and was killed")
            }
            Some(Ending::Flood) => {
                let sentence =
                    format!("./control status printed more than {OUTPUT_BYTES_MAX} bytes and was killed");
                silent(ErrorCode::StatusFailed, &sentence)
            }
            None => match last_line(&self.output) {
                Some(line) => (Status::read(&line), None),
                None => silent(ErrorCode::StatusFailed, &format!("./control status: {}", self.words())),
            },
        }
    }

    /// Nothing of the script's own process is left.
    pub fn is_gone(&self) -> bool {
        self.exit.is_some()
    }

    /// A process id, when the script printed one and nothing else.
    pub fn pid(&self) -> Option<u32> {
        let succeeded = self.exit.is_some_and(|exit| exit.success());
        last_line(&self.output).filter(|_| succeeded)?.parse().ok()
    }

    pub fn ended(&self) -> Ended {
        let success = self.ending.is_none() && self.exit.is_some_and(|exit| exit.success());
        Ended { verb: self.verb, success, words: self.words() }
    }

    /// The script mentions this verb and does not know it: it says how it is to be used, or leaves with 127.
    pub fn is_unknown_verb(&self) -> bool {
        let output = String::from_utf8_lossy(&self.output).trim_start().to_ascii_lowercase();
        output.starts_with("usage:") || self.exit.is_some_and(|exit| exit.code() == Some(127))
    }

    fn words(&self) -> String {
        let how = match (self.ending, self.exit) {
            (Some(Ending::Overdue), _) => "did not end in time and was killed".to_owned(),
            (Some(Ending::Flood), _) => "printed too much and was killed".to_owned(),
            (None, Some(exit)) => exit.to_string(),
            (None, None) => "ended, nobody knows how".to_owned(),
        };
        match tail(&self.output, TAIL_BYTES) {
            words if words.is_empty() => how,
            words => format!("{how}, it printed: {words}"),
        }
    }
}

fn silent(code: ErrorCode, sentence: &str) -> (Status, Option<Fault>) {
    (Status::Other(sentence.to_owned()), Some(Fault::new(code, sentence)))
}

fn last_line(output: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect())
}

/// Kills the processes that execute a file below a version's folder, never more.
pub fn kill_below(folder: &Path) -> Vec<Process> {
    kill_those(processes::below(folder).into_iter().filter(|it| it.executes).collect())
}

/// Kills what a start of ours left behind: processes of its group that still have to do with the version's folder.
pub fn kill_group_below(folder: &Path, group: i32) -> Vec<Process> {
    kill_those(processes::below(folder).into_iter().filter(|it| it.group == group).collect())
}

fn kill_those(processes: Vec<Process>) -> Vec<Process> {
    for process in processes.iter().filter(|it| processes::is_alive(it)) {
        let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
    }
    processes
}

/// Whether a script knows an optional verb. It is not asked: an old script may do anything with a word it does not
/// know. So its text is read, for the verb as the label of a `case` or as a quoted word.
pub fn offers(script: &Path, verb: Verb) -> bool {
    let mut text = Vec::new();
    let read =
        std::fs::File::open(script).and_then(|file| file.take(SCRIPT_BYTES_MAX).read_to_end(&mut text));
    read.is_ok() && mentions(&text, verb.as_str().as_bytes())
}

fn mentions(text: &[u8], verb: &[u8]) -> bool {
    let before = |byte: Option<&u8>| byte.is_none_or(|it| b" \t\n|('\"".contains(it));
    let after = |byte: Option<&u8>| byte.is_some_and(|it| b")|'\"".contains(it));
    text.windows(verb.len()).enumerate().any(|(at, window)| {
        window == verb
            && before(at.checked_sub(1).and_then(|it| text.get(it)))
            && after(text.get(at + verb.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_optional_verb_is_a_label_or_a_quoted_word() {
        for script in ["case $1 in\ncheck) x;;", "start|check) x", "if [ \"$1\" = \"check\" ]", "'check'"] {
            assert!(mentions(script.as_bytes(), b"check"), "{script}");
        }
        for script in ["check_pid) x", "# check the pid", "recheck) x", "checks)"] {
            assert!(!mentions(script.as_bytes(), b"check"), "{script}");
        }
    }

    #[test]
    fn a_status_is_the_last_line_that_is_not_empty() {
        assert_eq!(last_line(b"noise\n started \n\n").as_deref(), Some("started"));
        assert_eq!(last_line(b"\n \n"), None);
    }
}
