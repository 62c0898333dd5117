//! The real binary on a port of its own, and a client that sends exactly the bytes it is told to.

pub mod certificates;
mod client;
pub mod command_line;
pub mod fleet;
pub mod full_disk;
mod operator;
pub mod packages;
mod server;
pub mod tarball;

pub use client::{Reply, exchange, read_reply, request};
pub use operator::{Operator, bearer, first_token};
pub use server::{Server, eventually, refused};

use serde_json::{Value, json};

/// A cfg.json of 2015 on a free port of loopback, with one agent.
pub fn config() -> Value {
    json!({
        "debug": false,
        "tarballDir": "",
        "http": { "enabled": true, "listen": "127.0.0.1:0" },
        "agents": [{
            "default": {
                "name": "falcon-agent", "version": "1.0.0", "tarball": "http://10.0.0.1:8888/falcon", "md5": "",
                "cmd": "start"
            },
            "others": [{ "prefix": "lg-", "version": "2.0.0", "tarball": "", "md5": "", "cmd": "" }]
        }]
    })
}

/// [`config`] with some keys of another value.
pub fn config_with(other: Value) -> Value {
    let mut config = config();
    for (key, value) in other.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

/// A beat that reports one agent.
pub fn beat(hostname: &str, status: &str) -> Value {
    let agent =
        json!({ "name": "falcon-agent", "version": "1.0.0", "status": status, "timestamp": 1_709_210_096 });
    json!({ "hostname": hostname, "realAgents": [agent] })
}
