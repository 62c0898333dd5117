//! The whole desired state as one file, fleet.yaml, for people: read with the place of every value, and written.
//!
//! What the server refuses it names by path (`policies[3].version`); people look for a line. Nothing here asks the server.

mod document;
mod fault;
mod node;
mod plain;
mod shape;
pub mod words;
mod written;

pub use document::FleetFile;
pub use plain::plain;
pub use written::written;
