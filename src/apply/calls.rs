//! Calls of an agent's `./control`, and looks at it, which are made of such calls and of what processes there are.

use std::fs::File;

use ops_wire::Version;

use super::agent::{Agent, LOOK_LATE};
use super::hand::Hand;
use crate::account::Account;
use crate::control::{self, Call, Finished};
use crate::error::Fault;
use crate::log::{self, Level};
use crate::processes::{self, Process};
use crate::upgrade::{Ended, Event, Look, State, Verb};

impl Hand<'_> {
    pub fn poll_call(&mut self, agent: &mut Agent) {
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

    pub fn begin_next_call(&mut self, agent: &mut Agent) {
        while agent.call.is_none() {
            let Some((version, verb)) = agent.queue.pop_front() else { return };
            if let Err(fault) = self.begin_call(agent, &version, verb) {
                self.call_failed(agent, version, verb, fault);
            }
        }
    }

    /// Questions that are under way give way to a call that does something.
    pub fn call(&mut self, agent: &mut Agent, version: Version, verb: Verb) -> Option<Event> {
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

    pub fn end_call(&mut self, agent: &mut Agent) {
        self.agents.ending.extend(agent.call.take().map(|(_, call)| call.end()));
    }

    pub fn end_start(&self, agent: &mut Agent, version: &Version) {
        let Some(group) = agent.start_group.take() else { return };
        let killed = control::kill_group_below(&self.layout().version_folder(&agent.name, version), group);
        tell_killed(agent, version, &killed);
    }

    pub fn kill(&mut self, agent: &mut Agent, version: &Version) {
        self.end_call(agent);
        let killed = control::kill_below(&self.layout().version_folder(&agent.name, version));
        tell_killed(agent, version, &killed);
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
}

fn tell_killed(agent: &Agent, version: &Version, killed: &[Process]) {
    let pids: Vec<String> = killed.iter().map(|it| it.pid.to_string()).collect();
    if !pids.is_empty() {
        let fields: [(&str, &dyn std::fmt::Display); 3] =
            [("agent", &agent.name), ("version", version), ("pids", &pids.join(","))];
        log::event(Level::Warn, "killing", &fields);
    }
}
