//! How the hosts of a rollout fare: while it goes on, and when it is over.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::rollout::{Classes, Counts, Tally, Why};

/// Hosts that are named, of each kind of failure.
const NAMED_MAX: usize = 10;
/// Kinds that are told apart.
const CODES_MAX: usize = 50;
const OTHERS: &str = "others";

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

/// Hosts that failed in the same way.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Failures {
    pub hosts: usize,
    pub some: Vec<String>,
}

impl Failures {
    /// Of a host that failed in this way. Hosts may say anything: what comes after many ways is one more.
    pub fn note(all: &mut BTreeMap<String, Self>, code: &str, hostname: &str) {
        let is_known = all.len() < CODES_MAX || all.contains_key(code);
        let of = all.entry(if is_known { code } else { OTHERS }.to_owned()).or_default();
        of.hosts += 1;
        if of.some.len() < NAMED_MAX {
            of.some.push(hostname.to_owned());
        }
    }
}
