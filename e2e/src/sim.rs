use std::io::Read;
use std::process::{Child, ChildStdout, Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::processes::{peak_bytes, send};
use crate::programs::binary;

/// A fleet-sim at work.
pub struct Sim {
    child: Child,
    stdout: ChildStdout,
}

impl Sim {
    /// Against `server`, with these arguments besides.
    pub fn start(server: &str, args: &[&str]) -> Self {
        let mut command = Command::new(binary("fleet-sim"));
        Self::run(command.args(["--server", server, "--json", "--every", "0"]).args(args))
    }

    /// A command that ends in fleet-sim's own.
    pub fn run(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        Self { child, stdout }
    }

    pub fn peak_bytes(&self) -> u64 {
        peak_bytes(self.child.id() as i32)
    }

    /// Ends it as Ctrl-C does, and gives the report.
    pub fn interrupt(self) -> Value {
        send(self.child.id() as i32, Signal::SIGINT);
        self.report()
    }

    /// The report, when it has ended by itself.
    #[track_caller]
    pub fn report(self) -> Value {
        self.ended(0)
    }

    /// The same where no beat was answered with 200 and understood, which it says with its exit code.
    #[track_caller]
    pub fn report_without_answers(self) -> Value {
        self.ended(1)
    }

    #[track_caller]
    fn ended(mut self, code: i32) -> Value {
        let mut text = String::new();
        self.stdout.read_to_string(&mut text).unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), Some(code), "fleet-sim: {status}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
