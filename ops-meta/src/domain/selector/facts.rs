//! What is known of a host, borrowed from wherever it is kept.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::domain::conformity::Conformity;
use crate::domain::host::State;

/// What stays as it is whatever runs.
#[derive(Debug, Clone, Copy)]
pub struct HostFacts<'a> {
    pub hostname: &'a str,
    /// Empty: the host does not say (2015's).
    pub os: &'a str,
    pub arch: &'a str,
    /// `None`: none, or none that can be read.
    pub ip: Option<IpAddr>,
    pub labels: &'a BTreeMap<String, String>,
}

/// What runs, and how. Asked for only where a filter asks: some of it costs more than a look.
pub trait RealFacts {
    fn state(&self) -> State;
    fn current(&self) -> Conformity;
    fn agents(&self) -> impl Iterator<Item = AgentFacts<'_>>;
}

/// What a host says of one agent.
#[derive(Debug, Clone, Copy)]
pub struct AgentFacts<'a> {
    pub name: &'a str,
    /// Empty: not installed.
    pub version: &'a str,
    pub status: &'a str,
    /// Empty: none.
    pub error_code: &'a str,
    pub reboot_required: bool,
}
