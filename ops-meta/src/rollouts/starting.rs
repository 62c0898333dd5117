//! A rollout begins: tried on all hosts before it is written.

use std::iter;
use std::sync::Arc;

use ops_wire::Cmd;

use super::looking::of_rollout;
use super::moving::changed;
use super::{Rollouts, Written};
use crate::clock::now_ms;
use crate::current::Current;
use crate::deciding::{Meant, NotEdited, Stocked};
use crate::desired::Standing;
use crate::domain::compile::Compiled;
use crate::domain::desired::{Desired, Fault, Object};
use crate::domain::rollout::{Plan, PlanText, Progress, State, Target, Whose};
use crate::fleet::{Facts, Fleet};
use crate::meant_hosts::MeantHosts;
use crate::running::App;
use crate::simulation::{self, Simulated};
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

/// What became of it.
pub struct Started {
    /// `None`: it was a dry run.
    pub id: Option<u64>,
    pub generation: u64,
    /// Of a dry run.
    pub tried: Option<Tried>,
}

/// What it would come to, when all is done.
pub struct Tried {
    pub simulated: Simulated,
    /// By wave, how many hosts it selects.
    pub selected: Vec<u32>,
    /// Of the hosts that are named, those of which nothing would change.
    pub there: usize,
    /// Why somebody should say that it is meant.
    pub unconfirmed: Option<String>,
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
            let tried = meant.dry_run.then(|| this.tried_rollout(&wanted, &checked)).transpose()?;
            if !meant.dry_run {
                this.glanced(meant, &wanted, &checked)?;
            }
            Ok::<_, NotEdited>((wanted, checked, tried))
        });
        let (wanted, checked, tried) = looking.await.map_err(|_| NotEdited::BrokenOff)??;
        if tried.is_some() {
            return Ok(Started { id: None, generation: self.standing().generation, tried });
        }
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
        Ok(Started { id: Some(id), generation, tried: None })
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

    /// Looks at no more hosts than it takes to see that it can begin: in most fleets a few, however large they are.
    fn glanced(&self, meant: Meant, wanted: &ToStart, checked: &Checked) -> Result<(), NotEdited> {
        let written = &checked.written;
        self.clashes(written, &checked.rest)?;
        let alone = self.alone(written, checked.target.clone());
        // Others may be left out that require what is there now.
        if checked.target.shelf.require(&written.plan.agent) && !meant.confirmed {
            let Tried { simulated, unconfirmed, .. } = self.tried_rollout(wanted, checked)?;
            return match unconfirmed {
                Some(why) => Err(NotEdited::Unconfirmed(Box::new(simulated), why)),
                None => Ok(()),
            };
        }
        let fits_all = meant.confirmed || fits_all(&self.fleet, &checked.target, written);
        let all = u32::MAX >> (32 - written.plan.waves.len().clamp(1, 32));
        if fits_all && wanted.allow_empty {
            return Ok(());
        }
        let (mut seen, mut is_barred) = (0, false);
        self.fleet.visit_until(|hostname, host| {
            let facts = host.stable(hostname);
            let base = alone.base_instead(&facts, &host.answer);
            let Some(of) = of_rollout(&base, 0) else { return false };
            seen |= written.plan.selected(&facts);
            is_barred |= of.is_barred();
            is_barred || (fits_all && seen & all == all)
        });
        if (is_barred && !meant.confirmed) || (seen & all != all && !wanted.allow_empty) {
            let Tried { simulated, unconfirmed, .. } = self.tried_rollout(wanted, checked)?;
            if let Some(why) = unconfirmed.filter(|_| !meant.confirmed) {
                return Err(NotEdited::Unconfirmed(Box::new(simulated), why));
            }
        }
        Ok(())
    }

    /// What would come of it. Asks every host.
    fn tried_rollout(&self, wanted: &ToStart, checked: &Checked) -> Result<Tried, NotEdited> {
        let Checked { written, rest, target, warnings, .. } = checked;
        self.clashes(written, rest)?;
        let (before, after) = (self.current().clone(), self.try_out(target.clone(), rest));
        let warnings = warnings.clone();
        let simulated = simulation::simulate(&self.fleet, &before, &after, iter::empty(), warnings);
        let (selected, of_it) = selected(&self.fleet, &self.alone(written, target.clone()), written);
        if !wanted.allow_empty {
            is_of_somebody(written, &simulated, &selected)?;
        }
        let there = match &written.plan.whose {
            Whose::Hosts(hosts) => {
                let known = hosts.iter().filter(|host| self.fleet.look(host, |_| ()).is_some()).count();
                known.saturating_sub(of_it)
            }
            Whose::Policy(_) => 0,
        };
        let unconfirmed = unconfirmed(&simulated);
        Ok(Tried { simulated, selected, there, unconfirmed })
    }

    /// What hosts would be told with this rollout and no other.
    pub(super) fn alone(&self, written: &Written, target: Compiled) -> Current {
        let begun = Written { progress: Progress::started(now_ms()), ..written.clone() };
        let compiled = Compiled { rules: self.rules(&self.standing().desired), ..target };
        self.try_out(compiled, &Rollouts::default().with(begun))
    }

    /// No host is to be of two rollouts of one agent: each would move it elsewhere.
    pub(super) fn clashes(&self, written: &Written, rest: &Rollouts) -> Result<(), NotEdited> {
        let agent = &written.plan.agent;
        let others = |it: &&Arc<Written>| it.id != written.id && it.plan.agent == *agent;
        if rest.all().find(others).is_none() {
            return Ok(());
        }
        let current = self.current().clone();
        let alone = self.alone(written, self.compiled(&self.standing().desired));
        let mut clash = None;
        self.fleet.visit_until(|hostname, host| {
            let facts = host.stable(hostname);
            if of_rollout(&alone.base_instead(&facts, &host.answer), 0).is_none() {
                return false;
            }
            let base = current.base_of(&facts, &host.answer);
            let of_agent = base.of().iter().filter_map(|of| current.active().get(of.active));
            let mut ids = of_agent.filter(|it| it.agent() == agent).map(|it| it.rollout.id);
            let other = ids.find_map(|id| rest.get(id)).filter(|it| it.id != written.id);
            clash = other.map(|other| (hostname.to_owned(), other.clone()));
            clash.is_some()
        });
        match clash {
            None => Ok(()),
            Some((hostname, other)) => Err(NotEdited::InUse(format!(
                "{agent} is being changed on host {hostname}, and perhaps on others, by {other}"
            ))),
        }
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
        let document = changed(before, written);
        if document.policies == before.policies {
            return Err(fault("version", format!("{policy} says so already")));
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
    rest: Rollouts,
    replaces: Option<u64>,
    /// What is to run where when all is done.
    pub target: Compiled,
    /// What is odd about it.
    warnings: Vec<String>,
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

/// The one that was stopped on the way to the same, and is gone on with. After any other, hosts that keep what they have would
/// all go back at once.
fn replaced(written: &Written, rollouts: &Rollouts) -> Result<Option<u64>, NotEdited> {
    let like: Vec<_> = rollouts.like(written).collect();
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

/// Whether there is a build for whatever host: then none has to be asked.
fn fits_all(fleet: &Fleet, target: &Compiled, written: &Written) -> bool {
    let Plan { agent, target: Target { version, cmd }, .. } = &written.plan;
    let Some(version) = version else { return matches!(cmd, Some(Cmd::Stop | Cmd::Uninstall)) };
    let fits = |facts: &Facts| {
        target.shelf.find(agent, version, &facts.os, &facts.arch).is_ok_and(|it| it.requires.is_empty())
    };
    fleet.all_are(fits)
}

/// Hosts by wave, and all that it is of.
fn selected(fleet: &Fleet, alone: &Current, written: &Written) -> (Vec<u32>, usize) {
    let (mut selected, mut all) = (vec![0_u32; written.plan.waves.len()], 0);
    fleet.visit(|hostname, host| {
        let facts = host.stable(hostname);
        if of_rollout(&alone.base_instead(&facts, &host.answer), 0).is_none() {
            return;
        }
        all += 1;
        let bits = written.plan.selected(&facts);
        for (wave, count) in selected.iter_mut().enumerate() {
            *count += (bits >> wave) & 1;
        }
    });
    (selected, all)
}

fn is_of_somebody(written: &Written, simulated: &Simulated, selected: &[u32]) -> Result<(), NotEdited> {
    let but = "`allowEmpty` allows it, for hosts that come later";
    let empty = selected.iter().position(|hosts| *hosts == 0);
    let Some(wave) = empty else { return Ok(()) };
    if selected.iter().all(|hosts| *hosts == 0) {
        let why = format!(
            "it would change nothing on any of {} hosts: {} decides for none of them; {but}",
            simulated.hosts,
            written.changes()
        );
        return Err(fault("agent", why));
    }
    let name = written.plan.waves.get(wave).map_or("", |it| &it.name);
    let why = format!("no host of {} is of the wave {name:?}; {but}", written.changes());
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
