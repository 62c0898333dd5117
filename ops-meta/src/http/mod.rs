//! Requests and what they are answered, one file per noun.

pub mod asked;
pub mod auth;
mod body;
pub mod downloads;
pub mod error;
pub mod events;
mod files;
pub mod health;
pub mod heartbeat;
pub mod hosts;
pub mod legacy;
mod local;
pub mod metrics;
pub mod openapi;
pub mod packages;
mod page;
pub mod problem;
mod served;
pub mod tokens;
mod whole;
