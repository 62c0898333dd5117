//! What a package may be, and what is refused: one file for each danger.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends there"
)]

mod any_bytes;
mod control;
mod digests;
mod disk;
mod frozen;
mod good;
mod headers;
mod kinds;
mod links;
mod listings;
mod manifests;
mod packing;
mod paths;
mod real_tools;
mod recording;
mod sinks;
mod sizes;
mod streams;
mod sums;
mod tarball;
