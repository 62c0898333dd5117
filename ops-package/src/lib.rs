//! The package format: one agent version as `NAME-VERSION.tar.gz`, with an executable `control` at its root.
//!
//! * [`walk`] reads such a tarball once, front to back, and tells a [`Sink`] what is in it. What is doubtful is
//!   refused, never skipped or repaired: the first refusal ends the walk.
//! * [`Digesting`] and [`Limited`] wrap any stream: digests and a size while the bytes go by, and an end to them.
//! * [`find_sum`] reads the files that stand beside a tarball (`.md5`, `.sha256`).
//!
//! This crate opens no file and no socket and holds no more than a few megabytes, whatever an archive claims.

mod content;
mod digest;
mod gunzip;
mod header;
mod limited;
mod limits;
mod link;
mod members;
mod path;
mod pax;
mod refusal;
mod sink;
mod sums;
mod tree;
mod walk;

pub use digest::{Algorithm, Digesting, Digests};
pub use limited::{Limited, TooLarge};
pub use limits::Limits;
pub use path::EntryPath;
pub use refusal::Refusal;
pub use sink::Sink;
pub use sums::{SUMS_BYTES_MAX, SumsError, find_sum};
pub use walk::{Summary, WalkError, walk};
