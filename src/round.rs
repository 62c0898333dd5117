//! One round: look at every agent, report, beat, hear, decide. A round is under way beside everything else; nothing
//! here waits.

use std::time::Duration;

use ops_wire::{ActionDone, Answer, ErrorCode, HostError};

use crate::apply::Agents;
use crate::config::Config;
use crate::error::Fault;
use crate::fs_layout::Layout;
use crate::heartbeat::{Beat, Extra};
use crate::log::{self, Level};
use crate::memory::{Memory, Unheard};
use crate::report;
use crate::upgrade::Moment;

/// What a beat tells of one answer: whoever sends more faults than this has one fault.
const ERRORS_MAX: usize = 32;

/// The host at work: its agents, what it remembers, and the round under way.
#[derive(Debug)]
pub struct Host {
    pub config: Config,
    pub agents: Agents,
    pub memory: Memory,
    layout: Layout,
    stage: Stage,
    /// The round under way only tells: nobody would be there to carry out what is heard.
    last: bool,
    /// For the next beat.
    errors: Vec<HostError>,
    actions_done: Vec<ActionDone>,
    /// One of them was not told before.
    has_acted: bool,
    ip: String,
    /// ops-meta did not answer the last beat.
    pub unheard: Option<Unheard>,
}

#[derive(Debug)]
enum Stage {
    Idle,
    /// Every agent is looked at; what for comes after.
    Looking {
        then: Then,
    },
    Beating(Beat),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Beat,
    /// After a start of the updater the last answer is applied, starts only.
    Start,
}

/// How a round ended.
#[derive(Debug)]
pub enum Ended {
    Heard {
        next_interval_secs: Option<u32>,
    },
    Failed(Fault),
    /// There was no beat in it.
    Started,
}

impl Host {
    pub fn new(config: Config, layout: Layout) -> Self {
        let (memory, damaged) = Memory::load(&layout);
        if let Some(fault) = damaged {
            log::event(Level::Warn, "forgotten", &[("error", &fault.sentence)]);
        }
        let agents = Agents::new(layout.clone());
        let (errors, actions_done) = (Vec::new(), Vec::new());
        let (stage, last, ip, unheard) = (Stage::Idle, false, String::new(), Unheard::load(&layout));
        let has_acted = false;
        Self { config, agents, memory, layout, stage, last, errors, actions_done, has_acted, ip, unheard }
    }

    /// Begins a round with a beat, unless one is under way.
    pub fn begin(&mut self, now: Moment) {
        self.begin_to(Then::Beat, now);
    }

    /// Begins a round that tells how everything is, and after which there is none.
    pub fn begin_last(&mut self, now: Moment) {
        self.last = true;
        self.begin_to(Then::Beat, now);
    }

    /// Begins the round that only starts what the last answer wants to run.
    pub fn begin_starts(&mut self, now: Moment) {
        self.begin_to(Then::Start, now);
    }

    fn begin_to(&mut self, then: Then, now: Moment) {
        if !self.is_idle() {
            return;
        }
        self.refresh();
        self.agents.adopt();
        self.agents.look_at_all(now);
        self.stage = Stage::Looking { then };
    }

    /// Begins a look at every agent, and changes nothing.
    pub fn look(&mut self, now: Moment) {
        self.refresh();
        self.agents.look_at_all(now);
    }

    fn refresh(&mut self) {
        if let Err(fault) = self.agents.refresh(&self.memory.desired_agents) {
            log::event(Level::Error, "not_listed", &[("error", &fault.sentence)]);
            self.errors.push(host_error("", &fault));
        }
    }

    pub fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Idle)
    }

    /// The updater is to end: nothing new is begun.
    pub fn wind_down(&mut self, now: Moment) {
        self.stage = Stage::Idle;
        self.agents.wind_down(&self.config.apply, now);
    }

    /// Lets everything go on; tells when the round ended.
    pub fn tick(&mut self, now: Moment) -> Option<Ended> {
        self.agents.bound_outputs();
        self.agents.tick(&self.config.apply, &self.config.plan, now);
        match &mut self.stage {
            Stage::Idle => None,
            Stage::Looking { .. } if !self.agents.all_looked_at() => None,
            Stage::Looking { then: Then::Start } => {
                self.stage = Stage::Idle;
                self.agents.decide(&self.config.apply, &self.config.plan, true, now);
                Some(Ended::Started)
            }
            Stage::Looking { then: Then::Beat } => self.beat(now),
            Stage::Beating(beat) => {
                let outcome = beat.poll(now.boot)?;
                self.stage = Stage::Idle;
                Some(self.heard(outcome, now))
            }
        }
    }

    fn beat(&mut self, now: Moment) -> Option<Ended> {
        match self.begin_beat(now) {
            Ok(beat) => {
                self.stage = Stage::Beating(beat);
                None
            }
            Err(fault) => {
                self.stage = Stage::Idle;
                Some(self.heard(Err(fault), now))
            }
        }
    }

    /// Posts the report as it is now.
    pub fn begin_beat(&self, now: Moment) -> Result<Beat, Fault> {
        let mut errors = self.errors.clone();
        if let Some(sentence) = &self.agents.not_confined {
            errors.push(host_error("", &Fault::new(ErrorCode::NotConfined, sentence.clone())));
        }
        let extra =
            Extra { generation: self.memory.generation, errors, actions_done: self.actions_done.clone() };
        self.config.heartbeat.begin(self.agents.report(now), extra, &self.ip, now.boot)
    }

    /// With the server away the last answer stays in force.
    fn heard(&mut self, outcome: Result<(Answer, String), Fault>, now: Moment) -> Ended {
        let ended = match outcome {
            Ok((answer, ip)) => {
                self.ip = ip;
                self.heard_again();
                if !self.last {
                    self.accept(&answer, now);
                }
                Ended::Heard { next_interval_secs: answer.next_interval_secs }
            }
            Err(fault) => {
                log::event(Level::Error, "beat_failed", &[("code", &fault.code), ("error", &fault.sentence)]);
                self.errors = vec![host_error("", &fault)];
                self.not_heard(&fault, now);
                Ended::Failed(fault)
            }
        };
        if !self.last {
            self.agents.decide(&self.config.apply, &self.config.plan, false, now);
        }
        self.write_metrics(now);
        ended
    }

    fn heard_again(&mut self) {
        if self.unheard.take().is_some() {
            noted(Unheard::forget(&self.layout));
        }
    }

    fn not_heard(&mut self, fault: &Fault, now: Moment) {
        let unheard = Unheard::again(self.unheard.take(), fault, now.unix);
        noted(unheard.save(&self.layout));
        self.unheard = Some(unheard);
    }

    fn accept(&mut self, answer: &Answer, now: Moment) {
        log::event(Level::Debug, "heard", &[("agents", &answer.desired_agents.len())]);
        self.errors = refused(answer);
        for error in &self.errors {
            let fields: [(&str, &dyn std::fmt::Display); 3] =
                [("agent", &error.agent), ("code", &error.code), ("error", &error.error)];
            log::event(Level::Warn, "refused", &fields);
        }
        self.actions_done.clear();
        self.has_acted = false;
        self.memory.accept(answer);
        self.refresh();
        self.act(answer, now);
        noted(self.memory.save(&self.layout));
    }

    /// Actions are done once per id. Who asks again has not heard what became of it, and is told with the next beat.
    fn act(&mut self, answer: &Answer, now: Moment) {
        for action in &answer.actions {
            if let Some(done) = self.memory.outcome_of(action.id) {
                self.actions_done.push(done);
                continue;
            }
            let done = match action.kind.as_str() {
                "report" => Ok(()),
                "restart" => self.agents.restart(&action.agent, &self.config.apply, &self.config.plan, now),
                _ => Err(Fault::new(ErrorCode::UnknownCmd, "an action that this version does not know")),
            };
            let code = done.err().map(|fault| fault.code.to_string()).unwrap_or_default();
            let done = ActionDone { id: action.id, code };
            self.memory.action_done(&done);
            self.actions_done.push(done);
            self.has_acted = true;
        }
    }

    fn write_metrics(&self, now: Moment) {
        let refusal = self.unheard.as_ref().map(|it| it.error_code);
        let text = report::metrics(&self.agents.report(now), refusal);
        noted(self.layout.write_if_changed(&self.layout.metrics(), text.as_bytes(), 0o644));
    }

    /// There is something to tell that should not wait for the next regular beat.
    pub fn take_news(&mut self) -> bool {
        let news = self.agents.take_news();
        news || self.has_acted && self.is_idle()
    }

    /// When something is to be done again, if nothing happens before.
    pub fn next_wake(&self) -> Option<Duration> {
        let beat = match &self.stage {
            Stage::Beating(beat) => Some(beat.child().deadline()),
            _ => None,
        };
        [beat, self.agents.next_wake()].into_iter().flatten().min()
    }

    /// What prints when something happens.
    pub fn pipes(&self) -> Vec<std::os::fd::BorrowedFd<'_>> {
        let mut pipes = self.agents.pipes();
        if let Stage::Beating(beat) = &self.stage {
            pipes.extend(beat.child().pipe());
        }
        pipes
    }
}

/// What of an answer nothing can be done with.
pub fn refused(answer: &Answer) -> Vec<HostError> {
    let entries = answer.refused.iter().map(|it| HostError {
        agent: it.agent.clone(),
        code: it.code.to_string(),
        error: it.why.clone(),
    });
    let reserved =
        answer.desired_agents.iter().filter(|it| Layout::is_reserved(&it.name)).map(|it| HostError {
            agent: it.name.to_string(),
            code: ErrorCode::BadName.to_string(),
            error: "this name is taken by a file of the updater, no agent can have it".to_owned(),
        });
    entries.chain(reserved).take(ERRORS_MAX).collect()
}

/// What cannot be written down does not stop the round.
fn noted(result: Result<(), Fault>) {
    if let Err(fault) = result {
        log::event(Level::Error, "not_noted", &[("error", &fault.sentence)]);
    }
}

fn host_error(agent: &str, fault: &Fault) -> HostError {
    HostError { agent: agent.to_owned(), code: fault.code.to_string(), error: fault.sentence.clone() }
}
