//! Requests and what they are answered, one file per noun.

pub mod asked;
pub mod auth;
mod body;
pub mod downloads;
mod editing;
pub mod error;
pub mod events;
mod files;
pub mod groups;
pub mod health;
pub mod heartbeat;
pub mod hosts;
pub mod idempotency;
pub mod legacy;
pub mod lists;
mod local;
pub mod metrics;
pub mod openapi;
pub mod packages;
mod page;
pub mod policies;
pub mod problem;
mod served;
pub mod settings;
pub mod tokens;
mod whole;
pub mod whole_state;
