//! Hosts that are told what to run, and files that say it.

use serde_json::json;

use super::Server;
use super::command_line::Said;

impl Server {
    /// A server with `web-01` to `web-NN`, all of `env=prod` but the last, each with my-agent 1.7.0.
    pub fn with_hosts(count: usize) -> Self {
        let server = Self::serve(tempfile::tempdir().unwrap());
        server.wait_for_log(&["event=first_token"]);
        for n in 1..=count {
            let env = if n == count { "test" } else { "prod" };
            server.is_heard(&format!("web-{n:02}"), env);
        }
        server
    }

    fn is_heard(&self, hostname: &str, env: &str) {
        let agent =
            json!({"name": "my-agent", "version": "1.7.0", "status": "started", "timestamp": 1_709_210_096});
        let beat =
            json!({"protocol": 2, "hostname": hostname, "labels": {"env": env}, "realAgents": [agent]});
        assert_eq!(self.post("/heartbeat", &beat).status, 200);
    }

    /// What a host is told to run, as `NAME VERSION`.
    pub fn told(&self, hostname: &str) -> Vec<String> {
        let beat = json!({"protocol": 2, "hostname": hostname, "labels": {"env": "prod"}, "realAgents": []});
        let answer = self.post("/heartbeat", &beat).json();
        let agents = answer["desiredAgents"].as_array().unwrap();
        let told = |it: &serde_json::Value| {
            format!("{} {}", it["name"].as_str().unwrap(), it["version"].as_str().unwrap())
        };
        agents.iter().map(told).collect()
    }

    /// Writes it beside the server's data, and says where.
    pub fn file(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Words with blanks between, as they are typed where nothing has to be quoted.
    pub fn say(&self, words: &str) -> Said {
        self.admin(&words.split(' ').collect::<Vec<_>>())
    }
}
