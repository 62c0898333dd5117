//! What would come of a rollout: every host is asked, or as few as it takes to see that it can begin.

use std::iter;
use std::sync::Arc;

use ops_wire::Cmd;

use super::looking::of_rollout;
use super::moving::change;
use super::starting::{Checked, ToStart, already, fault};
use super::{Rollouts, Written};
use crate::clock::now_ms;
use crate::current::Current;
use crate::deciding::{Meant, NotEdited};
use crate::domain::compile::Compiled;
use crate::domain::desired::Desired;
use crate::domain::precedence::{Field, Rules, Scope};
use crate::domain::rollout::{Plan, Progress, Target, Whose};
use crate::fleet::{Facts, Fleet, Host};
use crate::running::App;
use crate::simulation::{self, Simulated};

/// What it would come to, when all is done.
pub struct Tried {
    pub simulated: Simulated,
    /// By wave, how many hosts it selects.
    pub selected: Vec<u32>,
    /// Of the hosts that are named, those of which nothing would change.
    pub there: usize,
    /// Hosts that the policy is for as well, and for which a stronger one says otherwise.
    pub stronger: usize,
    /// Why somebody should say that it is meant.
    pub unconfirmed: Option<String>,
}

impl App {
    /// Looks at no more hosts than it takes to see that it can begin: in most fleets a few, however large they are.
    pub(super) fn glanced(&self, meant: Meant, wanted: &ToStart, checked: &Checked) -> Result<(), NotEdited> {
        if self.is_seen_to_fit(meant, wanted, checked) {
            return Ok(());
        }
        let Tried { simulated, unconfirmed, .. } = self.tried_rollout(wanted, checked)?;
        match unconfirmed.filter(|_| !meant.confirmed) {
            Some(why) => Err(NotEdited::Unconfirmed(Box::new(simulated), why)),
            None => Ok(()),
        }
    }

    fn is_seen_to_fit(&self, meant: Meant, wanted: &ToStart, checked: &Checked) -> bool {
        let Checked { written, target, .. } = checked;
        // Others may be left out that require what is there now.
        if !meant.confirmed && target.shelf.require(&written.plan.agent) {
            return false;
        }
        // What it requires may be there now and gone when all is done, or the other way about.
        if !meant.confirmed && is_another_required(checked) {
            return false;
        }
        let fits_all = meant.confirmed || fits_all(&self.fleet, target, written);
        if fits_all && wanted.allow_empty {
            return true;
        }
        let alone = self.alone(written, target.clone());
        let all = u32::MAX >> (32 - written.plan.waves.len().clamp(1, 32));
        let (mut seen, mut is_barred) = (0, false);
        self.fleet.visit_until(|hostname, host| {
            let facts = host.stable(hostname);
            let base = alone.base_instead(&facts, &host.answer);
            let Some(of) = of_rollout(&base, 0) else { return false };
            seen |= written.plan.selected(&facts);
            is_barred |= of.is_barred();
            is_barred || (fits_all && seen & all == all)
        });
        (meant.confirmed || !is_barred) && (wanted.allow_empty || seen & all == all)
    }

    /// What would come of it. Asks every host.
    pub(super) fn tried_rollout(&self, wanted: &ToStart, checked: &Checked) -> Result<Tried, NotEdited> {
        let Checked { written, rest, target, warnings, .. } = checked;
        let ((before, after), warnings) = (self.before_and_after(checked)?, warnings.clone());
        let simulated = simulation::simulate(&self.fleet, &before, &after, iter::empty(), warnings);
        let Selected { selected, of_it, stronger } =
            selected(&self.fleet, &self.alone(written, target.clone()), written);
        let there = match &written.plan.whose {
            Whose::Hosts(hosts) => {
                let known = hosts.iter().filter(|host| self.fleet.look(host, |_| ()).is_some()).count();
                // Weaker policies say so for all of them, and no rollout changes that.
                if !wanted.allow_empty
                    && of_it == 0
                    && known == hosts.len()
                    && !rest.are_of(&written.plan.agent)
                    && hosts.iter().all(|host| self.is_told(host, written.plan.agent.as_str()))
                {
                    return Err(already(written));
                }
                known.saturating_sub(of_it)
            }
            Whose::Policy(_) => 0,
        };
        if !wanted.allow_empty {
            is_of_somebody(written, &simulated, &selected)?;
        }
        let unconfirmed = unconfirmed(&simulated);
        Ok(Tried { simulated, selected, there, stronger, unconfirmed })
    }

    /// What hosts are told without this rollout, and when all of it is done. What others bring meanwhile is no change of this
    /// one, and may be what it requires: it counts as there.
    fn before_and_after(&self, checked: &Checked) -> Result<(Arc<Current>, Arc<Current>), NotEdited> {
        let Checked { written, rest, target, .. } = checked;
        let current = self.current().clone();
        let under_way: Vec<_> = rest.all().filter(|it| it.brings_its_target()).collect();
        if under_way.is_empty() || current.rules().is_none() {
            return Ok((current, Arc::new(self.try_out(target.clone(), rest))));
        }
        let (standing, ids) = (self.standing().clone(), under_way.iter().map(|it| it.id).collect::<Vec<_>>());
        let all_done = |with: Option<&Written>, rollouts: &Rollouts| {
            let mut document = standing.desired.document().clone();
            under_way.iter().map(|it| &***it).chain(with).for_each(|it| change(&mut document, it));
            let (desired, _) = Desired::check(document, &standing.desired).map_err(NotEdited::Faults)?;
            Ok::<_, NotEdited>(Arc::new(self.try_out(self.compiled(&desired), &rollouts.without(&ids))))
        };
        Ok((all_done(None, &self.rollouts())?, all_done(Some(written), rest)?))
    }

    /// What hosts would be told with this rollout and no other.
    pub(super) fn alone(&self, written: &Written, target: Compiled) -> Current {
        let begun = Written { progress: Progress::started(now_ms()), ..written.clone() };
        let compiled = Compiled { rules: self.rules(&self.standing().desired), ..target };
        self.try_out(compiled, &Rollouts::default().with(begun))
    }

    /// No host is to be of two rollouts of one agent: each would move it elsewhere.
    pub(super) fn clashes(&self, written: &Written, rest: &Rollouts) -> Result<(), NotEdited> {
        let (agent, standing) = (&written.plan.agent, self.standing().clone());
        let others = rest.all().filter(|it| it.id != written.id && it.plan.agent == *agent);
        let apart = |it: &&Arc<Written>| is_apart(standing.desired.rules(), &written.plan, &it.plan);
        let mut others = others.filter(|it| !apart(it)).peekable();
        if others.peek().is_none() {
            return Ok(());
        }
        let (current, alone) =
            (self.current().clone(), self.alone(written, self.compiled(&standing.desired)));
        let other_of = |hostname: &str, host: &Host| {
            let facts = host.stable(hostname);
            of_rollout(&alone.base_instead(&facts, &host.answer), 0)?;
            let base = current.base_of(&facts, &host.answer);
            let of_agent = base.of().iter().filter_map(|of| current.active().get(of.active));
            let mut ids = of_agent.filter(|it| it.agent() == agent).map(|it| it.rollout.id);
            ids.find_map(|id| rest.get(id)).filter(|it| it.id != written.id).cloned()
        };
        let mut clash = None;
        for other in others {
            // Where hosts are named no others need be looked at.
            let named = [&written.plan.whose, &other.plan.whose].into_iter().find_map(Whose::hosts);
            match named {
                Some(hosts) => {
                    clash = hosts.iter().find_map(|hostname| {
                        let found = self.fleet.look(hostname, |host| other_of(hostname, host)).flatten()?;
                        Some((hostname.to_string(), found))
                    });
                }
                None => self.fleet.visit_until(|hostname, host| {
                    clash = other_of(hostname, host).map(|found| (hostname.to_owned(), found));
                    clash.is_some()
                }),
            }
            if let Some((hostname, other)) = clash {
                return Err(NotEdited::InUse(format!(
                    "{agent} is being changed on host {hostname}, and perhaps on others, by {other}"
                )));
            }
        }
        Ok(())
    }
}

/// Whether no host can be of both, whoever is in which group: where the stronger policy says what the weaker one is to say
/// otherwise, the weaker one is not heard.
fn is_apart(rules: &Rules, one: &Plan, other: &Plan) -> bool {
    let (Whose::Policy(a), Whose::Policy(b)) = (&one.whose, &other.whose) else { return false };
    let (stronger, weaker) = if rules.strength(a) > rules.strength(b) { (a, other) } else { (b, one) };
    rules.policy(&one.agent, stronger).is_some_and(|policy| {
        let Target { version, cmd } = &weaker.target;
        let says = |is_changed: bool, field: Field| !is_changed || field.is_set(&policy.order);
        says(version.is_some(), Field::Version) && says(cmd.is_some(), Field::Cmd)
    })
}

/// Whether another rollout is of an agent that this version requires.
fn is_another_required(Checked { written, rest, target, .. }: &Checked) -> bool {
    let Plan { agent, target: Target { version, .. }, .. } = &written.plan;
    let mut builds = version.iter().flat_map(|version| target.shelf.builds(agent, version));
    builds.any(|it| it.requires.keys().any(|agent| rest.are_of(agent)))
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

/// Hosts, by what a rollout is for them.
struct Selected {
    /// By wave.
    selected: Vec<u32>,
    of_it: usize,
    stronger: usize,
}

fn selected(fleet: &Fleet, alone: &Current, written: &Written) -> Selected {
    let waves = vec![0_u32; written.plan.waves.len()];
    let mut all = Selected { selected: waves, of_it: 0, stronger: 0 };
    fleet.visit(|hostname, host| {
        let facts = host.stable(hostname);
        let base = alone.base_instead(&facts, &host.answer);
        if of_rollout(&base, 0).is_none() {
            let is_for_it = match &written.plan.whose {
                Whose::Policy(Scope::Default) => true,
                Whose::Policy(Scope::Group(group)) => alone.has_group(&base, group),
                Whose::Policy(Scope::Host(_)) | Whose::Hosts(_) => false,
            };
            all.stronger += usize::from(is_for_it);
            return;
        }
        all.of_it += 1;
        let bits = written.plan.selected(&facts);
        for (wave, count) in all.selected.iter_mut().enumerate() {
            *count += (bits >> wave) & 1;
        }
    });
    all
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
