use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Base, Package, SOON, binary, free_port, get, kill, wait_for};

/// An ops-meta on every address of this machine, with a data folder that outlives it.
pub struct DurableMeta {
    child: Option<Child>,
    folder: TempDir,
    port: u16,
}

impl DurableMeta {
    /// Without agents: hosts have to show a token.
    pub fn without_orders() -> Self {
        Self::with(&[])
    }

    /// With these packages, the first one ordered of every host.
    pub fn with(packages: &[&Package]) -> Self {
        let folder = tempfile::Builder::new().prefix("e2e-meta-").tempdir().unwrap();
        fs::create_dir(folder.path().join("tarball")).unwrap();
        packages.iter().for_each(|package| package.put(&folder.path().join("tarball")));
        // It comes back at the same port.
        let mut meta = Self { child: None, folder, port: free_port() };
        meta.write_cfg(packages.first().copied());
        meta.start();
        meta
    }

    pub fn start(&mut self) {
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        let mut command = Command::new(binary("ops-meta"));
        command.args(["-c", "cfg.json"]).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut child = command.spawn().unwrap();
        wait_for("ops-meta listens", SOON, || {
            assert!(child.try_wait().unwrap().is_none(), "{}", self.log());
            self.log().contains("listening=")
        });
        self.child = Some(child);
    }

    /// kill -9.
    pub fn end(&mut self) {
        let mut child = self.child.take().unwrap();
        kill(child.id() as i32);
        child.wait().unwrap();
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn write_cfg(&self, package: Option<&Package>) {
        self.write_orders(package, &self.url(), json!({"tarballDir": "tarball"}));
    }

    /// An order of this package, fetched from there, beside other keys.
    fn write_orders(&self, package: Option<&Package>, tarball: &str, mut cfg: Value) {
        let order = |package: &Package| {
            json!({"default": {"name": package.name, "version": package.version, "tarball": tarball, "md5": "",
                               "cmd": "start"}})
        };
        cfg["http"] = json!({"enabled": true, "listen": format!("0.0.0.0:{}", self.port)});
        cfg["agents"] = package.map(order).into_iter().collect();
        fs::write(self.folder.path().join("cfg.json"), cfg.to_string()).unwrap();
    }

    /// Orders a package that was pushed, with other keys in cfg.json.
    pub fn order_pushed(&self, package: &Package, cfg: Value) {
        self.order_from(package, &format!("{}/packages", self.url()), cfg);
    }

    /// Orders a package from there, with other keys in cfg.json.
    pub fn order_from(&self, package: &Package, tarball: &str, cfg: Value) {
        self.write_orders(Some(package), tarball, cfg);
        self.reload();
    }

    pub fn order(&self, package: &Package) {
        self.write_cfg(Some(package));
        self.reload();
    }

    fn reload(&self) {
        let reply = get(([127, 0, 0, 1], self.port).into(), "/config/reload").unwrap();
        assert!(reply.status == 200 && reply.body.contains("success"), "{reply:?}");
    }

    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A command of the first admin's: its exit code and its output.
    pub fn command(&self, words: &[&str]) -> (Option<i32>, String) {
        let output = self.run(words);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    /// The same, whole.
    pub fn run(&self, words: &[&str]) -> Output {
        let token = fs::read_to_string(self.folder.path().join("data/admin.token")).unwrap();
        let mut command = Command::new(binary("ops-meta"));
        command.args(words).env("OPS_META_URL", self.url()).env("OPS_META_TOKEN", token.trim());
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// A command that has to succeed: what it printed.
    pub fn done(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A new token for one host.
    pub fn host_token(&self, hostname: &str) -> String {
        let (code, secret) =
            self.command(&["token", "create", hostname, "--role", "host", "--hostname", hostname]);
        assert_eq!(code, Some(0));
        secret
    }

    /// host-1 with this token in its `tokenFile`.
    pub fn host_with(&self, token: &str) -> Base {
        let mut base = Base::new(&self.url());
        base.show_token(token);
        base.set("tokenFile", "token");
        base
    }

    /// `GET /api/v1/hosts/host-1`, null while there is none.
    pub fn host(&self) -> Value {
        let (_, text) = self.command(&["host", "show", "host-1", "-o", "json"]);
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// The host in full, once this holds of its first agent.
    #[track_caller]
    pub fn wait_for_agent(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let mut host = Value::Null;
        wait_for(what, SOON, || {
            host = self.host();
            condition(&host["agents"][0])
        });
        host
    }
}

impl Drop for DurableMeta {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- log of ops-meta ---\n{}", self.log());
        }
    }
}
