//! Pure: no socket, no clock, no file. Which host should run what, and which part of a file is asked for.

pub mod conformity;
pub mod hex;
pub mod host;
pub mod one_line;
pub mod package;
pub mod policy2015;
mod prefixes;
pub mod range;
pub mod role;

pub use prefixes::Prefixes;
