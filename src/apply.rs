//! Carries out what transitions ask for: all agents of this host, each with what is under way for it. Nothing here waits.

mod agent;
mod calls;
mod hand;
mod notes;
mod removal;
mod staging;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use ops_wire::{AgentName, DesiredAgent, ErrorCode, RealAgent};

use self::agent::Agent;
use self::hand::Hand;
use crate::error::Fault;
use crate::fs_layout::Layout;
use crate::inventory;
use crate::log::{self, Level};
use crate::plan::{self, Decision, Past, Real};
use crate::report;
use crate::sweep::Sweeper;
use crate::upgrade::{Event, Limits, Moment, State, Verb};
use crate::{control, processes, stage, wake};

#[derive(Debug, Clone)]
pub struct Settings {
    pub control: control::Settings,
    pub keep_versions: usize,
    /// What the updater itself runs as.
    pub account: String,
    pub download_timeout: Duration,
    /// A download begins at a random moment within this: hosts that heard of it together do not fetch it together.
    pub download_spread: Duration,
    pub stage: stage::Settings,
}

impl Settings {
    fn limits(&self) -> Limits {
        Limits { start_timeout: self.control.start_timeout, stop_timeout: self.control.stop_timeout }
    }
}

/// All agents of this host.
#[derive(Debug)]
pub struct Agents {
    layout: Layout,
    boot_id: String,
    agents: BTreeMap<AgentName, Agent>,
    /// Killed and not yet gone.
    ending: Vec<std::process::Child>,
    sweeper: Sweeper,
    /// Said once: the kernel does not confine children.
    pub not_confined: Option<String>,
    news: bool,
}

impl Agents {
    pub fn new(layout: Layout) -> Self {
        Self {
            layout,
            boot_id: wake::boot_id(),
            agents: BTreeMap::new(),
            ending: Vec::new(),
            sweeper: Sweeper::default(),
            not_confined: None,
            news: false,
        }
    }

    /// Takes over what is desired, and finds out which agents there are.
    pub fn refresh(&mut self, desired: &[DesiredAgent]) -> Result<(), Fault> {
        let here = self.layout.agents()?;
        let desired: BTreeMap<&AgentName, &DesiredAgent> = desired.iter().map(|it| (&it.name, it)).collect();
        // One that is ordered and not here yet stays: what stands in its way is still to be told.
        self.agents.retain(|name, agent| {
            let busy = !agent.state.is_at_rest() || agent.call.is_some();
            busy || here.contains(name) || desired.contains_key(name)
        });
        let wanted = desired.keys().copied().filter(|name| !Layout::is_reserved(name));
        for name in here.iter().chain(wanted) {
            self.agents.entry(name.clone()).or_insert_with(|| Agent::new(name.clone()));
        }
        for agent in self.agents.values_mut() {
            agent.desired = desired.get(&agent.name).map(|it| (*it).clone());
            agent.write_at_last(&self.layout);
        }
        Ok(())
    }

    /// Takes over what runs here though no `.version` names it: a full disk emptied the file in 2015's updater. Beside it
    /// nothing else may be started.
    pub fn adopt(&self) {
        for agent in self.agents.values().filter(|it| it.state.is_at_rest()) {
            let named = !matches!(self.layout.version(&agent.name), Ok(None));
            if named || self.layout.intent_file(&agent.name).exists() {
                continue;
            }
            let mut running = self.layout.versions(&agent.name);
            running.retain(|it| {
                self.layout.is_complete(&agent.name, it)
                    && !processes::below(&self.layout.version_folder(&agent.name, it)).is_empty()
            });
            let [version] = running.as_slice() else { continue };
            match self.layout.restore_version(&agent.name, Some(version)) {
                Ok(()) => log::event(Level::Warn, "adopted", &[("agent", &agent.name), ("version", version)]),
                Err(fault) => log::event(
                    Level::Error,
                    "not_adopted",
                    &[("agent", &agent.name), ("error", &fault.sentence)],
                ),
            }
        }
    }

    /// Begins a look at every agent at rest, or whose next version is being staged beside it.
    pub fn look_at_all(&mut self, now: Moment) {
        let lookable = |it: &&mut Agent| matches!(it.state, State::AtRest | State::Staging(_));
        for agent in self.agents.values_mut().filter(lookable) {
            match self.layout.version(&agent.name) {
                Ok(Some(version)) => {
                    agent.awaited = true;
                    agent.ask(version, Verb::Status);
                }
                _ => {
                    agent.look = None;
                    agent.looked_at = now.unix;
                }
            }
        }
    }

    pub fn all_looked_at(&self) -> bool {
        self.agents.values().all(|it| !it.awaited)
    }

    pub fn all_at_rest(&self) -> bool {
        let rests = |it: &Agent| match it.state {
            State::AtRest => !it.replan,
            // Suspended, for as long as somebody wants.
            State::Trial { .. } => self.layout.held(&it.name).is_some(),
            _ => false,
        };
        self.agents.values().all(rests)
    }

    /// Some agent is between stopping the old version and the flip.
    pub fn is_switching(&self) -> bool {
        self.agents.values().any(|it| it.state.is_switching())
    }

    fn staging(&self) -> usize {
        self.agents.values().filter(|it| it.staging.is_some()).count()
    }

    /// Some agent came to rest since this was asked last.
    pub fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// Cuts outputs of agents that grew too long.
    pub fn bound_outputs(&self) {
        self.agents.keys().for_each(|name| self.layout.bound_out(name));
    }

    /// What earlier updaters left unfinished goes.
    pub fn clear_staging(&mut self) {
        for fault in self.layout.clear_staging() {
            log::event(Level::Error, "not_removed", &[("error", &fault.sentence)]);
        }
        self.sweeper.want();
    }

    /// Something is still to be deleted.
    pub fn is_sweeping(&self) -> bool {
        !self.sweeper.is_idle()
    }

    /// Nothing new is begun, and what is staged is left where it is: the updater is to end.
    pub fn wind_down(&mut self, settings: &Settings, now: Moment) {
        self.each(settings, now, |hand, agent| {
            agent.replan = false;
            hand.happened(agent, Event::Withdrawn);
            if !agent.state.is_switching() && agent.call.as_ref().is_some_and(|(_, call)| call.is_question())
            {
                // A script that hangs would stay for ever.
                hand.end_call(agent);
            }
        });
    }

    /// Works on one agent after the other; the one at hand is not among the others.
    fn each(&mut self, settings: &Settings, now: Moment, mut work: impl FnMut(&mut Hand<'_>, &mut Agent)) {
        let names: Vec<AgentName> = self.agents.keys().cloned().collect();
        for name in names {
            let Some(mut agent) = self.agents.remove(&name) else { continue };
            work(&mut Hand { agents: self, settings, now }, &mut agent);
            self.agents.insert(name, agent);
        }
    }

    /// Polls everything that is under way, and lets each agent go on.
    pub fn tick(&mut self, settings: &Settings, plan: &plan::Settings, now: Moment) {
        self.ending.retain_mut(|it| matches!(it.try_wait(), Ok(None)));
        self.sweeper.tick(&self.layout, now.boot);
        self.each(settings, now, |hand, agent| {
            hand.tick(agent);
            if agent.replan && agent.state.is_at_rest() && agent.call.is_none() && agent.queue.is_empty() {
                agent.replan = false;
                hand.decide(agent, plan, |_| true);
            }
        });
    }

    /// Decides for every agent that is at rest or in its trial, and begins what was decided.
    pub fn decide(&mut self, settings: &Settings, plan: &plan::Settings, starts_only: bool, now: Moment) {
        // A write puts aside what is in its way.
        self.sweeper.want();
        let allowed =
            |event: &Event| !starts_only || matches!(event, Event::StartOrdered(_) | Event::Resumed { .. });
        self.each(settings, now, |hand, agent| hand.decide(agent, plan, allowed));
    }

    /// What would be decided, with nothing begun.
    pub fn decisions(&self, plan: &plan::Settings, now: Moment) -> Vec<(AgentName, Decision)> {
        let decision = |agent: &Agent| match self.read(agent) {
            Ok(real) => plan::decide(&real, agent.desired.as_ref(), plan, now),
            Err(fault) => Decision { order: None, why: fault.sentence.clone(), fault: Some(fault) },
        };
        self.agents.values().map(|agent| (agent.name.clone(), decision(agent))).collect()
    }

    /// The one view of this host that heartbeat, status and metrics show.
    pub fn report(&self, now: Moment) -> Vec<RealAgent> {
        self.agents.values().map(|agent| self.report_one(agent, now)).collect()
    }

    fn report_one(&self, agent: &Agent, now: Moment) -> RealAgent {
        let real = self.read(agent);
        report::agent(&report::Facts {
            name: &agent.name,
            real: real.as_ref(),
            state: &agent.state,
            desired: agent.desired.as_ref(),
            fault: agent.fault.as_ref(),
            progress: agent.progress,
            steps: &agent.steps,
            looked_at: if agent.looked_at == 0 { now.unix } else { agent.looked_at },
        })
    }

    fn read(&self, agent: &Agent) -> Result<Real, Fault> {
        let (look, desired) = (agent.look.clone(), agent.desired.as_ref());
        let mut real = inventory::read(&self.layout, &agent.name, desired, look, &self.boot_id)?;
        real.past = self.past(agent);
        Ok(real)
    }

    fn past(&self, agent: &Agent) -> Past {
        let unwritten = agent.unwritten.as_ref().map(|it| it.past.clone());
        unwritten.unwrap_or_else(|| inventory::past(&self.layout, &agent.name))
    }

    /// Restarts an agent that is wanted to run: it is stopped here, and the next decision starts it.
    pub fn restart(
        &mut self,
        name: &str,
        settings: &Settings,
        plan: &plan::Settings,
        now: Moment,
    ) -> Result<(), Fault> {
        let key: Option<AgentName> = name.parse().ok();
        let Some(mut agent) = key.and_then(|key| self.agents.remove(&key)) else {
            return Err(Fault::new(ErrorCode::BadName, format!("no agent {name:?} is here")));
        };
        let version = self.read(&agent).and_then(|real| {
            if !agent.state.is_at_rest() {
                return Err(Fault::new(ErrorCode::Held, "an upgrade of it is under way"));
            }
            plan::restart(&real, agent.desired.as_ref(), plan)
        });
        let restarted = version.map(|version| {
            agent.replan = true;
            Hand { agents: self, settings, now }.happened(&mut agent, Event::StopOrdered(version));
        });
        self.agents.insert(agent.name.clone(), agent);
        restarted
    }

    /// When something is to be done again, if nothing happens before.
    pub fn next_wake(&self) -> Option<Duration> {
        self.agents.values().filter_map(Agent::next_wake).chain(self.sweeper.next_wake()).min()
    }

    /// What prints when something happens.
    pub fn pipes(&self) -> Vec<BorrowedFd<'_>> {
        let calls = self.agents.values().filter_map(|it| it.call.as_ref()?.1.pipe().map(AsFd::as_fd));
        let staging = self.agents.values().filter_map(|it| it.staging.as_ref()?.pipe());
        calls.chain(staging).chain(self.sweeper.pipe()).collect()
    }
}

#[cfg(test)]
mod tests;
