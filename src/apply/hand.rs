//! Lets one agent go on: what happens to it goes through the transition table, and what that asks for is carried out.

use std::collections::VecDeque;

use ops_wire::{StepDone, Version};

use super::agent::{Agent, LOOK_LATE, LOOK_SOON};
use super::{Agents, Settings};
use crate::error::Fault;
use crate::fs_layout::Layout;
use crate::log::{self, Level};
use crate::plan::{self, Real, Starts};
use crate::report::Progress;
use crate::upgrade::{self, Action, Event, Moment, Next, Role, Starting, State, Stopping, Upgrade, Verb};

/// Children that stage at one time: an answer may order any number of packages.
const STAGING_MAX: usize = 4;
/// Steps that are reported of one change.
const STEPS_MAX: usize = 16;

/// Works on one agent; the others are out of reach.
pub struct Hand<'a> {
    pub agents: &'a mut Agents,
    pub settings: &'a Settings,
    pub now: Moment,
}

impl Hand<'_> {
    pub fn layout(&self) -> &Layout {
        &self.agents.layout
    }

    pub fn tick(&mut self, agent: &mut Agent) {
        self.poll_staging(agent);
        self.poll_call(agent);
        if let (Some(version), None, true) = (agent.state.watched(), &agent.call, agent.queue.is_empty())
            && self.now.boot >= agent.look_at
        {
            agent.ask(version.clone(), Verb::Status);
            agent.look_at = self.now.boot + LOOK_LATE;
        }
        if agent.call.is_none() && agent.state.deadline().is_some_and(|it| self.now.boot >= it) {
            self.happened(agent, Event::Overdue);
        }
        self.begin_next_call(agent);
    }

    /// A hold stops the judgement of a trial, too.
    pub fn is_suspended(&self, agent: &Agent) -> bool {
        matches!(agent.state, State::Trial { .. }) && self.layout().held(&agent.name).is_some()
    }

    pub fn decide(&mut self, agent: &mut Agent, plan: &plan::Settings, allowed: impl Fn(&Event) -> bool) {
        if !matches!(agent.state, State::AtRest | State::Trial { .. } | State::Staging(_)) {
            return;
        }
        let real = match self.agents.read(agent) {
            Ok(real) => real,
            Err(fault) => return agent.fault = Some(fault),
        };
        let in_trial = matches!(agent.state, State::Trial { .. });
        // In a trial the record of it is no reason to go on: it is going on.
        let real = if in_trial { Real { intent: None, ..real } } else { real };
        let decision = plan::decide(&real, agent.desired.as_ref(), plan, self.now);
        agent.fault = decision.fault;
        if let State::Staging(under_way) = &agent.state {
            let same = matches!(&decision.order, Some(Event::StageOrdered(up)) if up.to == under_way.to && same_package(up, under_way));
            if !same {
                agent.replan = true;
                self.happened(agent, Event::Withdrawn);
            } else if let Some(version) = plan::down(&real, self.now)
                && agent.starts.wait(self.now.boot).is_none()
            {
                agent.starts.one_more(self.now.boot);
                // A download may take long, and disturbs nothing.
                log::event(
                    Level::Info,
                    "starting",
                    &[("agent", &agent.name), ("version", &version), ("why", &"it does not run")],
                );
                agent.ask(version, Verb::Start);
            }
            return;
        }
        match decision.order {
            Some(Event::StartOrdered(_)) if in_trial => {}
            // As soon as another one is done.
            Some(Event::StageOrdered(_)) if self.agents.staging() >= STAGING_MAX => agent.replan = true,
            Some(Event::StartOrdered(version)) if agent.starts.wait(self.now.boot).is_some() => {
                agent.fault = Some(self.with_output(agent, agent.starts.fault(&version, self.now.boot)));
            }
            Some(order) if allowed(&order) => {
                match order {
                    Event::StartOrdered(_) => agent.starts.one_more(self.now.boot),
                    _ => agent.starts = Starts::default(),
                }
                let version = order.version().map(Version::to_string).unwrap_or_default();
                log::event(
                    Level::Info,
                    order.name(),
                    &[("agent", &agent.name), ("version", &version), ("why", &decision.why)],
                );
                self.happened(agent, order);
            }
            _ => {}
        }
    }

    /// Something happened: what the table says is carried out, and what that brings happens next.
    pub fn happened(&mut self, agent: &mut Agent, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            log::event(Level::Debug, "happened", &[("agent", &agent.name), ("what", &event.name())]);
            let before = std::mem::replace(&mut agent.state, State::AtRest);
            let was_at_rest = before.is_at_rest();
            let transition = upgrade::on(before.clone(), event, self.now, &self.settings.limits());
            self.tell(agent, &before, &transition);
            if was_at_rest && matches!(transition.state, State::Staging(_) | State::Prechecking(_)) {
                agent.steps.clear();
            }
            if transition.state.step() != before.step() {
                self.step_ended(agent, &transition);
                agent.step_begun = transition.state.step().map(|step| (step, self.now));
                agent.look_wait = LOOK_SOON;
                agent.look_at = self.now.boot;
            }
            agent.state = transition.state;
            for action in transition.actions {
                events.extend(self.carry_out(agent, action));
            }
            if !was_at_rest && agent.state.is_at_rest() {
                self.agents.news = true;
                log::event(Level::Debug, "at_rest", &[("agent", &agent.name)]);
            }
        }
    }

    /// The turns of an upgrade that an operator waits for, in the log.
    fn tell(&self, agent: &Agent, before: &State, transition: &upgrade::Transition) {
        let tell = |level, name, version: &Version, what, value: &dyn std::fmt::Display| {
            log::event(level, name, &[("agent", &agent.name), ("version", version), (what, value)]);
        };
        match (before, &transition.state) {
            (State::Trial { .. }, State::Trial { .. }) => {}
            (_, State::Trial { upgrade: up, .. }) => {
                tell(Level::Info, "trial", &up.to, "secs", &up.trial_secs);
            }
            (State::Restoring(up, _), State::AtRest)
                if matches!(transition.actions.first(), Some(Action::Settle { .. })) =>
            {
                let from = up.from.as_ref().map_or("none", Version::as_str);
                tell(Level::Warn, "taken_back", &up.to, "runs_again", &from);
            }
            (State::Trial { upgrade: up, .. }, State::AtRest) => {
                tell(Level::Info, "proven", &up.to, "secs", &up.trial_secs);
            }
            _ => {}
        }
    }

    fn step_ended(&self, agent: &mut Agent, transition: &upgrade::Transition) {
        let Some((step, begun)) = agent.step_begun.take() else { return };
        let failed = match &transition.state {
            State::Stopping(Stopping { next: Next::TakeBack(_, fault), .. })
            | State::Starting(Starting { role: Role::Old(_, fault), .. })
            | State::Restoring(_, fault)
                if step != "stop" && step != "take_back" =>
            {
                Some(fault)
            }
            State::AtRest => transition.actions.iter().find_map(|action| match action {
                Action::Remember { fault, .. } if step != "take_back" => Some(fault),
                _ => None,
            }),
            _ => None,
        };
        let code = failed.map(|fault| fault.code.to_string()).unwrap_or_default();
        let ms = (self.now.boot - begun.boot).as_millis() as u64;
        push_step(&mut agent.steps, StepDone { step: step.to_owned(), at: self.now.unix, ms, code });
    }

    fn carry_out(&mut self, agent: &mut Agent, action: Action) -> Option<Event> {
        let name = agent.name.clone();
        let layout = self.agents.layout.clone();
        match action {
            Action::Stage(up) => self.stage(agent, &up).err().map(Event::StagingFailed),
            Action::EndStaging => {
                if let Some(child) = agent.staging.take() {
                    self.agents.ending.push(child.end());
                    self.discard_unpacked(agent);
                }
                agent.progress = Progress::default();
                None
            }
            Action::Publish(up) => {
                self.agents.sweeper.want();
                Some(outcome(self.publish(agent, &up)))
            }
            Action::Call(version, verb) => self.call(agent, version, verb),
            Action::Look(version) => {
                agent.ask(version, Verb::Status);
                None
            }
            Action::Kill(version) => {
                self.kill(agent, &version);
                None
            }
            Action::EndStart(version) => {
                self.end_start(agent, &version);
                None
            }
            Action::Record(intent) => Some(outcome(self.record(agent, intent))),
            Action::Note(intent) => {
                self.noted(agent, self.record(agent, intent));
                None
            }
            Action::Prepare { from, to } => Some(outcome(layout.prepare_version(&name, from.as_ref(), &to))),
            Action::Flip(version) => {
                let flipped = layout.flip(&name, &version);
                if flipped.is_ok() {
                    log::event(Level::Info, "switched", &[("agent", &name), ("version", &version)]);
                }
                let lasting = flipped.map(|unsynced| self.noted(agent, unsynced.map_or(Ok(()), Err)));
                Some(outcome(lasting))
            }
            Action::Restore(version) => Some(outcome(layout.restore_version(&name, version.as_ref()))),
            Action::Remove => {
                self.agents.sweeper.want();
                let removed = self.remove(agent);
                if let Err(fault) = &removed {
                    log::event(Level::Error, "not_removed", &[("agent", &name), ("error", &fault.sentence)]);
                    agent.fault = Some(fault.clone());
                }
                Some(outcome(removed))
            }
            Action::Settle { previous } => {
                self.noted(agent, layout.settle(&name));
                if let Some(previous) = previous {
                    self.collect_garbage(agent, &previous);
                    self.agents.sweeper.want();
                }
                None
            }
            Action::Remember { version, fault } => {
                self.remember(agent, &version, fault);
                None
            }
            Action::Forget(version) => {
                self.forget(agent, &version);
                None
            }
        }
    }
}

fn outcome(result: Result<(), Fault>) -> Event {
    match result {
        Ok(()) => Event::Done,
        Err(fault) => Event::Failed(fault),
    }
}

pub fn push_step(steps: &mut Vec<StepDone>, step: StepDone) {
    if steps.len() < STEPS_MAX {
        steps.push(step);
    }
}

fn same_package(one: &Upgrade, other: &Upgrade) -> bool {
    one.digest == other.digest || other.digest.is_none() || one.digest.is_none()
}
