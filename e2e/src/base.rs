use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::control::{Sick, script};
use crate::package::Package;
use crate::processes::{Process, below, kill, send};
use crate::programs::{binary, debian};
use crate::wait::{SOON, wait_for};

/// No command takes that long, so it hangs.
const RUN_MAX: Duration = Duration::from_secs(60);

/// One host: a BASE with its cfg.json, and the ops-updater that works on it.
pub struct Base {
    folder: TempDir,
    cfg: Map<String, Value>,
    updater: PathBuf,
    child: Option<Child>,
    /// BASE is a disk of its own.
    mounted: bool,
}

/// How a command ended.
#[derive(Debug, Clone)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// The command ended with this code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }
}

impl Base {
    /// A host that beats to `server`. Nothing is there yet.
    pub fn new(server: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("e2e-").tempdir().unwrap();
        // A root updater runs nothing from a folder that others may write.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(folder.path().join("base")).unwrap();
        let cfg = json!({
            "server": server, "hostname": "host-1", "baseDir": "base", "interval": 10, "initialJitterSecs": 0,
            "statusTimeoutSecs": 5, "startTimeoutSecs": 10, "stopTimeoutSecs": 5, "trialSecs": 0, "diskReserveBytes": 0,
            "connectTimeoutSecs": 5, "answerTimeoutSecs": 10,
        });
        let Value::Object(cfg) = cfg else { unreachable!() };
        let base = Self { folder, cfg, updater: binary("ops-updater"), child: None, mounted: false };
        base.write_cfg();
        base
    }

    /// A host whose updater beats every second, and gives agents little time.
    pub fn impatient(server: &str) -> Self {
        let mut base = Self::new(server);
        base.set("statusTimeoutSecs", 1).set("startTimeoutSecs", 3).set("stopTimeoutSecs", 2);
        base
    }

    /// Sets a key of cfg.json.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) -> &mut Self {
        self.cfg.insert(key.to_owned(), value.into());
        self.write_cfg();
        self
    }

    pub fn unset(&mut self, key: &str) -> &mut Self {
        self.cfg.remove(key);
        self.write_cfg();
        self
    }

    fn write_cfg(&self) {
        fs::write(self.cfg_file(), Value::Object(self.cfg.clone()).to_string()).unwrap();
    }

    pub fn cfg_file(&self) -> PathBuf {
        self.folder.path().join("cfg.json")
    }

    /// The folder around BASE, for whatever a test needs.
    pub fn outside(&self) -> &Path {
        self.folder.path()
    }

    /// Writes the file that `tokenFile` may name.
    pub fn show_token(&self, token: &str) {
        fs::write(self.outside().join("token"), token).unwrap();
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("base")
    }

    /// The updater to run, when it is not the one in `OPS_BIN_DIR`.
    pub fn use_updater(&mut self, path: &Path) {
        self.updater = path.to_owned();
    }

    /// Runs the updater with `-c cfg.json` and these words.
    pub fn run(&self, words: &[&str]) -> Ran {
        let mut command = Command::new(&self.updater);
        self.finish(command.arg("-c").arg(self.cfg_file()).args(words))
    }

    /// Runs the updater with these words and nothing else.
    pub fn run_bare(&self, words: &[&str]) -> Ran {
        self.finish(Command::new(&self.updater).args(words))
    }

    fn finish(&self, command: &mut Command) -> Ran {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let pid = child.id() as i32;
        let (done, output) = mpsc::channel();
        std::thread::spawn(move || done.send(child.wait_with_output()));
        let output = output.recv_timeout(RUN_MAX).unwrap_or_else(|_| {
            kill(pid);
            panic!("{command:?} does not end")
        });
        let output = output.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let ran =
            Ran { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) };
        self.note(&ran.stderr);
        ran
    }

    fn note(&self, text: &str) {
        use std::io::Write;
        self.log_file().write_all(text.as_bytes()).unwrap();
    }

    fn log_file(&self) -> fs::File {
        fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("log")).unwrap()
    }

    /// What the updater wrote on standard error, of every run so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub fn once(&self) -> Ran {
        self.run(&["once"])
    }

    /// Starts the loop, beating every two seconds.
    pub fn start(&mut self) -> &mut Self {
        let log = self.log_file();
        self.start_writing_to(log)
    }

    /// The same, with another standard error than the log of the test.
    pub fn start_writing_to(&mut self, stderr: impl Into<Stdio>) -> &mut Self {
        assert!(self.child.is_none(), "the loop runs");
        if self.cfg["interval"] == 10 {
            self.set("interval", 2);
        }
        let mut command = Command::new(&self.updater);
        command.arg("-c").arg(self.cfg_file()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        self.child = Some(command.spawn().unwrap());
        self
    }

    pub fn updater_pid(&self) -> i32 {
        self.child.as_ref().expect("the loop does not run").id() as i32
    }

    pub fn signal(&self, signal: Signal) {
        send(self.updater_pid(), signal);
    }

    /// Asks the loop to end, and gives its exit code.
    #[track_caller]
    pub fn stop(&mut self) -> Option<i32> {
        self.signal(Signal::SIGTERM);
        let mut child = self.child.take().unwrap();
        let mut exit = None;
        wait_for("the loop ends", SOON, || {
            exit = child.try_wait().unwrap();
            exit.is_some()
        });
        exit.unwrap().code()
    }

    /// The loop is still there.
    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    pub fn agent(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// What `.version` says.
    pub fn version(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.agent(name).join(".version")).ok()
    }

    /// The daemons of an agent, by version.
    pub fn daemons(&self, name: &str) -> BTreeMap<String, Vec<i32>> {
        let folder = self.agent(name);
        let mut found: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        for Process { pid, exe } in below(&folder) {
            if let Ok(rest) = exe.strip_prefix(&folder)
                && exe.ends_with("agent")
            {
                let version = rest.iter().next().unwrap().to_string_lossy().into_owned();
                found.entry(version).or_default().push(pid);
            }
        }
        found
    }

    /// The one daemon of an agent, which is of this version.
    #[track_caller]
    pub fn daemon(&self, name: &str, version: &str) -> i32 {
        let daemons = self.daemons(name);
        let ours = daemons.get(version).cloned().unwrap_or_default();
        assert!(daemons.len() == 1 && ours.len() == 1, "not just {name} {version} runs: {daemons:?}");
        ours[0]
    }

    /// Files of a version, unpacked.
    pub fn has(&self, name: &str, version: &str) -> bool {
        self.agent(name).join(version).join("control").is_file()
    }

    /// The script of a version that is here becomes this one, as if the agent got sick.
    pub fn becomes(&self, name: &str, version: &str, sick: Sick) {
        let path = self.agent(name).join(version).join("control");
        let new = path.with_extension("new");
        fs::write(&new, script(&[sick])).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(&new, &path).unwrap();
    }

    /// BASE, empty as yet, becomes a disk of this many bytes. Only root may do that, and not in every container: then
    /// the reason comes back.
    pub fn on_a_disk_of(&mut self, bytes: u64) -> Result<(), String> {
        let options = format!("size={bytes},mode=755");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(self.path());
        let output = mount.output().map_err(|error| format!("mount: {error}"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        self.mounted = true;
        Ok(())
    }

    /// The updater cannot make this file, for want of space. What is beside it can be written.
    pub fn no_room_for(&mut self, path: &Path) {
        let wrapper = self.outside().join("updater-without-room");
        // The updater is the child all the same, and strace a process aside.
        let text = format!(
            "#!/bin/sh\nexec '{}' -D -qq -o /dev/null -P '{}' -e inject=openat:error=ENOSPC '{}' \"$@\"\n",
            debian("strace").display(),
            path.display(),
            self.updater.display()
        );
        fs::write(&wrapper, text).unwrap();
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
        self.use_updater(&wrapper);
    }

    /// Puts an agent here as the 2015 updater does, and starts it.
    pub fn install_as_in_2015(&self, package: &Package) {
        let folder = self.agent(&package.name).join(&package.version);
        fs::create_dir_all(&folder).unwrap();
        package.put(&folder);
        let tar =
            Command::new("tar").arg("xzf").arg(package.file_name()).current_dir(&folder).status().unwrap();
        assert!(tar.success());
        let start = Command::new("./control")
            .arg("start")
            .current_dir(&folder)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(start.success());
        fs::write(self.agent(&package.name).join(".version"), &package.version).unwrap();
        wait_for("the agent runs", SOON, || !self.daemons(&package.name).is_empty());
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- log of ops-updater ---\n{}", self.log());
        }
        // Everything that runs here was started by this test.
        below(self.folder.path()).iter().for_each(|it| kill(it.pid));
        if self.mounted {
            // Lazily: what is still open there must not keep it.
            let _ = Command::new("umount").arg("-l").arg(self.path()).status();
        }
    }
}

/// `errorCode` of an agent in a beat, empty when it has none.
pub fn error_code(agent: &Value) -> &str {
    agent["errorCode"].as_str().unwrap_or_default()
}

/// What is below a folder: of each entry its inode, size, mode and times.
pub fn snapshot(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
            let it = entry.metadata().unwrap();
            let times =
                format!("{}.{:09} {}.{:09}", it.mtime(), it.mtime_nsec(), it.ctime(), it.ctime_nsec());
            all.insert(entry.path(), format!("{} {} {:o} {times}", it.ino(), it.size(), it.mode()));
            if it.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    all
}

/// What differs between two snapshots.
pub fn changes(before: &BTreeMap<PathBuf, String>, after: &BTreeMap<PathBuf, String>) -> Vec<PathBuf> {
    let all = before.keys().chain(after.keys()).filter(|path| before.get(*path) != after.get(*path));
    let mut changed: Vec<PathBuf> = all.cloned().collect();
    changed.sort();
    changed.dedup();
    changed
}
