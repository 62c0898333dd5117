//! The child that makes the next version, and what becomes of what it made.

use std::time::Duration;

use ops_wire::ErrorCode;

use super::agent::Agent;
use super::hand::{Hand, push_step};
use crate::account::Account;
use crate::child::Child;
use crate::error::Fault;
use crate::log::{self, Level};
use crate::report::Progress;
use crate::stage::{self, Message};
use crate::upgrade::{Event, Upgrade};
use crate::{inventory, plan, processes, wake};

/// Beyond the download a child gets this long for verifying, unpacking and syncing.
const UNPACK_TIME: Duration = Duration::from_secs(1800);

impl Hand<'_> {
    pub fn poll_staging(&mut self, agent: &mut Agent) {
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

    pub fn stage(&self, agent: &mut Agent, up: &Upgrade) -> Result<(), Fault> {
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

    pub fn discard_unpacked(&mut self, agent: &Agent) {
        self.noted(agent, self.layout().discard_unpacked(&agent.name));
        self.agents.sweeper.want();
    }

    /// A folder of that name that is in use is left alone.
    pub fn publish(&self, agent: &Agent, up: &Upgrade) -> Result<(), Fault> {
        if agent.kept {
            return Ok(());
        }
        self.refuse_used(agent, up)?;
        self.layout().publish(&agent.name, &up.to)
    }

    fn not_confined(&mut self, sentence: String) {
        if self.agents.not_confined.is_none() {
            log::event(Level::Warn, "not_confined", &[("error", &sentence)]);
            self.agents.not_confined = Some(sentence);
        }
    }

    fn refuse_used(&self, agent: &Agent, up: &Upgrade) -> Result<(), Fault> {
        let folder = self.layout().version_folder(&agent.name, &up.to);
        if !folder.exists() || !processes::uses(&folder) {
            return Ok(());
        }
        let sentence = format!("`{}` is used by a running process and is not replaced", folder.display());
        Err(Fault::new(ErrorCode::VersionReused, sentence))
    }
}
