//! A rollout begins: tried on all hosts before it is written.

use std::iter;
use std::sync::Arc;

use super::looking::of_rollout;
use super::moving::changed;
use super::{Rollouts, Written};
use crate::clock::now_ms;
use crate::current::Current;
use crate::deciding::{Meant, NotEdited, Stocked};
use crate::desired::Standing;
use crate::domain::compile::Compiled;
use crate::domain::desired::{Desired, Fault, Object};
use crate::domain::rollout::{Plan, PlanText, Progress, State};
use crate::fleet::Fleet;
use crate::running::App;
use crate::simulation::{self, Simulated};
use crate::store::{Actor, Change, NewRollout};

/// What somebody wants to change.
#[derive(Debug, Clone)]
pub struct ToStart {
    pub plan: PlanText,
    pub note: String,
    pub draft: bool,
    /// Though no host, or none of a wave, is of it.
    pub allow_empty: bool,
}

/// What became of it.
pub struct Started {
    /// `None`: it was a dry run.
    pub id: Option<u64>,
    pub generation: u64,
    /// What changes when all is done.
    pub simulated: Simulated,
    /// By wave, how many hosts it selects.
    pub selected: Vec<u32>,
    /// Why somebody should say that it is meant.
    pub unconfirmed: Option<String>,
}

impl App {
    /// Not to be broken off.
    pub async fn start_rollout(
        self: Arc<Self>,
        actor: Actor,
        meant: Meant,
        wanted: ToStart,
    ) -> Result<Started, NotEdited> {
        // Whoever only looks is in nobody's way.
        let _turn = if meant.dry_run { None } else { Some(self.deciding.turn_in_time().await?) };
        let (this, look) = (self.clone(), self.look_in_time().await?);
        // Every host is asked: beats do not wait for it.
        let trying = tokio::task::spawn_blocking(move || {
            let _look = look;
            this.try_rollout(meant, &wanted).map(|tried| (wanted, tried))
        });
        let (wanted, tried) = trying.await.map_err(|_| NotEdited::BrokenOff)??;
        let Tried { written, rest, replaces, simulated, selected, unconfirmed } = tried;
        if meant.dry_run {
            let generation = self.standing().generation;
            return Ok(Started { id: None, generation, simulated, selected, unconfirmed });
        }
        if let Some(why) = unconfirmed.as_ref().filter(|_| !meant.confirmed) {
            return Err(NotEdited::Unconfirmed(Box::new(simulated), why.clone()));
        }
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
        Ok(Started { id: Some(id), generation, simulated, selected, unconfirmed })
    }

    /// What it would do. Blocks for as long as it takes to ask every host.
    fn try_rollout(&self, meant: Meant, wanted: &ToStart) -> Result<Tried, NotEdited> {
        let before = self.current().clone();
        if before.rules().is_none() && !meant.dry_run {
            return Err(NotEdited::FileDecides);
        }
        let (standing, rollouts) = (self.standing().clone(), self.rollouts().clone());
        let written = written(wanted, &standing)?;
        let replaces = replaced(&written, &rollouts)?;
        let rest = rollouts.without(replaces.as_slice());
        let (target, warnings) = self.target(&standing, &written)?;
        let after = self.try_out(target, &rest);
        let simulated = simulation::simulate(&self.fleet, &before, &after, iter::empty(), warnings);
        let begun = Written { progress: Progress::started(now_ms()), ..written.clone() };
        let with = self.try_out(self.compiled(&standing.desired), &rest.with(begun));
        let selected = selected(&self.fleet, &with, &written);
        if !wanted.allow_empty {
            is_of_somebody(&written, &simulated, &selected)?;
        }
        let unconfirmed = unconfirmed(&simulated);
        Ok(Tried { written, rest, replaces, simulated, selected, unconfirmed })
    }

    /// What should run where when all is done, where hosts can fetch it; and what is odd about it.
    fn target(&self, standing: &Standing, written: &Written) -> Result<(Compiled, Vec<String>), NotEdited> {
        let document = standing.desired.document();
        let object = written.object();
        let Some(policy) = document.policies.iter().find(|it| Object::of(it) == object) else {
            let why = format!("there is no {object}, and a rollout changes one; make it first");
            return Err(fault("agent", why));
        };
        if written.plan.target.written_into(policy) == *policy {
            return Err(fault("version", format!("{object} says so already")));
        }
        let (desired, places) =
            Desired::check(changed(document, written), &standing.desired).map_err(NotEdited::Faults)?;
        let of_plan = |fault: Fault| Fault { path: "version".to_owned(), ..fault };
        let stocked = self.stocked(standing, &desired, &places);
        let Stocked { compiled, warnings, .. } =
            stocked.map_err(|faults| NotEdited::Faults(faults.into_iter().map(of_plan).collect()))?;
        Ok((compiled, warnings))
    }
}

/// One that was tried on every host.
struct Tried {
    written: Written,
    /// Those beside it.
    rest: Rollouts,
    replaces: Option<u64>,
    simulated: Simulated,
    selected: Vec<u32>,
    unconfirmed: Option<String>,
}

fn fault(path: &str, why: String) -> NotEdited {
    NotEdited::Faults(vec![Fault { path: path.to_owned(), why }])
}

/// As it would be written; its id comes with the row.
fn written(wanted: &ToStart, standing: &Standing) -> Result<Written, NotEdited> {
    let plan = Plan::check(&wanted.plan, standing.desired.lists()).map_err(NotEdited::Faults)?;
    let now = now_ms();
    let progress = if wanted.draft { Progress::draft(now) } else { Progress::started(now) };
    Ok(Written { id: 0, text: wanted.plan.clone(), plan, progress })
}

/// The one that was stopped, and left its policy half done.
fn replaced(written: &Written, rollouts: &Rollouts) -> Result<Option<u64>, NotEdited> {
    match rollouts.of(&written.object()) {
        Some(other) if !other.is_over() => {
            Err(NotEdited::InUse(format!("{} is being changed by {other}", written.object())))
        }
        // Hosts that have what was stopped would be told at once what the policy says, and nobody has begun anything.
        Some(other) if written.progress.state == State::Draft => Err(NotEdited::InUse(format!(
            "{} has {other}, of which hosts keep what they have; take that back first (`rollback`), or begin this one \
             without a draft",
            written.object()
        ))),
        other => Ok(other.map(|it| it.id)),
    }
}

fn selected(fleet: &Fleet, with: &Current, written: &Written) -> Vec<u32> {
    let mut selected = vec![0_u32; written.plan.waves.len()];
    let Some(active) = with.active().iter().position(|it| it.rollout.id == written.id) else {
        return selected;
    };
    fleet.visit(|hostname, host| {
        let facts = host.stable(hostname);
        if of_rollout(&with.base_instead(&facts, &host.answer), active).is_none() {
            return;
        }
        let bits = written.plan.selected(&facts);
        for (wave, count) in selected.iter_mut().enumerate() {
            *count += (bits >> wave) & 1;
        }
    });
    selected
}

fn is_of_somebody(written: &Written, simulated: &Simulated, selected: &[u32]) -> Result<(), NotEdited> {
    let but = "`allowEmpty` allows it, for hosts that come later";
    let empty = selected.iter().position(|hosts| *hosts == 0);
    let Some(wave) = empty else { return Ok(()) };
    if selected.iter().all(|hosts| *hosts == 0) {
        let why = format!(
            "it would change nothing on any of {} hosts: {} decides for none of them; {but}",
            simulated.hosts,
            written.object()
        );
        return Err(fault("agent", why));
    }
    let name = written.plan.waves.get(wave).map_or("", |it| &it.name);
    let why = format!("no host of {} is of the wave {name:?}; {but}", written.object());
    Err(fault(&format!("waves[{wave}].select"), why))
}

/// Why somebody should look at it first. How many hosts it touches is what the waves are for.
fn unconfirmed(simulated: &Simulated) -> Option<String> {
    let first = simulated.withheld.first()?;
    let (hosts, are) = if first.hosts == 1 {
        ("1 host".to_owned(), "is")
    } else {
        (format!("{} hosts", first.hosts), "are")
    };
    Some(format!(
        "{hosts} would not be told to run {} {}, and {are} left out: {}",
        first.agent, first.version, first.why
    ))
}
