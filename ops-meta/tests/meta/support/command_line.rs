//! The real binary as an operator's command line, and a server that answers what it is told to.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::Server;

/// What a command said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// One JSON object a line.
    pub fn objects(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Of a command that has to succeed.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

/// `ops-meta` with nothing of this machine's environment.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ops-meta"));
    command.args(args).env_clear().env("TZ", "UTC").stdin(Stdio::null());
    command
}

pub fn run(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Said { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
}

impl Server {
    /// On a free port, anybody's heartbeats welcome, with its data in `data`.
    pub fn serve(folder: tempfile::TempDir) -> Self {
        Self::run(folder, &["serve", "--listen", "127.0.0.1:0"])
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A command of the first admin's.
    pub fn command(&self, args: &[&str]) -> Command {
        let token = std::fs::read_to_string(self.path("data/admin.token")).unwrap();
        let mut command = command(args);
        command.env("OPS_META_URL", self.url()).env("OPS_META_TOKEN", token.trim());
        command
    }

    /// What a terminal shows when somebody types `typed` into it.
    pub fn on_a_terminal(&self, args: &str, typed: &str) -> String {
        let line = format!("{} {args}", env!("CARGO_BIN_EXE_ops-meta"));
        let admin = self.command(&[]);
        let mut script = Command::new("script");
        script.args(["-qec", &line, "/dev/null"]).env_clear().env("PATH", "/usr/bin:/bin").env("TZ", "UTC");
        script.envs(admin.get_envs().filter_map(|(key, value)| Some((key, value?))));
        let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(typed.as_bytes()).unwrap();
        let shown = child.wait_with_output().unwrap().stdout;
        drop(stdin);
        String::from_utf8(shown).unwrap()
    }

    pub fn admin(&self, args: &[&str]) -> Said {
        run(&mut self.command(args))
    }
}

/// Serves one request after the other, each on a connection of its own: `answer` gets `GET /path?query` and gives the
/// status line, further header lines and the body. Says its address.
pub fn fake(mut answer: impl FnMut(&str) -> (&'static str, &'static str, String) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let Some(first) = lines.next() else { continue };
            while lines.next().is_some_and(|line| !line.is_empty()) {}
            let (status, head, body) = answer(first.trim_end_matches(" HTTP/1.1"));
            let length = body.len();
            let text = format!(
                "HTTP/1.1 {status}\r\n{head}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
            );
            let _ = stream.write_all(text.as_bytes());
        }
    });
    url
}

/// A command that asks the fake.
pub fn asking(url: &str, args: &[&str]) -> Command {
    let mut command = command(args);
    command.env("OPS_META_URL", url).env("OPS_META_TOKEN", "opsm_x");
    command
}
