//! Every change of a rollout: first the row, then what hosts are told.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Written;
use crate::clock::now_ms;
use crate::deciding::NotEdited;
use crate::domain::desired::{Desired, Difference, Document, Object, PolicyText, differences};
use crate::domain::rollout::{Gates, Progress, State, Step, Verb, Whose};
use crate::log;
use crate::running::App;
use crate::store::{Actor, Change, MoveTold, RolloutMove};

impl App {
    /// Does what somebody asks for. `wave` is the one that is meant, from 0. Not to be broken off.
    pub async fn move_rollout(
        self: Arc<Self>,
        actor: Actor,
        id: u64,
        verb: Verb,
        wave: Option<usize>,
    ) -> Result<(), NotEdited> {
        let _turn = self.deciding.turn_in_time().await?;
        let rollouts = self.rollouts().clone();
        let Some(written) = rollouts.get(id) else { return self.is_done(id, verb).await };
        let progress = written.progress.after(verb, wave, now_ms());
        let progress = progress.map_err(|why| NotEdited::InUse(why.to_string()))?;
        let Some(progress) = progress else { return Ok(()) };
        if written.progress.state == State::Draft && progress.state == State::Running {
            // Others may have begun since it was written down.
            let (this, draft, rest) = (self.clone(), written.clone(), rollouts.clone());
            let look = self.look_in_time().await?;
            let looking = tokio::task::spawn_blocking(move || {
                let _look = look;
                this.clashes(&draft, &rest)
            });
            looking.await.map_err(|_| NotEdited::BrokenOff)??;
        }
        let told = MoveTold { kind: done(verb), why: format!("{} asked for it", actor.0) };
        self.write_move(actor, written, progress, Some(told)).await?;
        self.looks.moved.notify_one();
        Ok(())
    }

    /// Of one that tells nobody anything any more.
    async fn is_done(&self, id: u64, verb: Verb) -> Result<(), NotEdited> {
        let missing = || NotEdited::Missing(format!("rollout {id}"));
        let row = self.store.rollout(id).await?.ok_or_else(missing)?;
        let progress: Progress = serde_json::from_value(row.progress).map_err(|_| missing())?;
        match progress.after(verb, None, now_ms()) {
            Err(why) => Err(NotEdited::InUse(why.to_string())),
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(NotEdited::InUse(format!(
                "rollout {id} was stopped, and its policy was changed since; start another one"
            ))),
        }
    }

    /// Goes a step that was found for what the rollout was `before`. `None`: it is otherwise by now.
    pub async fn step_rollout(
        &self,
        id: u64,
        before: &Progress,
        step: &Step,
        why: String,
        gates: &Gates,
    ) -> Result<Option<Progress>, NotEdited> {
        let _turn = self.deciding.turn().await;
        // Somebody froze it meanwhile, or a window closed: it is looked at again.
        if *step == Step::Complete && self.current().gates() != gates {
            return Ok(None);
        }
        let rollouts = self.rollouts().clone();
        let Some(written) = rollouts.get(id).filter(|it| it.progress == *before) else { return Ok(None) };
        let mut progress = before.clone();
        progress.take(step, now_ms());
        if progress == *before {
            return Ok(None);
        }
        let told = event(step).map(|kind| MoveTold { kind, why: why.clone() });
        let is_told = told.is_some();
        self.write_move(Actor("ops-meta".to_owned()), written, progress.clone(), told).await?;
        if is_told {
            log::line(
                "rollout",
                &[("id", &id.to_string()), ("state", progress.state.as_str()), ("what", &why)],
            );
        }
        Ok(Some(progress))
    }

    async fn write_move(
        &self,
        actor: Actor,
        written: &Written,
        progress: Progress,
        told: Option<MoveTold>,
    ) -> Result<(), NotEdited> {
        let completed = match progress.state {
            State::Completed => Some(self.completed(written)?),
            _ => None,
        };
        let is_finished = is_finished(&progress);
        let seen = progress.state.is_over().then(|| self.looks.of(written.id)).flatten();
        let moved = RolloutMove {
            seen: seen.and_then(|seen| serde_json::to_value(seen.ended()).ok()),
            id: written.id,
            // Nothing in it is what JSON has not.
            progress: serde_json::to_value(&progress).unwrap_or_default(),
            is_finished,
            told,
            policy: completed.as_ref().map(|(_, policy)| policy.clone()).unwrap_or_default(),
        };
        let changed = self.store.change(actor, Change::Rollout(Box::new(moved))).await?;
        let generation = changed.generation;
        let rollouts = match is_finished {
            true => self.rollouts().without(&[written.id]),
            false => self.rollouts().with(Written { progress: progress.clone(), ..written.clone() }),
        };
        let is_known = self.current().active().iter().any(|it| it.rollout.id == written.id);
        self.keep_rollouts(rollouts);
        if let Some((desired, policy)) = completed {
            self.keep_standing(self.standing().after(desired, &policy, generation));
        }
        match is_finished || !is_known {
            true => self.decide(&self.running(), generation),
            false => self.keep_current(self.current().after_step(written.id, &progress, generation)),
        }
        self.looks.moves(written.id, now_ms() / 1000);
        Ok(())
    }

    /// The policy, as it is when all is done.
    fn completed(&self, written: &Written) -> Result<(Desired, Vec<Difference>), NotEdited> {
        let standing = self.standing();
        let mut document = standing.desired.document().clone();
        change(&mut document, written);
        let (desired, _) = Desired::check(document, &standing.desired).map_err(NotEdited::Faults)?;
        let differences = differences(standing.desired.document(), desired.document());
        Ok((desired, differences))
    }

    /// Deletes the history of one that is over, and never what it decided. Not to be broken off.
    pub async fn delete_rollout(self: Arc<Self>, actor: Actor, id: u64) -> Result<(), NotEdited> {
        let _turn = self.deciding.turn_in_time().await?;
        if let Some(written) = self.rollouts().get(id) {
            return Err(NotEdited::InUse(match written.is_over() {
                true => format!(
                    "rollout {id} was stopped, and hosts that have what it changed keep it until its policy is changed"
                ),
                false => format!("this is {written}"),
            }));
        }
        self.store.change(actor, Change::DeleteRollout(id)).await?;
        Ok(())
    }
}

/// Makes its policies what they will be.
pub fn change(document: &mut Document, written: &Written) {
    let target = &written.plan.target;
    let mut own = BTreeSet::new();
    for policy in document.policies.iter_mut().filter(|it| written.is_of(&Object::of(it))) {
        *policy = target.written_into(policy);
        own.insert(policy.host.clone());
    }
    if let Whose::Hosts(hosts) = &written.plan.whose {
        let without = hosts.iter().filter(|host| !own.contains(&***host));
        let new = without.map(|host| {
            let (agent, host) = (written.text.agent.clone(), host.to_string());
            target.written_into(&PolicyText { agent, host, ..PolicyText::default() })
        });
        document.policies.extend(new);
    }
}

/// It tells nobody anything any more. One that was stopped keeps hosts as they are until its policy is changed.
fn is_finished(progress: &Progress) -> bool {
    match progress.state {
        State::Completed | State::RolledBack => true,
        State::Stopped => progress.waves.admits_nobody(),
        _ => false,
    }
}

fn done(verb: Verb) -> &'static str {
    match verb {
        Verb::Approve => "rollout.approved",
        Verb::Pause => "rollout.paused",
        Verb::Resume => "rollout.resumed",
        Verb::Next => "rollout.wave_ended",
        Verb::Stop => "rollout.stopped",
        Verb::Rollback => "rollout.rollback",
        Verb::Retry => "rollout.retried",
    }
}

/// Which host begins when is in no event: there would be one every few seconds.
fn event(step: &Step) -> Option<&'static str> {
    match step {
        Step::Begin { .. } => Some("rollout.wave_begun"),
        Step::Await { .. } => Some("rollout.awaits_approval"),
        Step::Breach { .. } => Some("rollout.breached"),
        Step::Complete => Some("rollout.completed"),
        Step::TakenBack { .. } => Some("rollout.taken_back"),
        Step::Raise { .. } | Step::Settle | Step::Recover { .. } | Step::Lower { .. } => None,
    }
}
