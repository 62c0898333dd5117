//! Hosts that failed, by how.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How many hosts are named of each code.
const NAMED_MAX: usize = 10;
/// Codes that are told apart: hosts may say anything, and whoever makes some up fills nothing.
const CODES_MAX: usize = 50;

/// Hosts that failed with one code.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = JobFailed)]
pub struct Failures {
    /// How many.
    pub hosts: u32,
    /// Some of them.
    pub some: Vec<String>,
}

impl Failures {
    /// Of a host that failed with this code; `others`: what comes after many codes.
    pub fn note(all: &mut BTreeMap<String, Self>, code: &str, others: &str, hostname: &str) {
        let is_told_apart = all.len() < CODES_MAX || all.contains_key(code);
        let of = all.entry(if is_told_apart { code } else { others }.to_owned()).or_default();
        of.hosts += 1;
        if of.some.len() < NAMED_MAX {
            of.some.push(hostname.to_owned());
        }
    }
}
