//! A disk that is full, for some files: no room has to be filled for it.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::{Server, eventually};

/// Every write to these files fails as on a full disk, until this is dropped.
pub struct FullDisk(Child);

impl FullDisk {
    /// Of files below the data folder, which need not be there.
    pub fn of(server: &Server, files: &[&str]) -> Self {
        let data: PathBuf = server.path("data").canonicalize().unwrap();
        let mut strace = Command::new("strace");
        strace.args(["-f", "-e", "inject=write,pwrite64:error=ENOSPC", "-e", "trace=write,pwrite64"]);
        for file in files {
            strace.arg("-P").arg(data.join(file));
        }
        Self(attach(server, strace.args(["-o", "/dev/null"])))
    }
}

/// A strace with these arguments that looks at the server.
pub fn attach(server: &Server, strace: &mut Command) -> Child {
    let said = server.path("strace");
    strace.args(["-p", &server.pid().to_string()]);
    strace.stdin(Stdio::null()).stderr(std::fs::File::create(&said).unwrap());
    let strace = strace.spawn().expect("packaging/deps.sh brings strace");
    eventually("strace to be there", || std::fs::read_to_string(&said).ok()?.find("attached"));
    strace
}

impl Drop for FullDisk {
    fn drop(&mut self) {
        // SIGTERM lets it detach.
        let pid = nix::unistd::Pid::from_raw(self.0.id() as i32);
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.0.wait();
    }
}
