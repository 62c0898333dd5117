//! End-to-end tests: the harness. A [`Base`] is one host with an ops-updater, [`FakeMeta`] and [`FileServer`] are the
//! servers it talks to and may misbehave in every way, [`Meta`] is the real ops-meta, [`DurableMeta`] one that comes back, [`Sim`] is thousands of hosts,
//! [`Package`] makes tarballs.
//!
//! The binaries are those in the folder that `OPS_BIN_DIR` names.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here, and it starts programs and threads as it needs"
)]

mod base;
mod control;
mod durable_meta;
mod fake_meta;
mod file_server;
mod http;
mod meta;
mod package;
mod processes;
mod programs;
mod signer;
mod sim;
mod tls;
mod wait;

pub use base::{Base, Ran, changes, error_code, snapshot};
pub use control::{Sick, agent_script, script};
pub use durable_meta::DurableMeta;
pub use fake_meta::{Answer, FakeMeta};
pub use file_server::{Fault, FileServer};
pub use http::{Reply, get};
pub use meta::Meta;
pub use package::{Entry, Package, Part, gzip, gzip_of, tar};
pub use processes::{
    Process, below, children, cpu_secs, is_alive, is_zombie, kill, peak_bytes, resident_bytes, send,
};
pub use programs::{binary, debian, free_port, libraries};
pub use signer::Signer;
pub use sim::Sim;
pub use tls::{Authority, Identity, Valid};
pub use wait::{SOON, wait_for};
