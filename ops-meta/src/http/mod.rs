//! Requests and what they are answered, one file per noun.

pub mod asked;
pub mod auth;
mod body;
pub mod error;
pub mod events;
pub mod files;
pub mod health;
pub mod heartbeat;
pub mod hosts;
pub mod legacy;
mod local;
pub mod metrics;
pub mod openapi;
mod page;
pub mod problem;
pub mod tokens;
mod whole;
