//! How the hosts of a rollout fare: while it goes on, and when it is over.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::failures::Failures;
use crate::domain::rollout::{Classes, Counts, Tally, Why};

/// How the hosts of one rollout fare.
#[derive(Debug)]
pub struct Seen {
    /// Unix milliseconds.
    pub at: i64,
    pub tally: Tally,
    pub failures: BTreeMap<String, Failures>,
    pub why: Why,
}

/// The same, as it is kept when all is over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ended {
    /// Unix milliseconds.
    pub at: i64,
    /// Of all hosts those that have the change.
    pub percent: u32,
    pub waves: Vec<WaveEnded>,
    pub rest: Value,
    pub failures: BTreeMap<String, Failures>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct WaveEnded {
    pub hosts: u32,
    pub reached: u32,
    pub of: Value,
}

impl Seen {
    pub fn ended(&self) -> Ended {
        // Nothing in it is what JSON has not.
        let json = |of: &Classes| serde_json::to_value(of).unwrap_or_default();
        let wave = |it: &Counts| WaveEnded { hosts: it.hosts, reached: it.reached, of: json(&it.of) };
        let Tally { waves, rest, .. } = &self.tally;
        Ended {
            at: self.at,
            percent: self.tally.percent_done(),
            waves: waves.iter().map(wave).collect(),
            rest: json(rest),
            failures: self.failures.clone(),
        }
    }
}
