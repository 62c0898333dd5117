//! Whether everything is there that this process needs to do all of its work. It answers heartbeats all the same.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is missing, and why.
#[derive(Default)]
pub struct Readiness {
    missing: Mutex<BTreeMap<&'static str, String>>,
}

impl Readiness {
    /// Until `has` says otherwise.
    pub fn lacks(&self, what: &'static str, why: impl Into<String>) {
        self.missing().insert(what, why.into());
    }

    pub fn has(&self, what: &'static str) {
        self.missing().remove(what);
    }

    pub fn is_lacking(&self, what: &'static str) -> bool {
        self.missing().contains_key(what)
    }

    /// Empty: ready.
    pub fn missing(&self) -> MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
