use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::get;
use crate::package::Package;
use crate::programs::binary;
use crate::tls::Authority;
use crate::wait::{SOON, wait_for};

/// The real ops-meta, with a cfg.json of 2015.
pub struct Meta {
    folder: TempDir,
    /// What stands in it besides the agents.
    cfg: Value,
    child: Child,
    address: SocketAddr,
    log: Arc<Mutex<String>>,
}

impl Meta {
    #[expect(clippy::new_without_default, reason = "it starts a server")]
    pub fn new() -> Self {
        Self::start(folder(), json!({}))
    }

    /// One that speaks https.
    pub fn with_tls(authority: &Authority) -> Self {
        let folder = folder();
        std::fs::write(folder.path().join("cert.pem"), &authority.cert_pem).unwrap();
        std::fs::write(folder.path().join("key.pem"), &authority.key_pem).unwrap();
        Self::start(folder, json!({"tls": {"certFile": "cert.pem", "keyFile": "key.pem"}}))
    }

    fn start(folder: TempDir, more: Value) -> Self {
        std::fs::create_dir(folder.path().join("tarball")).unwrap();
        let mut cfg = json!({"debug": true, "tarballDir": "./tarball",
                             "http": {"enabled": true, "listen": "127.0.0.1:0"}});
        cfg.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        write_cfg(&folder, &cfg, &[]);
        let mut child = Command::new(binary("ops-meta"))
            .arg("-c")
            .arg(folder.path().join("cfg.json"))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (stderr, lines) = (child.stderr.take().unwrap(), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                lines.lock().unwrap().push_str(&format!("{line}\n"));
            }
        });
        let listening = || listening(&log.lock().unwrap());
        let end = std::time::Instant::now() + SOON;
        while listening().is_none() && std::time::Instant::now() < end && matches!(child.try_wait(), Ok(None))
        {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let Some(address) = listening() else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("ops-meta does not say where it listens:\n{}", log.lock().unwrap());
        };
        Self { folder, cfg, child, address, log }
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }

    pub fn get(&self, path: &str) -> (u16, String) {
        let reply = get(self.address, path).expect("ops-meta does not answer");
        (reply.status, reply.body)
    }

    /// `tarballDir`.
    pub fn tarballs(&self) -> PathBuf {
        self.folder.path().join("tarball")
    }

    /// Puts a package into `tarballDir`.
    pub fn put(&self, package: &Package) {
        package.put(&self.tarballs());
    }

    /// What is ordered of every host from now on.
    pub fn order(&self, package: &Package, cmd: &str) {
        self.order_all(&[(&package.name, &package.version)], cmd);
    }

    /// The same of several agents, by name and version.
    pub fn order_all(&self, agents: &[(&str, &str)], cmd: &str) {
        let tarball = format!("http://{}", self.address);
        let entry = |(name, version): &(&str, &str)| {
            let default =
                json!({"name": name, "version": version, "tarball": tarball, "md5": "", "cmd": cmd});
            json!({"default": default, "others": []})
        };
        write_cfg(&self.folder, &self.cfg, &agents.iter().map(entry).collect::<Vec<_>>());
        let (status, body) = self.get("/config/reload");
        assert!(status == 200 && body.contains("success"), "the reload was refused: {status} {body}");
    }

    /// What the last beat of a host said of an agent, null before the first one.
    pub fn status(&self, agent: &str, hostname: &str) -> Value {
        self.statuses(agent)[hostname].clone()
    }

    /// The same of all hosts.
    pub fn statuses(&self, agent: &str) -> Value {
        let (_, body) = self.get(&format!("/status/json/{agent}"));
        serde_json::from_str(&body).unwrap_or(Value::Null)
    }

    #[track_caller]
    pub fn wait_for_status(
        &self,
        what: &str,
        agent: &str,
        hostname: &str,
        condition: impl Fn(&Value) -> bool,
    ) {
        wait_for(what, SOON, || condition(&self.status(agent, hostname)));
    }
}

fn folder() -> TempDir {
    tempfile::Builder::new().prefix("e2e-meta-").tempdir().unwrap()
}

fn write_cfg(folder: &TempDir, cfg: &Value, agents: &[Value]) {
    let mut cfg = cfg.clone();
    cfg["agents"] = agents.into();
    std::fs::write(folder.path().join("cfg.json"), cfg.to_string()).unwrap();
}

fn listening(log: &str) -> Option<SocketAddr> {
    let word = log.split_whitespace().find_map(|it| it.strip_prefix("listening="))?;
    word.trim_matches('"').parse().ok()
}

impl Drop for Meta {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of ops-meta ---\n{}", self.log.lock().unwrap());
        }
    }
}
