//! Where beats come from, and where their outcomes go.

use std::time::Duration;

use crate::fleet::Fleet;

/// A beat under way.
#[derive(Debug, Clone, Copy)]
pub struct Ticket {
    pub host: u32,
    /// When it should have begun; latency counts from here, so that a slow server cannot hide what waits.
    pub due: Duration,
}

/// How a beat ended.
#[derive(Debug)]
pub enum Outcome<'a> {
    /// With status 200.
    Answered(&'a [u8]),
    Refused {
        retry_after_secs: Option<u64>,
    },
    /// Nobody was there, or went away.
    Broken,
}

/// A source of beats. Times are real, and count from the start.
pub trait Load {
    /// When the next beat is due; `None`: none before one that is under way has ended, if at all.
    fn due(&self) -> Option<Duration>;

    /// Writes the body of the beat that is due.
    fn begin(&mut self, now: Duration, body: &mut Vec<u8>) -> Option<Ticket>;

    /// The error is a kind of error, for the report.
    fn ended(&mut self, ticket: Ticket, outcome: &Outcome<'_>, now: Duration) -> Result<(), &'static str>;

    /// What is known of the hosts, where they are more than bytes.
    fn fleet(&self) -> Option<&Fleet> {
        None
    }
}
