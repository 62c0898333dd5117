//! A job: an action that each of some hosts does once.

mod outcome;
mod progress;
#[cfg(test)]
mod tests;
mod words;

pub use outcome::{Counts, Outcome};
pub use progress::{Host, Progress, Tell};
pub use words::{HostState, Kind, State};

/// More hosts are several jobs, or a rollout.
pub const HOSTS_MAX: usize = 10_000;
/// How long a job may run, in seconds: unless told otherwise, and from a second to 30 days.
pub const EXPIRES_SECS: u64 = 24 * 3600;
pub const EXPIRES_SECS_MAX: u64 = 30 * 24 * 3600;
/// A host that was told and has not answered after so long is not waited for before others are told, in milliseconds. One
/// that fell silent would hold up the others until the job is over.
pub const IN_FLIGHT_MS_MAX: i64 = 900_000;

/// What is to be done, as it was made. It does not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Of the action, too.
    pub id: u64,
    pub kind: Kind,
    /// Empty: of the host itself.
    pub agent: String,
    /// Hosts that were told and have not answered; `None`: any number.
    pub max_in_flight: Option<u32>,
    pub note: String,
    pub actor: String,
    /// Unix milliseconds.
    pub created: i64,
    pub expires: i64,
}
