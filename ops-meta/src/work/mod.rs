//! What runs in the background, one file each.

pub mod deletion;
pub mod expiry;
pub mod flush;
pub mod jobs;
pub mod rollouts;
pub mod usage;
