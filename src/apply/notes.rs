//! What is written down of an agent: an upgrade under way, and what failed.

use ops_wire::{ErrorCode, Version};

use super::agent::{Agent, Unwritten};
use super::hand::Hand;
use crate::error::Fault;
use crate::log::{self, Level};
use crate::plan::Past;
use crate::upgrade::Intent;
use crate::wake;

impl Hand<'_> {
    pub fn record(&self, agent: &Agent, mut intent: Intent) -> Result<(), Fault> {
        intent.boot_id.clone_from(&self.agents.boot_id);
        self.layout().write_agent_json(&agent.name, &self.layout().intent_file(&agent.name), &intent)
    }

    pub fn remember(&mut self, agent: &mut Agent, version: &Version, fault: Fault) {
        let current = self.layout().version(&agent.name).ok().flatten();
        let upgrading = current.as_ref() != Some(version);
        let fault = self.with_output(agent, fault);
        log::event(
            Level::Error,
            "failed",
            &[
                ("agent", &agent.name),
                ("version", version),
                ("code", &fault.code),
                ("error", &fault.sentence),
            ],
        );
        let mut past = self.agents.past(agent);
        past.remember(version, &fault, upgrading, self.now.unix, wake::spread());
        self.write_down(agent, past);
        agent.fault = Some(fault);
    }

    pub fn forget(&mut self, agent: &mut Agent, version: &Version) {
        agent.fault = None;
        let mut past = self.agents.past(agent);
        let before = past.failures.len();
        past.forget(version);
        if past.failures.len() != before || past.failures.is_empty() {
            self.write_down(agent, past);
        }
    }

    /// What could not be written down, but does not stop the work.
    pub fn noted(&self, agent: &Agent, result: Result<(), Fault>) {
        if let Err(fault) = result {
            log::event(
                Level::Error,
                "not_noted",
                &[("agent", &agent.name), ("code", &fault.code), ("error", &fault.sentence)],
            );
        }
    }

    /// The table knows no paths; whoever looks for the reason needs one.
    pub fn with_output(&self, agent: &Agent, fault: Fault) -> Fault {
        use ErrorCode::{RollbackFailed, StartFailed, StartTimeout, TrialFailed};
        if !matches!(fault.code, StartFailed | StartTimeout | TrialFailed | RollbackFailed) {
            return fault;
        }
        fault.ending_with(&format!("; its output: `{}`", self.layout().out_below_base(&agent.name).display()))
    }

    fn write_down(&self, agent: &mut Agent, past: Past) {
        let layout = self.layout();
        let written = layout.write_failed(&agent.name, &past);
        let mark = || Unwritten { past, marked: layout.mark_failed(&agent.name) };
        agent.unwritten = written.is_err().then(mark);
        self.noted(agent, written);
    }
}
