//! Carries out what transitions ask for. One [`Agent`] holds what is under way for one agent: its state, at most one
//! control call and at most one staging child. Nothing here waits.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use ops_wire::{AgentName, DesiredAgent, ErrorCode, RealAgent, StepDone, Version};

use crate::account::Account;
use crate::child::Child;
use crate::control::{self, Call, Finished};
use crate::error::Fault;
use crate::fs_layout::Layout;
use crate::inventory;
use crate::log::{self, Level};
use crate::plan::{self, Decision, Past, Real, Starts};
use crate::processes::{self, Process};
use crate::report::{self, Progress};
use crate::stage::{self, Message};
use crate::sweep::Sweeper;
use crate::upgrade::{
    self, Action, Ended, Event, Intent, Limits, Look, Moment, Next, Role, Starting, State, Stopping, Upgrade,
    Verb,
};
use crate::wake;

/// Looks at a version that stops or starts come this close together at first, and twice as far apart each time.
const LOOK_SOON: Duration = Duration::from_millis(10);
const LOOK_LATE: Duration = Duration::from_millis(500);
/// Looks in a trial are not further apart than this, or a quarter of the trial.
const TRIAL_LOOK: Duration = Duration::from_secs(10);
/// Beyond the download a child gets this long for verifying, unpacking and syncing.
const UNPACK_TIME: Duration = Duration::from_secs(1800);
/// Children that stage at one time: an answer may order any number of packages.
const STAGING_MAX: usize = 4;
/// Steps that are reported of one change.
const STEPS_MAX: usize = 16;

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

#[derive(Debug)]
struct Agent {
    name: AgentName,
    state: State,
    desired: Option<DesiredAgent>,
    look: Option<Look>,
    looked_at: i64,
    /// A round waits for a look at it.
    awaited: bool,
    /// It is decided anew as soon as it was looked at.
    replan: bool,
    call: Option<(Version, Call)>,
    /// Bytes of its output before the last start.
    out_before: u64,
    queue: VecDeque<(Version, Verb)>,
    /// A look that is not complete yet.
    looking: Option<Look>,
    look_at: Duration,
    look_wait: Duration,
    staging: Option<Child>,
    /// What the child said in the end.
    staged: Option<Event>,
    /// The staged package turned out to be the folder that is here.
    kept: bool,
    progress: Progress,
    steps: Vec<StepDone>,
    step_begun: Option<(&'static str, Moment)>,
    fault: Option<Fault>,
    /// What failed and could not be written down, perhaps for the very want of space that it tells of.
    unwritten: Option<Unwritten>,
    /// Starts of the version in use, for one that ends again and again.
    starts: Starts,
    /// The process group of our last start.
    start_group: Option<i32>,
}

/// A memory of failures that is not on the disk yet.
#[derive(Debug)]
struct Unwritten {
    past: Past,
    /// Some `.failed` is there, empty or older: once it is gone, somebody released the agent.
    marked: bool,
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

impl Agent {
    fn new(name: AgentName) -> Self {
        Self {
            name,
            state: State::AtRest,
            desired: None,
            look: None,
            looked_at: 0,
            awaited: false,
            replan: false,
            call: None,
            out_before: 0,
            queue: VecDeque::new(),
            looking: None,
            look_at: Duration::ZERO,
            look_wait: LOOK_SOON,
            staging: None,
            staged: None,
            kept: false,
            progress: Progress::default(),
            steps: Vec::new(),
            step_begun: None,
            fault: None,
            unwritten: None,
            starts: Starts::default(),
            start_group: None,
        }
    }

    fn next_wake(&self) -> Option<Duration> {
        let call = self.call.as_ref().map(|(_, call)| call.deadline());
        let staging = self.staging.as_ref().map(Child::deadline);
        let look = (self.call.is_none() && self.state.watched().is_some()).then_some(self.look_at);
        [call, staging, look, self.state.deadline().filter(|_| self.call.is_none())]
            .into_iter()
            .flatten()
            .min()
    }

    /// One question more, unless it is being asked.
    fn ask(&mut self, version: Version, verb: Verb) {
        let asked = self.call.as_ref().is_some_and(|(of, call)| *of == version && call.verb == verb);
        if !asked && !self.queue.contains(&(version.clone(), verb)) {
            self.queue.push_back((version, verb));
        }
    }

    /// What could not be written down is tried again, unless the agent was released meanwhile.
    fn write_at_last(&mut self, layout: &Layout) {
        let name = &self.name;
        self.unwritten.take_if(|it| {
            let released = it.marked && layout.failed_file(name).symlink_metadata().is_err();
            let done = released || layout.write_failed(name, &it.past).is_ok();
            it.marked |= !done && layout.mark_failed(name);
            done
        });
    }

    fn trial_look_wait(&self) -> Option<Duration> {
        match &self.state {
            State::Trial { upgrade, .. } => {
                Some((Duration::from_secs(upgrade.trial_secs.into()) / 4).min(TRIAL_LOOK))
            }
            _ => None,
        }
    }
}

/// Works on one agent; the others are out of reach.
struct Hand<'a> {
    agents: &'a mut Agents,
    settings: &'a Settings,
    now: Moment,
}

impl Hand<'_> {
    fn layout(&self) -> &Layout {
        &self.agents.layout
    }

    fn tick(&mut self, agent: &mut Agent) {
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
    fn is_suspended(&self, agent: &Agent) -> bool {
        matches!(agent.state, State::Trial { .. }) && self.layout().held(&agent.name).is_some()
    }

    fn decide(&mut self, agent: &mut Agent, plan: &plan::Settings, allowed: impl Fn(&Event) -> bool) {
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

    fn poll_staging(&mut self, agent: &mut Agent) {
        let Some(child) = &mut agent.staging else { return };
        let polled = child.poll(self.now.boot);
        for line in polled.lines {
            match serde_json::from_slice(&line) {
                Ok(Message::Percent(percent)) => agent.progress.percent = Some(percent),
                Ok(Message::Unpacking) => agent.progress = Progress { percent: None, unpacking: true },
                Ok(Message::Step(step)) => push_step(&mut agent.steps, step),
                Ok(Message::NotConfined(sentence)) => self.not_confined(sentence),
                Ok(Message::Staged(digest)) => agent.staged = Some(Event::Staged { digest }),
                Ok(Message::Kept(digest)) => {
                    agent.kept = true;
                    agent.staged = Some(Event::Staged { digest });
                }
                Ok(Message::Failed(fault)) => agent.staged = Some(Event::StagingFailed(fault)),
                Err(error) => {
                    log::event(Level::Debug, "unreadable", &[("from", &"child"), ("error", &error)])
                }
            }
        }
        let Some(ended) = polled.ended else { return };
        agent.staging = None;
        agent.progress = Progress::default();
        let silent = || Fault::new(ErrorCode::ChildKilled, "the child that stages ended without a word");
        let event =
            agent.staged.take().unwrap_or_else(|| Event::StagingFailed(ended.err().unwrap_or_else(silent)));
        if matches!(event, Event::StagingFailed(_)) {
            self.discard_unpacked(agent);
        }
        self.happened(agent, event);
    }

    fn discard_unpacked(&mut self, agent: &Agent) {
        self.noted(agent, self.layout().discard_unpacked(&agent.name));
        self.agents.sweeper.want();
    }

    fn not_confined(&mut self, sentence: String) {
        if self.agents.not_confined.is_none() {
            log::event(Level::Warn, "not_confined", &[("error", &sentence)]);
            self.agents.not_confined = Some(sentence);
        }
    }

    fn poll_call(&mut self, agent: &mut Agent) {
        let Some((version, call)) = &mut agent.call else { return };
        let Some(finished) = call.poll(self.now.boot) else { return };
        let version = version.clone();
        if let (Some((_, call)), false) = (agent.call.take(), finished.is_gone()) {
            self.agents.ending.push(call.end());
        }
        match finished.verb {
            Verb::Status => self.saw_status(agent, version, &finished),
            Verb::Pid => self.saw_more(agent, version, |look| look.pid = finished.pid()),
            Verb::Health => self.saw_more(agent, version, |look| {
                let ended = finished.ended();
                look.unhealthy = (!ended.success && !finished.is_unknown_verb()).then_some(ended.words);
            }),
            Verb::Start | Verb::Stop | Verb::Check => self.call_ended(agent, &finished),
        }
    }

    fn call_ended(&mut self, agent: &mut Agent, finished: &Finished) {
        let mut ended = finished.ended();
        if finished.verb == Verb::Check && finished.is_unknown_verb() {
            ended.success = true;
        }
        if finished.verb == Verb::Start && !ended.success {
            ended.words.push_str(&self.tail_of_output(agent));
        }
        self.happened(agent, Event::CallEnded(ended));
    }

    /// What the script printed in this start went into a file, since a daemon inherits it.
    fn tail_of_output(&self, agent: &Agent) -> String {
        use std::io::{Read, Seek, SeekFrom};
        let read = self.layout().open_out(&agent.name).ok().and_then(|mut file| {
            let mut bytes = Vec::new();
            let end = file.metadata().ok()?.len();
            // It may have been cut meanwhile.
            let begin = if agent.out_before <= end { agent.out_before } else { 0 };
            file.seek(SeekFrom::Start(begin.max(end.saturating_sub(1500)))).ok()?;
            file.take(1500).read_to_end(&mut bytes).ok()?;
            Some(crate::error::tail(&bytes, 1500))
        });
        read.filter(|it| !it.is_empty()).map(|it| format!(", its output ends: {it}")).unwrap_or_default()
    }

    fn saw_status(&mut self, agent: &mut Agent, version: Version, finished: &Finished) {
        let (status, fault) = finished.status();
        let mut look = Look { fault, ..Look::status(status) };
        if !look.is_started() {
            self.look_for_processes(agent, &version, &mut look);
        }
        agent.looking = Some(look);
        if matches!(agent.state, State::Trial { .. }) {
            self.ask_if_offered(agent, &version, Verb::Pid);
            self.ask_if_offered(agent, &version, Verb::Health);
        }
        self.saw_more(agent, version, |_| ());
    }

    fn look_for_processes(&self, agent: &Agent, version: &Version, look: &mut Look) {
        let folder = self.layout().version_folder(&agent.name, version);
        let found = processes::below(&folder);
        look.executing = found.iter().any(|it| it.executes);
        look.present = !found.is_empty();
        look.processes = processes::describe(&found, &folder);
    }

    fn ask_if_offered(&self, agent: &mut Agent, version: &Version, verb: Verb) {
        if control::offers(&self.layout().control(&agent.name, version), verb) {
            agent.ask(version.clone(), verb);
        }
    }

    /// The look goes on, or is complete when nothing more of it is asked.
    fn saw_more(&mut self, agent: &mut Agent, version: Version, add: impl FnOnce(&mut Look)) {
        if let Some(look) = &mut agent.looking {
            add(look);
        }
        if agent.queue.iter().any(|(_, verb)| matches!(verb, Verb::Pid | Verb::Health)) {
            return;
        }
        if let Some(look) = agent.looking.take() {
            self.looked(agent, &version, look);
        }
    }

    fn looked(&mut self, agent: &mut Agent, version: &Version, look: Look) {
        agent.awaited = false;
        agent.looked_at = self.now.unix;
        agent.look = Some(look.clone());
        let wait = agent.trial_look_wait().unwrap_or(agent.look_wait);
        agent.look_wait = (agent.look_wait * 2).min(LOOK_LATE);
        agent.look_at = self.now.boot + wait;
        if agent.state.watched() == Some(version) && !self.is_suspended(agent) {
            self.happened(agent, Event::Looked(look));
        }
    }

    fn begin_next_call(&mut self, agent: &mut Agent) {
        while agent.call.is_none() {
            let Some((version, verb)) = agent.queue.pop_front() else { return };
            if let Err(fault) = self.begin_call(agent, &version, verb) {
                self.call_failed(agent, version, verb, fault);
            }
        }
    }

    /// Where the output of a start goes. A disk that does not take it is no reason to leave the agent stopped.
    fn out_of(&self, agent: &Agent) -> Result<File, Fault> {
        self.layout().open_out(&agent.name).or_else(|fault| {
            self.noted(agent, Err(fault));
            self.layout().open_nowhere()
        })
    }

    fn begin_call(&self, agent: &mut Agent, version: &Version, verb: Verb) -> Result<(), Fault> {
        let folder = self.layout().version_folder(&agent.name, version);
        let out = if verb == Verb::Start { Some(self.out_of(agent)?) } else { None };
        if let Some(out) = &out {
            agent.out_before = out.metadata().map_or(0, |it| it.len());
        }
        let run_user = self.layout().record(&agent.name, version).map(|it| it.run_user).unwrap_or_default();
        let account = Account::other(&run_user)?;
        let call = Call::begin(&folder, verb, out, account.as_ref(), self.now.boot, &self.settings.control)?;
        if verb == Verb::Start {
            agent.start_group = Some(call.group());
        }
        agent.call = Some((version.clone(), call));
        Ok(())
    }

    /// A call that cannot even begin.
    fn call_failed(&mut self, agent: &mut Agent, version: Version, verb: Verb, fault: Fault) {
        match verb {
            Verb::Status => {
                let mut look = Look::status(ops_wire::Status::Other(fault.sentence.clone()));
                look.fault = Some(fault);
                self.look_for_processes(agent, &version, &mut look);
                self.looked(agent, &version, look);
            }
            Verb::Pid | Verb::Health => self.saw_more(agent, version, |_| ()),
            Verb::Start | Verb::Stop | Verb::Check => {
                let ended = Ended { verb, success: false, words: fault.sentence };
                self.happened(agent, Event::CallEnded(ended));
            }
        }
    }

    /// Something happened: what the table says is carried out, and what that brings happens next.
    fn happened(&mut self, agent: &mut Agent, event: Event) {
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

    fn stage(&self, agent: &mut Agent, up: &Upgrade) -> Result<(), Fault> {
        let Some(desired) = agent.desired.clone() else {
            return Err(Fault::new(ErrorCode::BadAnswer, "nothing is ordered any more"));
        };
        (agent.kept, agent.staged, agent.progress) = (false, None, Progress::default());
        self.layout().make_agent(&agent.name)?;
        let (record, keys) = (self.layout().record(&agent.name, &up.to), &self.settings.stage.public_keys);
        if record.is_none_or(|it| !it.is_trusted(keys)) {
            // It would have to be replaced, whatever is downloaded.
            self.refuse_used(agent, up)?;
        }
        let run_user = plan::run_user(&desired, &self.settings.account);
        let job = stage::Job {
            owner: Account::other(run_user)?.map(|it| (it.uid, it.gid)),
            run_user: run_user.to_owned(),
            folder: self.layout().agent_staging(&agent.name),
            kept: inventory::record(self.layout(), &agent.name, &up.to),
            refused: self.agents.past(agent).refused_digests(&up.to),
            version: up.to.clone(),
            download_timeout: self.settings.download_timeout,
            download_delay: wake::random_part(self.settings.download_spread),
            settings: self.settings.stage.clone(),
            desired,
        };
        let deadline =
            self.now.boot + self.settings.download_spread + self.settings.download_timeout + UNPACK_TIME;
        agent.staging = Some(Child::begin(stage::KIND, &job, deadline)?);
        Ok(())
    }

    /// A folder of that name that is in use is left alone.
    fn publish(&self, agent: &Agent, up: &Upgrade) -> Result<(), Fault> {
        if agent.kept {
            return Ok(());
        }
        self.refuse_used(agent, up)?;
        self.layout().publish(&agent.name, &up.to)
    }

    fn refuse_used(&self, agent: &Agent, up: &Upgrade) -> Result<(), Fault> {
        let folder = self.layout().version_folder(&agent.name, &up.to);
        if !folder.exists() || !processes::uses(&folder) {
            return Ok(());
        }
        let sentence = format!("`{}` is used by a running process and is not replaced", folder.display());
        Err(Fault::new(ErrorCode::VersionReused, sentence))
    }

    /// Questions that are under way give way to a call that does something.
    fn call(&mut self, agent: &mut Agent, version: Version, verb: Verb) -> Option<Event> {
        let optional = verb == Verb::Check;
        if optional && !control::offers(&self.layout().control(&agent.name, &version), verb) {
            return Some(Event::CallEnded(Ended { verb, success: true, words: String::new() }));
        }
        agent.queue.clear();
        (agent.looking, agent.awaited) = (None, false);
        self.end_call(agent);
        agent.queue.push_back((version, verb));
        None
    }

    fn end_start(&self, agent: &mut Agent, version: &Version) {
        let Some(group) = agent.start_group.take() else { return };
        let killed = control::kill_group_below(&self.layout().version_folder(&agent.name, version), group);
        tell_killed(agent, version, &killed);
    }

    fn end_call(&mut self, agent: &mut Agent) {
        self.agents.ending.extend(agent.call.take().map(|(_, call)| call.end()));
    }

    fn kill(&mut self, agent: &mut Agent, version: &Version) {
        self.end_call(agent);
        let killed = control::kill_below(&self.layout().version_folder(&agent.name, version));
        tell_killed(agent, version, &killed);
    }

    fn record(&self, agent: &Agent, mut intent: Intent) -> Result<(), Fault> {
        intent.boot_id.clone_from(&self.agents.boot_id);
        self.layout().write_agent_json(&agent.name, &self.layout().intent_file(&agent.name), &intent)
    }

    fn remove(&self, agent: &Agent) -> Result<(), Fault> {
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

    fn remember(&mut self, agent: &mut Agent, version: &Version, fault: Fault) {
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

    /// The table knows no paths; whoever looks for the reason needs one.
    fn with_output(&self, agent: &Agent, fault: Fault) -> Fault {
        use ErrorCode::{RollbackFailed, StartFailed, StartTimeout, TrialFailed};
        if !matches!(fault.code, StartFailed | StartTimeout | TrialFailed | RollbackFailed) {
            return fault;
        }
        fault.ending_with(&format!("; its output: `{}`", self.layout().out_below_base(&agent.name).display()))
    }

    fn forget(&mut self, agent: &mut Agent, version: &Version) {
        agent.fault = None;
        let mut past = self.agents.past(agent);
        let before = past.failures.len();
        past.forget(version);
        if past.failures.len() != before || past.failures.is_empty() {
            self.write_down(agent, past);
        }
    }

    fn write_down(&self, agent: &mut Agent, past: Past) {
        let layout = self.layout();
        let written = layout.write_failed(&agent.name, &past);
        let mark = || Unwritten { past, marked: layout.mark_failed(&agent.name) };
        agent.unwritten = written.is_err().then(mark);
        self.noted(agent, written);
    }

    /// What could not be written down, but does not stop the work.
    fn noted(&self, agent: &Agent, result: Result<(), Fault>) {
        if let Err(fault) = result {
            log::event(
                Level::Error,
                "not_noted",
                &[("agent", &agent.name), ("code", &fault.code), ("error", &fault.sentence)],
            );
        }
    }

    /// Keeps the version in use, the one before, the newest up to the number to keep, and whatever a process uses.
    fn collect_garbage(&self, agent: &Agent, previous: &Version) {
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

fn tell_killed(agent: &Agent, version: &Version, killed: &[Process]) {
    let pids: Vec<String> = killed.iter().map(|it| it.pid.to_string()).collect();
    if !pids.is_empty() {
        let fields: [(&str, &dyn std::fmt::Display); 3] =
            [("agent", &agent.name), ("version", version), ("pids", &pids.join(","))];
        log::event(Level::Warn, "killing", &fields);
    }
}

fn outcome(result: Result<(), Fault>) -> Event {
    match result {
        Ok(()) => Event::Done,
        Err(fault) => Event::Failed(fault),
    }
}

fn push_step(steps: &mut Vec<StepDone>, step: StepDone) {
    if steps.len() < STEPS_MAX {
        steps.push(step);
    }
}

fn same_package(one: &Upgrade, other: &Upgrade) -> bool {
    one.digest == other.digest || other.digest.is_none() || one.digest.is_none()
}

#[cfg(test)]
mod tests;
