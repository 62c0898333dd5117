//! The body of a beat: what the updater of a simulated host would print.

use std::collections::BTreeMap;

use ops_wire::{ActionDone, Heartbeat, RealAgent};

use crate::identity;

/// What all hosts say alike.
#[derive(Debug)]
pub struct Common {
    pub hostname_prefix: String,
    pub labels: BTreeMap<String, String>,
    pub interval_secs: u32,
}

impl Common {
    pub fn beat(
        &self,
        host: u32,
        agents: Vec<RealAgent>,
        generation: Option<u64>,
        done: Vec<ActionDone>,
    ) -> Heartbeat {
        Heartbeat {
            hostname: identity::hostname(&self.hostname_prefix, host),
            real_agents: agents,
            ip: identity::ip(host),
            updater_version: env!("CARGO_PKG_VERSION").to_owned(),
            run_user: "root".to_owned(),
            machine_id: identity::machine_id(host),
            os: std::env::consts::OS.to_owned(),
            arch: std::env::consts::ARCH.to_owned(),
            labels: self.labels.clone(),
            interval_secs: Some(self.interval_secs),
            generation,
            errors: Vec::new(),
            actions_done: done,
        }
    }
}
