#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod documented;
pub mod naive;
mod properties;
mod refused;
mod taken;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{AgentFacts, HostFacts, ListFilter, Lists, RealFacts, Refusal, Selector};
use crate::domain::conformity::Conformity;
use crate::domain::host::State;

/// A host that is kept by a test.
#[derive(Debug, Clone)]
pub struct Host {
    hostname: String,
    os: String,
    arch: String,
    ip: String,
    labels: BTreeMap<String, String>,
    agents: Vec<[String; 4]>,
    state: State,
    current: Conformity,
}

impl Host {
    pub fn facts(&self) -> HostFacts<'_> {
        HostFacts {
            hostname: &self.hostname,
            os: &self.os,
            arch: &self.arch,
            ip: self.ip.parse().ok(),
            labels: &self.labels,
        }
    }
}

impl RealFacts for Host {
    fn state(&self) -> State {
        self.state
    }

    fn current(&self) -> Conformity {
        self.current
    }

    fn agents(&self) -> impl Iterator<Item = AgentFacts<'_>> {
        self.agents.iter().map(|[name, version, status, error_code]| AgentFacts {
            name,
            version,
            status,
            error_code,
            reboot_required: error_code == "start_failed",
        })
    }
}

pub fn lists() -> Lists {
    let list =
        |name: &str, words: &[&str]| (name.into(), Arc::new(words.iter().map(|&word| word.into()).collect()));
    Lists::from([list("edge", &["bj-web01", "sh-web01"]), list("none", &[])])
}

fn selector(text: &str) -> Result<Selector, Refusal> {
    Selector::parse(text, &lists())
}

fn filter(text: &str) -> Result<ListFilter, Refusal> {
    ListFilter::parse(text, &lists())
}
