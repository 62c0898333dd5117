#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod admits;
mod classes;
mod evaluates;
mod gates;
mod plans;
mod states;
mod windows;

use serde_json::{Value, json};

use super::*;
use crate::domain::selector::Lists;

/// Unix milliseconds.
const NOW: i64 = 1_800_000_000_000;

fn plan(text: Value) -> Result<Plan, Vec<String>> {
    let text: PlanText = serde_json::from_value(text).unwrap();
    Plan::check(&text, &Lists::new()).map_err(|all| all.iter().map(ToString::to_string).collect())
}

/// Of version 2 of an agent, for all hosts.
fn rollout(waves: Value) -> Rollout {
    let plan = plan(json!({"agent": "a", "version": "2", "waves": waves})).unwrap();
    Rollout { id: 7, plan, progress: Progress::started(NOW) }
}
