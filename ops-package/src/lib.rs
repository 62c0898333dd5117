//! The package format: one agent version as `NAME-VERSION.tar.gz`, with an executable `control` at its root.
//!
//! * [`walk`] reads such a tarball once, front to back, and tells a [`Sink`] what is in it. What is doubtful is
//!   refused, never skipped or repaired: the first refusal ends the walk.
//! * [`inspect`] is a walk that gives a list of what is in it, and the [`Manifest`]: what a package may say of itself, in
//!   `manifest.json` at its root.
//! * [`Packer`] writes such a tarball, the same bytes each time; [`Outline`] says before whether a walk will take it.
//! * [`Digesting`] and [`Limited`] wrap any stream: digests and a size while the bytes go by, and an end to them.
//! * [`find_sum`] reads the files that stand beside a tarball (`.md5`, `.sha256`).
//!
//! This crate opens no file and no socket and holds no more than a few megabytes, whatever an archive claims.

mod content;
mod digest;
mod file_name;
mod gunzip;
mod header;
mod limited;
mod limits;
mod link;
mod listing;
mod manifest;
mod members;
mod outline;
mod packer;
mod path;
mod pax;
mod platform;
mod refusal;
mod requirement;
mod sink;
mod strict_json;
mod sums;
mod tree;
mod walk;

pub use digest::{Algorithm, Digesting, Digests};
pub use file_name::{FileNameError, file_name, split_file_name};
pub use limited::{Limited, TooLarge};
pub use limits::Limits;
pub use listing::{Entry, EntryKind, Inspected, Listing, inspect};
pub use manifest::{Deprecated, MANIFEST, MANIFEST_BYTES_MAX, Manifest, ManifestError, Restart};
pub use outline::{Mode, Outline};
pub use packer::{Packed, Packer};
pub use path::EntryPath;
pub use platform::{Platform, PlatformError};
pub use refusal::Refusal;
pub use requirement::{Comparison, Requirement, RequirementError};
pub use sink::Sink;
pub use sums::{SIGNATURE_BYTES_MAX, SUMS_BYTES_MAX, SumsError, find_sum};
pub use walk::{Summary, WalkError, walk};
