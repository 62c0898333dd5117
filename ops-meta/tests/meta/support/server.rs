//! The real binary, started, watched and ended.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::client::{Reply, exchange, request};

/// Longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(20);

/// A running ops-meta, and its folder.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: String,
    folder: tempfile::TempDir,
    args: Vec<String>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// `ops-meta -c cfg.json`
    pub fn start(config: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("cfg.json"), config.to_string()).unwrap();
        Self::run(folder, &["-c", "cfg.json"])
    }

    /// The same, in a folder that has something in it already.
    pub fn start_in(folder: tempfile::TempDir, config: &Value) -> Self {
        std::fs::write(folder.path().join("cfg.json"), config.to_string()).unwrap();
        Self::run(folder, &["-c", "cfg.json"])
    }

    /// With other arguments, in a folder of its own.
    pub fn run(folder: tempfile::TempDir, args: &[&str]) -> Self {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        let log = Arc::default();
        let (child, address) = spawn(&folder, &args, &log);
        Self { child, address, folder, args, log }
    }

    /// kill -9, and a new start in the same folder with the same arguments.
    pub fn restart_killed(&mut self) {
        let _ = self.child.kill();
        self.start_again();
    }

    /// A graceful end, and a new start.
    pub fn restart(&mut self) {
        self.signal(Signal::SIGTERM);
        self.start_again();
    }

    fn start_again(&mut self) {
        self.child.wait().unwrap();
        (self.child, self.address) = spawn(&self.folder, &self.args, &self.log);
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn configure(&self, config: &Value) {
        std::fs::write(self.path("cfg.json"), config.to_string()).unwrap();
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// From another address of this machine's loopback.
    pub fn connect_from(&self, host: [u8; 4]) -> TcpStream {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((host, 0)).into()).unwrap();
        socket.connect(&self.address.parse::<SocketAddr>().unwrap().into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// One request on a connection of its own.
    pub fn ask(&self, method: &str, path: &str, head: &[&str], body: &[u8]) -> Reply {
        exchange(&mut self.connect(), &request(method, path, head, body)).unwrap()
    }

    pub fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], b"")
    }

    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.ask("POST", path, &[], body.to_string().as_bytes())
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Waits for a line of the log with all of these in it.
    pub fn wait_for_log(&self, parts: &[&str]) -> String {
        let fits = |line: &String| parts.iter().all(|part| line.contains(part));
        eventually(&format!("a log line with {parts:?}"), || {
            self.log.lock().unwrap().iter().find(|line| fits(line)).cloned()
        })
    }

    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Waits for the process to end by itself.
    pub fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        eventually("the end", || child.try_wait().unwrap())
    }

    /// In the same folder, once it has ended.
    pub fn again(mut self, args: &[&str]) -> Self {
        self.ended();
        let elsewhere = tempfile::tempdir().unwrap();
        let folder = std::mem::replace(&mut self.folder, elsewhere);
        Self::run(folder, args)
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The process and where it listens. Its log is gathered.
fn spawn(folder: &tempfile::TempDir, args: &[String], log: &Arc<Mutex<Vec<String>>>) -> (Child, String) {
    let mut child = command(folder, args).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let address = first.split_once("listening=").unwrap_or_else(|| panic!("no address: {first}")).1;
    let address = address.split(' ').next().unwrap().to_owned();
    log.lock().unwrap().push(first);
    let kept = Arc::clone(log);
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| kept.lock().unwrap().push(line)));
    (child, address)
}

/// Runs the binary where it must refuse to start; what it says.
pub fn refused(args: &[&str], config: Option<&str>) -> String {
    let folder = tempfile::tempdir().unwrap();
    if let Some(config) = config {
        std::fs::write(folder.path().join("cfg.json"), config).unwrap();
    }
    let mut child = command(&folder, args).spawn().unwrap();
    let status = eventually("a refusal", || child.try_wait().unwrap());
    let said = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    assert!(!status.success(), "it started: {said}");
    said
}

fn command<S: AsRef<std::ffi::OsStr>>(folder: &tempfile::TempDir, args: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ops-meta"));
    command.args(args).current_dir(folder.path()).env("TZ", "UTC");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Waits until `look` finds something.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
