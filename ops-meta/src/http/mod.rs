//! Requests and what they are answered, one file per noun.

pub mod error;
pub mod files;
pub mod heartbeat;
pub mod legacy;
