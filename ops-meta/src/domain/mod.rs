//! Pure: no socket, no clock, no file. Which host should run what, and what a host may be called.

mod hostname;
pub mod policy2015;
mod prefixes;
pub mod range;

pub use hostname::Hostname;
pub use prefixes::Prefixes;
