//! Hosts with tokens, an ops-meta that is restarted under them, and what operators see of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here"
)]

use std::fs;
use std::process::{Child, Command, Stdio};

use e2e::{Base, Package, SOON, Sick, binary, free_port, get, kill, wait_for};
use serde_json::{Value, json};
use tempfile::TempDir;

/// An ops-meta on every address of this machine, with a data folder that outlives it.
struct DurableMeta {
    child: Option<Child>,
    folder: TempDir,
    port: u16,
}

impl DurableMeta {
    /// Without agents: hosts have to show a token.
    fn without_orders() -> Self {
        Self::with(&[])
    }

    /// With these packages, the first one ordered of every host.
    fn with(packages: &[&Package]) -> Self {
        let folder = tempfile::Builder::new().prefix("e2e-meta-").tempdir().unwrap();
        fs::create_dir(folder.path().join("tarball")).unwrap();
        packages.iter().for_each(|package| package.put(&folder.path().join("tarball")));
        // It comes back at the same port.
        let mut meta = Self { child: None, folder, port: free_port() };
        meta.write_cfg(packages.first().copied());
        meta.start();
        meta
    }

    fn start(&mut self) {
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
    fn end(&mut self) {
        let mut child = self.child.take().unwrap();
        kill(child.id() as i32);
        child.wait().unwrap();
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn write_cfg(&self, package: Option<&Package>) {
        let order = |package: &Package| {
            json!({"default": {"name": package.name, "version": package.version, "tarball": self.url(), "md5": "",
                               "cmd": "start"}})
        };
        let cfg = json!({"tarballDir": "tarball", "http": {"enabled": true, "listen": format!("0.0.0.0:{}", self.port)},
                         "agents": package.map(order).into_iter().collect::<Vec<_>>()});
        fs::write(self.folder.path().join("cfg.json"), cfg.to_string()).unwrap();
    }

    fn order(&self, package: &Package) {
        self.write_cfg(Some(package));
        let reply = get(([127, 0, 0, 1], self.port).into(), "/config/reload").unwrap();
        assert!(reply.status == 200 && reply.body.contains("success"), "{reply:?}");
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A command of the first admin's: its exit code and its output.
    fn command(&self, words: &[&str]) -> (Option<i32>, String) {
        let token = fs::read_to_string(self.folder.path().join("data/admin.token")).unwrap();
        let mut command = Command::new(binary("ops-meta"));
        command.args(words).env("OPS_META_URL", self.url()).env("OPS_META_TOKEN", token.trim());
        let output = command.stdin(Stdio::null()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    /// A new token for one host.
    fn host_token(&self, hostname: &str) -> String {
        let (code, secret) =
            self.command(&["token", "create", hostname, "--role", "host", "--hostname", hostname]);
        assert_eq!(code, Some(0));
        secret
    }

    /// `GET /api/v1/hosts/host-1`, null while there is none.
    fn host(&self) -> Value {
        let (_, text) = self.command(&["host", "show", "host-1", "-o", "json"]);
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// The host in full, once this holds of its first agent.
    #[track_caller]
    fn wait_for_agent(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
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

/// host-1 with this token in its `tokenFile`.
fn host_with(meta: &DurableMeta, token: &str) -> Base {
    let mut base = Base::new(&meta.url());
    show_token(&base, token);
    base.set("tokenFile", "token");
    base
}

fn show_token(base: &Base, token: &str) {
    fs::write(base.outside().join("token"), token).unwrap();
}

fn steps(agent: &Value) -> Vec<&str> {
    agent["steps"].as_array().into_iter().flatten().filter_map(|it| it["step"].as_str()).collect()
}

/// Whether something of alpha became this, in a line that is written.
fn has_history(host: &Value, what: &str, after: &str) -> bool {
    let mut lines = host["history"].as_array().into_iter().flatten();
    lines.any(|line| line["agent"] == "alpha" && line["what"] == what && line["after"] == after)
}

#[test]
fn a_host_is_heard_by_its_own_token_and_by_no_other() {
    let meta = DurableMeta::without_orders();
    let base = host_with(&meta, "ops_wrong");
    for (token, status) in [("ops_wrong", "401"), (&*meta.host_token("host-2"), "403")] {
        show_token(&base, token);
        let once = base.once().exits(1);
        let said =
            once.stderr.lines().find(|line| line.contains("code=http_status") && line.contains(status));
        assert!(said.is_some_and(|line| line.contains("token")), "{}", once.stderr);
        let plan = base.run(&["plan"]).exits(1);
        assert!(plan.stderr.contains(status) && plan.stderr.contains("token"), "{plan:?}");
        assert!(!once.stderr.contains(token.trim()), "a token is nobody's to read: {}", once.stderr);
    }
    assert_eq!(meta.host(), Value::Null);

    show_token(&base, &meta.host_token("host-1"));
    base.once().exits(0);
    assert_eq!(meta.host()["state"], "new");
}

#[test]
fn an_ops_meta_that_was_killed_knows_its_hosts_and_tokens() {
    let package = Package::agent("alpha", "1.0.0");
    let mut meta = DurableMeta::with(&[&package]);
    let token = meta.host_token("host-1");
    let mut base = host_with(&meta, &token);
    base.start();
    let before = meta.wait_for_agent("1.0.0 runs", |it| it["status"] == "started");
    wait_for("that is written", SOON, || has_history(&meta.host(), "status", "started"));

    meta.end();
    // By its last answer it goes on as it was told.
    kill(base.daemon("alpha", "1.0.0"));
    let base_log = |what: &str, from: usize| base.log()[from..].contains(what);
    wait_for("it hears nothing", SOON, || base_log("code=unreachable", 0));
    let mark = base.log().len();
    wait_for("the agent runs again", SOON, || !base.daemons("alpha").is_empty());
    base.daemon("alpha", "1.0.0");

    meta.start();
    let after = meta.host();
    assert_eq!((&after["firstSeen"], &after["machineId"]), (&before["firstSeen"], &before["machineId"]));
    assert_eq!(after["agents"][0]["version"], "1.0.0");
    let last = after["lastSeen"].as_i64().unwrap();
    wait_for("it is heard again", SOON, || meta.host()["lastSeen"].as_i64().unwrap() > last);
    assert!(!base_log("code=http_status", mark), "its token counts on: {}", base.log());
    let (_, tokens) = meta.command(&["token", "list", "-o", "json"]);
    assert_eq!(tokens.lines().count(), 2, "{tokens}");
}

#[test]
fn operators_see_what_an_upgrade_did_and_why_one_failed() {
    let (first, second) = (Package::agent("alpha", "1.0.0"), Package::agent("alpha", "1.0.1"));
    let bad = Package::sick("alpha", "1.0.2", Sick::DiesAtOnce);
    let meta = DurableMeta::with(&[&first, &second, &bad]);
    let mut base = host_with(&meta, &meta.host_token("host-1"));
    base.set("startTimeoutSecs", 3).start();
    meta.wait_for_agent("1.0.0 runs", |it| it["status"] == "started");

    meta.order(&second);
    let host = meta.wait_for_agent("1.0.1 runs, and its steps are told", |it| {
        it["version"] == "1.0.1" && it["phase"] == "idle" && steps(it).contains(&"stop")
    });
    assert_eq!(host["current"], "yes", "{host}");
    for step in ["fetch", "verify", "unpack", "stop", "start"] {
        assert!(steps(&host["agents"][0]).contains(&step), "{step} is not told: {host}");
    }
    wait_for("the change is history", SOON, || has_history(&meta.host(), "version", "1.0.1"));

    meta.order(&bad);
    let host = meta.wait_for_agent("1.0.2 is taken back", |it| {
        it["version"] == "1.0.1" && it["status"] == "started" && it["error"].is_string()
    });
    let agent = &host["agents"][0];
    assert_eq!((&host["current"], &agent["desiredVersion"]), (&json!("failed"), &json!("1.0.2")), "{host}");
    assert!(agent["errorCode"].is_string() && agent["attempt"].is_u64(), "{host}");
    assert_eq!(host["desired"][0]["current"], "failed", "{host}");
    let (_, text) = meta.command(&["host", "show", "host-1"]);
    assert!(text.contains(agent["errorCode"].as_str().unwrap()), "{text}");
    let (_, list) = meta.command(&["host", "list", "--current", "failed", "-o", "json"]);
    assert!(list.contains("host-1"), "{list}");
}
