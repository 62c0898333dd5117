//! What is wrong with a document, and where.

use std::fmt;

use serde::Serialize;
use utoipa::ToSchema;

/// How many are listed; a document with more needs no longer list.
const FAULTS_MAX: usize = 100;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Fault {
    /// Where: `groups.prod.select`, `policies[3].version`.
    pub path: String,
    /// What, and what to do.
    pub why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.path, self.why)
    }
}

/// All of them, as they are found.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    pub fn note(&mut self, path: impl Into<String>, why: impl fmt::Display) {
        if self.0.len() < FAULTS_MAX {
            self.0.push(Fault { path: path.into(), why: why.to_string() });
        }
    }

    /// What was found to be right, if nothing is wrong.
    pub fn none_or<T>(self, right: T) -> Result<T, Vec<Fault>> {
        if self.0.is_empty() { Ok(right) } else { Err(self.0) }
    }
}
