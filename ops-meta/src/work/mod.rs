//! What runs in the background, one file each.

pub mod expiry;
pub mod flush;
pub mod usage;
