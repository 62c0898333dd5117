//! What crosses the network between a host and ops-meta: the types, the checked names and a reading that is
//! strict first and tolerant second.
//!
//! The 2015 fields of Open-Falcon's ops-updater and ops-meta never change; every other field is optional, and
//! absent, null and unknown are fine on both sides. This crate does no input or output.

mod code;
mod desired;
mod heartbeat;
mod names;
mod tolerant;

pub use code::ErrorCode;
pub use desired::{Action, Answer, Cmd, DesiredAgent, Md5};
pub use heartbeat::{ActionDone, Heartbeat, HostError, Phase, RealAgent, Status, StepDone};
pub use names::{AgentName, HexDigest, Hostname, HostnameError, NameError, Version};
pub use tolerant::{Refused, Unreadable};

/// The name of a package's tarball, as the download server has it: `NAME-VERSION.tar.gz` (2015).
pub fn tarball_name(name: &AgentName, version: &Version) -> String {
    format!("{name}-{version}.tar.gz")
}
