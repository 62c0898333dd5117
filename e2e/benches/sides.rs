//! The two servers that are compared, each on a core of its own, with the load on another.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use e2e::{Authority, SOON, Sim, binary, cpu_secs, debian, free_port, get, libraries, wait_for};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The load has the first core, the server the second.
const LOAD_CORE: &str = "0";
const SERVER_CORE: &str = "1";
const ALL_CORES: &str = "0,1";
/// What a 2015 ops-meta answers to three agents, roughly.
const ANSWER_BYTES: usize = 330;

/// For 100,000 hosts to be written, where nobody says that they are.
const BLIND: Duration = Duration::from_secs(15);

/// A server at work.
pub struct Side {
    child: Option<Child>,
    folder: TempDir,
    port: u16,
    command: fn(&Side, &str) -> Command,
}

impl Side {
    /// ops-meta with three agents ordered, and with its durable state on.
    pub fn ours(tls: Option<&Authority>) -> Self {
        Self::ours_with(3, tls)
    }

    /// The same with so many agents in cfg.json.
    pub fn ours_with(agents: u8, tls: Option<&Authority>) -> Self {
        Self::start(
            tls,
            |port, path| (path.join("cfg.json"), ours_cfg(port, agents, tls)),
            |side, cores| {
                let mut command = pinned(&binary("ops-meta"), cores);
                command.args(["serve", "--data", "data", "-c", "cfg.json"]).current_dir(side.folder.path());
                command
            },
        )
    }

    /// nginx, one process, with a constant answer. It reads the body of the beat, and throws it away.
    pub fn nginx(tls: Option<&Authority>) -> Self {
        let location = format!("return 200 '{}';", "x".repeat(ANSWER_BYTES));
        let conf = |port, path: &Path| (path.join("nginx.conf"), nginx_conf(port, path, tls, &location));
        Self::start(tls, conf, nginx)
    }

    /// nginx, one process, that gives the files of a folder, and copies them itself as ops-meta does.
    pub fn nginx_of_files(root: &Path) -> Self {
        let location = format!("root {}; sendfile off;", root.display());
        let conf = |port, path: &Path| (path.join("nginx.conf"), nginx_conf(port, path, None, &location));
        Self::start(None, conf, nginx)
    }

    fn start(
        tls: Option<&Authority>,
        configuration: impl FnOnce(u16, &Path) -> (PathBuf, String),
        command: fn(&Self, &str) -> Command,
    ) -> Self {
        let (folder, port) = (tempfile::Builder::new().prefix("bench-").tempdir().unwrap(), free_port());
        fs::create_dir(folder.path().join("tmp")).unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        if let Some(authority) = tls {
            fs::write(folder.path().join("cert.pem"), &authority.cert_pem).unwrap();
            fs::write(folder.path().join("key.pem"), &authority.key_pem).unwrap();
        }
        let (file, text) = configuration(port, folder.path());
        fs::write(file, text).unwrap();
        let mut side = Self { child: None, folder, port, command };
        side.begin();
        side.wait_until_there();
        side
    }

    /// Starts it, where it was before, and waits for nothing.
    pub fn begin(&mut self) {
        self.begin_on(SERVER_CORE);
    }

    /// The same with both cores, where nobody loads it meanwhile.
    pub fn begin_with_all_cores(&mut self) {
        self.begin_on(ALL_CORES);
    }

    fn begin_on(&mut self, cores: &str) {
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        let mut command = (self.command)(self, cores);
        self.child = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    pub fn wait_until_there(&mut self) {
        let address = ([127, 0, 0, 1], self.port).into();
        wait_for("the server listens", SOON, || {
            let ended = self.child.as_mut().and_then(|it| it.try_wait().unwrap());
            assert!(ended.is_none(), "{}", self.log());
            std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
        });
    }

    /// With SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Status of a GET, by http; `None`: nobody answers.
    pub fn get(&self, path: &str) -> Option<u16> {
        get(([127, 0, 0, 1], self.port).into(), path).map(|it| it.status)
    }

    /// What the hosts of a load said first is written behind, which is not what a beat costs.
    pub fn wait_until_written(&self) {
        let pending = || {
            let reply = get(([127, 0, 0, 1], self.port).into(), "/metrics")?;
            Some(!reply.body.lines().any(|line| line == "ops_meta_pending_bytes 0"))
        };
        match pending() {
            Some(_) => wait_for("all is written", Duration::from_secs(300), || pending() == Some(false)),
            // It speaks TLS only.
            None => std::thread::sleep(BLIND),
        }
    }

    /// A number of /metrics.
    pub fn gauge(&self, name: &str) -> f64 {
        let reply = get(([127, 0, 0, 1], self.port).into(), "/metrics").expect("/metrics answers");
        let value = reply.body.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or_else(|| panic!("no {name} in /metrics"))
    }

    /// A call of the first admin's that has to succeed, and how many seconds it took.
    pub fn called_secs(&self, path: &str) -> f64 {
        self.called("GET", path, "").1
    }

    /// The same of any call; and what was answered.
    pub fn called(&self, method: &str, path: &str, body: &str) -> (Value, f64) {
        let begun = Instant::now();
        let answered = self.answered(method, path, body);
        (answered.unwrap_or_else(|why| panic!("{path}: {why:.300}")), begun.elapsed().as_secs_f64())
    }

    /// What such a call was answered with; the whole reply, where it was not done.
    pub fn answered(&self, method: &str, path: &str, body: &str) -> Result<Value, String> {
        // A heartbeat is nobody's but a host's.
        let token = match path {
            "/heartbeat" => String::new(),
            _ => {
                let token = fs::read_to_string(self.folder.path().join("data/admin.token")).unwrap();
                format!("Authorization: Bearer {}\r\n", token.trim())
            }
        };
        let mut stream = TcpStream::connect(self.address()).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.0\r\n{token}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        if !reply.starts_with("HTTP/1.0 20") {
            return Err(reply);
        }
        Ok(serde_json::from_str(reply.split_once("\r\n\r\n").unwrap().1).unwrap())
    }

    /// Of a file in its folder.
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn pid(&self) -> i32 {
        self.child.as_ref().unwrap().id() as i32
    }

    pub fn cpu_secs(&self) -> f64 {
        cpu_secs(self.pid())
    }

    fn log(&self) -> String {
        let file = fs::File::open(self.folder.path().join("log")).unwrap();
        BufReader::new(file).lines().map_while(Result::ok).take(20).collect::<Vec<_>>().join("\n")
    }

    /// fleet-sim against it, on the core of the load.
    pub fn load(&self, args: &[&str]) -> Sim {
        let mut command = pinned(&binary("fleet-sim"), LOAD_CORE);
        command.args(["--server", &self.address(), "--json", "--every", "0"]).args(args);
        Sim::run(&mut command)
    }

    /// The same to its end.
    pub fn loaded(&self, args: &[&str]) -> Loaded {
        let before = self.cpu_secs();
        let report = self.load(args).report();
        Loaded { server_cpu_secs: self.cpu_secs() - before, report }
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What came of a load.
pub struct Loaded {
    pub server_cpu_secs: f64,
    pub report: Value,
}

impl Loaded {
    pub fn number(&self, path: &str) -> f64 {
        self.report
            .pointer(path)
            .and_then(Value::as_f64)
            .unwrap_or_else(|| panic!("no {path}: {:#}", self.report))
    }

    /// Of the server, in microseconds.
    pub fn cpu_of_a_beat(&self) -> f64 {
        let errors = &self.report["errors"];
        assert!(errors.as_object().is_some_and(serde_json::Map::is_empty), "{:#}", self.report);
        self.server_cpu_secs * 1e6 / self.number("/beats")
    }

    /// Parts of one core that the server and the load had.
    pub fn shares(&self) -> (f64, f64) {
        let secs = self.number("/secs");
        (self.server_cpu_secs / secs, self.number("/ownCpuSecs") / secs)
    }
}

fn nginx(side: &Side, cores: &str) -> Command {
    let program = debian("nginx");
    let mut command = pinned(&program, cores);
    command.env("LD_LIBRARY_PATH", libraries(&program)).arg("-p").arg(side.folder.path());
    command.arg("-c").arg(side.folder.path().join("nginx.conf"));
    command
}

fn pinned(program: &Path, core: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core]).arg(program);
    command
}

fn ours_cfg(port: u16, agents: u8, tls: Option<&Authority>) -> String {
    let agent = |number: u8| {
        let tarball = "http://packages.example:8080/ops";
        let name = format!("agent-{number}");
        json!({"default": {"name": name, "version": "1.0.0", "tarball": tarball, "md5": "", "cmd": "start"}})
    };
    let mut cfg = json!({"http": {"enabled": true, "listen": format!("127.0.0.1:{port}")},
                         "agents": (1..=agents).map(agent).collect::<Vec<_>>()});
    if tls.is_some() {
        cfg["tls"] = json!({"certFile": "cert.pem", "keyFile": "key.pem"});
    }
    cfg.to_string()
}

/// Without tickets, since the load resumes no session.
fn nginx_conf(port: u16, path: &Path, tls: Option<&Authority>, location: &str) -> String {
    let path = path.display();
    let tls = match tls {
        None => ("", String::new()),
        Some(_) => (
            " ssl",
            format!(
                "ssl_certificate {path}/cert.pem; ssl_certificate_key {path}/key.pem; ssl_protocols TLSv1.3;
                 ssl_session_tickets off; ssl_session_cache off;"
            ),
        ),
    };
    format!(
        "daemon off; master_process off; pid {path}/pid; error_log stderr;
         events {{ worker_connections 8192; }}
         http {{
             access_log off; default_type application/json; keepalive_requests 1000000000;
             client_body_temp_path {path}/tmp/a; proxy_temp_path {path}/tmp/b; fastcgi_temp_path {path}/tmp/c;
             uwsgi_temp_path {path}/tmp/d; scgi_temp_path {path}/tmp/e;
             server {{
                 listen 127.0.0.1:{port}{} backlog=4096; {}
                 location / {{ {location} }}
             }}
         }}\n",
        tls.0, tls.1
    )
}
