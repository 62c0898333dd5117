//! The last accepted answer, across restarts: with the server away it stays in force.

use ops_wire::{Answer, DesiredAgent};
use serde::{Deserialize, Serialize};

use crate::error::Fault;
use crate::fs_layout::{Layout, read_json};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    #[serde(default)]
    pub desired_agents: Vec<DesiredAgent>,
    #[serde(default)]
    pub generation: Option<u64>,
    /// Actions that were done and need not be done again, the newest last.
    #[serde(default)]
    pub actions_done: Vec<u64>,
}

/// Ids of actions that are remembered.
const ACTIONS_MAX: usize = 256;

impl Memory {
    /// What was remembered; a damaged file is as good as none.
    pub fn load(layout: &Layout) -> (Self, Option<Fault>) {
        match read_json(&layout.memory()) {
            Ok(memory) => (memory.unwrap_or_default(), None),
            Err(fault) => (Self::default(), Some(fault)),
        }
    }

    /// Takes an answer over. An empty or missing list means "no change".
    pub fn accept(&mut self, answer: &Answer) {
        if !answer.desired_agents.is_empty() {
            self.desired_agents.clone_from(&answer.desired_agents);
        }
        self.generation = answer.generation.or(self.generation);
    }

    pub fn action_done(&mut self, id: u64) {
        self.actions_done.push(id);
        let surplus = self.actions_done.len().saturating_sub(ACTIONS_MAX);
        self.actions_done.drain(..surplus);
    }

    /// Writes what is to be remembered, when it changed.
    pub fn save(&self, layout: &Layout) -> Result<(), Fault> {
        let bytes =
            serde_json::to_vec(self).map_err(|error| Fault::io("print", &layout.memory(), &error.into()))?;
        layout.write_if_changed(&layout.memory(), &bytes, 0o600)
    }
}
