//! Pure: no socket, no clock, no file. Which host should run what, and which part of a file is asked for.

pub mod compile;
pub mod conformity;
pub mod desired;
pub mod explain;
pub mod failures;
pub mod freeze;
pub mod hex;
pub mod host;
pub mod import2015;
pub mod job;
pub mod nearest;
pub mod one_line;
pub mod package;
pub mod policy2015;
pub mod precedence;
mod prefixes;
pub mod range;
pub mod role;
pub mod rollout;
pub mod selector;
pub mod version_order;
pub mod words;

pub use prefixes::Prefixes;
