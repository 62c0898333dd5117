//! What goes: a whole agent, and versions that nobody needs any more.

use ops_wire::{ErrorCode, Version};

use super::agent::Agent;
use super::hand::Hand;
use crate::error::Fault;
use crate::log::{self, Level};
use crate::{plan, processes};

impl Hand<'_> {
    pub fn remove(&self, agent: &Agent) -> Result<(), Fault> {
        let folder = self.layout().agent(&agent.name);
        let found = processes::below(&folder);
        if !found.is_empty() {
            let sentence = format!("it is not removed while {}", processes::describe(&found, &folder));
            return Err(Fault::new(ErrorCode::StopFailed, sentence));
        }
        self.layout().remove_agent(&agent.name)?;
        log::event(Level::Info, "uninstalled", &[("agent", &agent.name)]);
        Ok(())
    }

    /// Keeps the version in use, the one before, the newest up to the number to keep, and whatever a process uses.
    pub fn collect_garbage(&self, agent: &Agent, previous: &Version) {
        let layout = self.layout();
        let Ok(Some(current)) = layout.version(&agent.name) else { return };
        let mut versions = layout.versions(&agent.name);
        versions.sort_by_key(|it| std::cmp::Reverse(layout.age_key(&agent.name, it)));
        let is_used = |it: &Version| processes::uses(&layout.version_folder(&agent.name, it));
        let keep = self.settings.keep_versions;
        for version in &plan::garbage(versions, &current, previous, keep, is_used) {
            let removed = layout.remove_version(&agent.name, version);
            if removed.is_ok() {
                log::event(Level::Info, "collected", &[("agent", &agent.name), ("version", version)]);
            }
            self.noted(agent, removed);
        }
    }
}
