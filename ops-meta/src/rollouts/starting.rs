//! A rollout begins: what can be wrong with it, and its row.

use std::sync::Arc;

use ops_wire::Cmd;

use super::moving::change;
use super::trying::Tried;
use super::{Rollouts, Written};
use crate::clock::now_ms;
use crate::deciding::{Meant, NotEdited, Stocked};
use crate::desired::Standing;
use crate::domain::compile::Compiled;
use crate::domain::desired::{Desired, Fault, Object};
use crate::domain::rollout::{Plan, PlanText, Progress, State, Whose};
use crate::meant_hosts::MeantHosts;
use crate::running::App;
use crate::store::{Actor, Change, NewRollout};

/// Every host is looked at for each of them.
const ROLLOUTS_MAX: usize = 1000;

/// What somebody wants to change.
#[derive(Debug, Clone)]
pub struct ToStart {
    pub plan: PlanText,
    pub note: String,
    pub draft: bool,
    /// Though no host, or none of a wave, is of it.
    pub allow_empty: bool,
    /// Each of these hosts is to have it, instead of those of a policy.
    pub meant: MeantHosts,
}

/// What became of what somebody wanted to start, and the generation in which it counts.
pub struct Started {
    pub generation: u64,
    pub what: Start,
}

/// What became of it: only one of these begins anything.
pub enum Start {
    /// The number of the rollout.
    Begun(u64),
    /// It was a dry run.
    Tried(Tried),
    /// There is nothing to begin, and this says why: it is so already, or comes by this rollout.
    Already(String, Option<u64>),
}

impl App {
    /// Not to be broken off.
    pub async fn start_rollout(
        self: Arc<Self>,
        actor: Actor,
        meant: Meant,
        mut wanted: ToStart,
    ) -> Result<Started, NotEdited> {
        if !wanted.meant.is_nobody() {
            wanted.plan.hosts = self.clone().meant_hosts(&wanted.meant).await?;
        }
        // Whoever only looks is in nobody's way.
        let _turn = if meant.dry_run { None } else { Some(self.deciding.turn_in_time().await?) };
        // Whoever has the turn is alone, and need not wait until all hosts were counted.
        let look = if meant.dry_run { Some(self.look_in_time().await?) } else { None };
        let this = self.clone();
        // Many hosts may have to be asked: beats do not wait for it.
        let looking = tokio::task::spawn_blocking(move || {
            let _look = look;
            let checked = this.checked(meant, &wanted)?;
            this.is_there_to_go(&checked, wanted.allow_empty)?;
            this.clashes(&checked.written, &checked.rest)?;
            let tried = meant.dry_run.then(|| this.tried_rollout(&wanted, &checked)).transpose()?;
            if !meant.dry_run {
                this.glanced(meant, &wanted, &checked)?;
            }
            Ok::<_, NotEdited>((wanted, checked, tried))
        });
        let nothing = |what| Ok(Started { generation: self.standing().generation, what });
        let (wanted, checked) = match looking.await.map_err(|_| NotEdited::BrokenOff)? {
            Ok((wanted, checked, None)) => (wanted, checked),
            Ok((_, _, Some(tried))) => return nothing(Start::Tried(tried)),
            Err(NotEdited::Already(why, by)) => return nothing(Start::Already(why, by)),
            Err(why) => return Err(why),
        };
        let Checked { written, rest, replaces, .. } = checked;
        let new = NewRollout {
            // Nothing in them is what JSON has not.
            plan: serde_json::to_value(&written.text).unwrap_or_default(),
            progress: serde_json::to_value(&written.progress).unwrap_or_default(),
            note: wanted.note,
            replaces,
        };
        let changed = self.store.change(actor, Change::StartRollout(Box::new(new))).await?;
        let (id, generation) = (changed.id.unwrap_or_default().unsigned_abs(), changed.generation);
        self.keep_rollouts(rest.with(Written { id, ..written }));
        self.decide(&self.running(), generation);
        self.looks.moved.notify_one();
        Ok(Started { generation, what: Start::Begun(id) })
    }

    /// All that can be wrong whatever hosts there are.
    pub(super) fn checked(&self, meant: Meant, wanted: &ToStart) -> Result<Checked, NotEdited> {
        if self.current().rules().is_none() && !meant.dry_run {
            return Err(NotEdited::FileDecides);
        }
        let (standing, rollouts) = (self.standing().clone(), self.rollouts().clone());
        if rollouts.all().count() >= ROLLOUTS_MAX {
            let why = format!(
                "there are {ROLLOUTS_MAX} rollouts that are not over, or were stopped and keep hosts as they are; end some"
            );
            return Err(NotEdited::InUse(why));
        }
        let written = written(wanted, &standing)?;
        let replaces = replaced(&written, &rollouts)?;
        let rest = rollouts.without(replaces.as_slice());
        let (target, warnings) = self.target(&standing, &written)?;
        Ok(Checked { written, rest, replaces, target, warnings })
    }

    /// Of an agent that nobody knows, a policy would be left behind.
    fn is_there_to_go(&self, checked: &Checked, is_meant: bool) -> Result<(), NotEdited> {
        let Checked { written, rest, .. } = checked;
        let Plan { agent, whose: Whose::Hosts(hosts), target, .. } = &written.plan else { return Ok(()) };
        let is_known = || self.standing().desired.rules().agents().contains(agent) || rest.are_of(agent);
        if is_meant || target.cmd != Some(Cmd::Uninstall) || is_known() {
            return Ok(());
        }
        let has_it = |hostname: &str| {
            self.fleet.look(hostname, |host| host.says(agent.as_str()).is_some()).unwrap_or_default()
        };
        if hosts.iter().any(|hostname| has_it(hostname)) {
            return Ok(());
        }
        let why = format!(
            "no policy is of {agent}, and {} has none, as far as is known; look at the name",
            written.plan.whose
        );
        Err(fault("agent", why))
    }

    /// What should run where when all is done, where hosts can fetch it; and what is odd about it.
    fn target(&self, standing: &Standing, written: &Written) -> Result<(Compiled, Vec<String>), NotEdited> {
        let (before, policy) = (standing.desired.document(), written.changes());
        let is_there = matches!(written.plan.whose, Whose::Hosts(_))
            || before.policies.iter().any(|it| written.is_of(&Object::of(it)));
        if !is_there {
            let why = format!("there is no {policy}, and a rollout changes one; make it first");
            return Err(fault("agent", why));
        }
        let mut document = before.clone();
        change(&mut document, written);
        // As long as cfg.json decides, hosts may be told something else.
        if document.policies == before.policies && self.current().rules().is_some() {
            return Err(already(written));
        }
        let (desired, places) = Desired::check(document, &standing.desired).map_err(NotEdited::Faults)?;
        let of_plan = |fault: Fault| Fault { path: "version".to_owned(), ..fault };
        let stocked = self.stocked(standing, &desired, &places);
        let Stocked { compiled, warnings, .. } =
            stocked.map_err(|faults| NotEdited::Faults(faults.into_iter().map(of_plan).collect()))?;
        Ok((compiled, warnings))
    }
}

/// One that can be written, as far as hosts make no difference.
pub(super) struct Checked {
    pub written: Written,
    /// Those beside it.
    pub rest: Rollouts,
    replaces: Option<u64>,
    /// What is to run where when all is done.
    pub target: Compiled,
    /// What is odd about it.
    pub warnings: Vec<String>,
}

/// Why nothing is begun: all hosts of it are to have it by policies.
pub(super) fn already(written: &Written) -> NotEdited {
    NotEdited::Already(format!("that is ordered already ({})", written.changes()), None)
}

pub(super) fn fault(path: &str, why: String) -> NotEdited {
    NotEdited::Faults(vec![Fault { path: path.to_owned(), why }])
}

/// As it would be written; its id comes with the row.
fn written(wanted: &ToStart, standing: &Standing) -> Result<Written, NotEdited> {
    let plan = Plan::check(&wanted.plan, standing.desired.lists()).map_err(NotEdited::Faults)?;
    let now = now_ms();
    let progress = if wanted.draft { Progress::draft(now) } else { Progress::started(now) };
    Ok(Written { id: 0, text: wanted.plan.clone(), plan, progress })
}

/// The one that was stopped on the way to the same, and is gone on with. After any other, hosts that keep what they have would
/// all go back at once.
fn replaced(written: &Written, rollouts: &Rollouts) -> Result<Option<u64>, NotEdited> {
    let like: Vec<_> = rollouts.like(written).collect();
    let is_same = |it: &Written| {
        it.text == written.text
            && [&it.progress, &written.progress].iter().all(|it| it.state == State::Running)
    };
    if let Some(same) = like.iter().find(|it| is_same(it)) {
        return Err(NotEdited::Already(format!("rollout {} does that already", same.id), Some(same.id)));
    }
    if let Some(busy) = like.iter().find(|it| !it.is_over()) {
        return Err(NotEdited::InUse(format!("{} is being changed by {busy}", written.changes())));
    }
    let goes_on = |it: &Written| {
        let same = it.plan.whose == written.plan.whose && it.plan.target == written.plan.target;
        same && written.progress.state != State::Draft
    };
    match like.as_slice() {
        [] => Ok(None),
        [stopped] if goes_on(stopped) => Ok(Some(stopped.id)),
        [stopped, ..] => Err(NotEdited::InUse(format!(
            "{} has {stopped}, of which hosts keep what they have, and would go back all at once; take that back first \
             (`rollback`), or begin one that leads to the same for the same hosts",
            written.changes()
        ))),
    }
}
