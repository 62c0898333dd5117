//! What rollouts are for hosts that get the same answer: which of them tell a host, and what keeps it from beginning.

use ops_wire::{AgentName, Cmd, DesiredAgent};

use super::{Base, Current, Kind, Reports};
use crate::domain::compile::{Compiled, Need, Ordered, Withheld, meets};
use crate::domain::conformity::Conformity;
use crate::domain::freeze::Freeze;
use crate::domain::rollout::{Active, Bar, Report, Shut, Stand, Standing, State, position};
use crate::domain::selector::HostFacts;

/// One rollout, for hosts of one kind.
#[derive(Debug)]
pub struct Of {
    /// Its place among those that are active.
    pub active: usize,
    /// What hosts are told that have it.
    pub target: DesiredAgent,
    /// What policies say; `None`: nothing is told.
    pub policy: Option<DesiredAgent>,
    /// For all hosts of the kind.
    bar: Option<(Bar, Withheld)>,
    /// What has to run on a host before.
    needs: Option<Need>,
    /// Policies do not order that; other rollouts bring it.
    by_others: bool,
}

impl Of {
    /// There is nothing for any host of the kind now.
    pub fn is_barred(&self) -> bool {
        self.bar.is_some()
    }

    /// Why a host is not told, windows and freezes aside.
    pub fn withheld(&self, reports: Reports<'_>) -> Option<Withheld> {
        let unmet = || self.needs.as_ref().and_then(|it| it.unmet(|agent| reports(agent).map(|it| it.real)));
        self.bar.as_ref().map(|(_, why)| why.clone()).or_else(unmet)
    }

    fn bar(&self) -> Option<Bar> {
        self.bar.as_ref().map(|(bar, _)| *bar)
    }
}

impl Current {
    /// `None`: it changes nothing for hosts of this kind, a stronger policy decides.
    pub(super) fn of(
        &self,
        compiled: &Compiled,
        kind: &Kind,
        without: &[Ordered<'_>],
        active: usize,
    ) -> Option<Of> {
        let named = kind.hostname.as_deref().unwrap_or_default();
        let agent = self.active.get(active).filter(|it| it.policy(named).is_some())?.agent();
        let find = |all: &[Ordered<'_>]| {
            let found = all.iter().find(|it| it.decision.agent == agent)?;
            Some((found.decision.order.clone(), found.told.clone(), found.needs.clone()))
        };
        let with = self.ordered_of(compiled, kind, &[active]);
        let ((order, told, needs), before) = (find(&with)?, find(without));
        if before.as_ref().is_some_and(|(before, ..)| *before == order) {
            return None;
        }
        let policy = before.and_then(|(_, told, _)| told.ok());
        let (told, bar, needs, by_others) = match told {
            Ok(told) => (Some(told), None, needs, false),
            // What it requires may be on its way by other rollouts.
            Err(why) => match self.with_others(compiled, kind, agent, active) {
                Some((told, Some(needs))) if needs.requires().is_some() => {
                    (Some(told), None, Some(needs), true)
                }
                Some((told, _)) => (Some(told), Some((Bar::Waiting, why)), None, false),
                None if matches!(why, Withheld::Requires(..)) => {
                    (None, Some((Bar::Unmet, why)), needs, false)
                }
                None => (None, Some((Bar::Excluded, why)), needs, false),
            },
        };
        let target = told.unwrap_or_else(|| order.desired(agent.clone()));
        Some(Of { active, target, policy, bar, needs, by_others })
    }

    /// What hosts of this kind are told of an agent where this rollout tells, and all of other agents.
    fn with_others(
        &self,
        compiled: &Compiled,
        kind: &Kind,
        agent: &AgentName,
        active: usize,
    ) -> Option<(DesiredAgent, Option<Need>)> {
        let others = self.active.iter().enumerate();
        let all = others.filter(|(n, it)| *n == active || it.agent() != agent).map(|(n, _)| n);
        let ordered = self.ordered_of(compiled, kind, &all.collect::<Vec<_>>());
        let found = ordered.into_iter().find(|it| it.decision.agent == agent)?;
        Some((found.told.ok()?, found.needs))
    }

    /// What it comes to for a rollout that a host says this. `None`: there is no such rollout.
    pub fn reported(&self, of: &Of, reports: Reports<'_>) -> Option<Report> {
        let active = self.active.get(of.active)?;
        let says = reports(active.agent().as_str());
        let asked = active.asked(&of.target, of.policy.as_ref());
        Some(asked.report(says.map(|it| it.real), says.and_then(|it| it.rollout)))
    }

    /// Where a host stands in the rollouts that are of it.
    pub fn standings(&self, host: &HostFacts<'_>, reports: Reports<'_>) -> Vec<(&Active, Standing<'_>)> {
        let (_, base) = self.look(host);
        let standing = |of: &Of| {
            let (active, standing) = self.standing(of, host, reports)?;
            let bar = match standing.stand {
                Stand::Elsewhere if !standing.is_as_wanted => self.bar(&base, of, reports),
                _ => of.bar(),
            };
            let shut = bar.filter(|bar| *bar == Bar::Shut);
            let shut = shut.and_then(|_| self.shut(&base.kind, active.agent()));
            Some((active, Standing { bar, shut, ..standing }))
        };
        base.of.iter().filter_map(standing).collect()
    }

    fn standing(
        &self,
        of: &Of,
        host: &HostFacts<'_>,
        reports: Reports<'_>,
    ) -> Option<(&Active, Standing<'_>)> {
        let active = self.active.get(of.active)?;
        let rollout = &active.rollout;
        let report = self.reported(of, reports)?;
        let standing = Standing {
            position: position(rollout.id, host.hostname),
            selected: rollout.plan.selected(host),
            stand: report.stand,
            is_as_wanted: report.target == Conformity::Yes,
            bar: of.bar(),
            shut: None,
        };
        Some((active, standing))
    }

    /// The rollouts that tell this host.
    pub(super) fn telling(&self, base: &Base, host: &HostFacts<'_>, reports: Reports<'_>) -> Vec<usize> {
        let tells = |of: &&Of| {
            let Some((active, Standing { position, selected, stand, is_as_wanted, .. })) =
                self.standing(of, host, reports)
            else {
                return false;
            };
            // Whoever has it already, or is about to, keeps it.
            let begins = stand == Stand::Elsewhere && !is_as_wanted;
            let waits = || begins && matches!(self.bar(base, of, reports), Some(Bar::Shut | Bar::Waiting));
            active.rollout.tells(position, selected, stand) && !waits()
        };
        base.of.iter().filter(tells).map(|of| of.active).collect()
    }

    /// Why a host cannot begin with what a rollout brings.
    pub fn bar(&self, base: &Base, of: &Of, reports: Reports<'_>) -> Option<Bar> {
        let shut = || self.shut(&base.kind, &of.target.name).map(|_| Bar::Shut);
        let real = |agent: &str| reports(agent).map(|it| it.real);
        let waits = || of.needs.as_ref().and_then(|it| it.unmet(real)).map(|_| Bar::Waiting);
        of.bar().or_else(|| self.lacks(base, of, reports)).or_else(shut).or_else(waits)
    }

    /// What other rollouts have to bring to a host and do not yet, or not any more. Once it has it, they tell it so.
    fn lacks(&self, base: &Base, of: &Of, reports: Reports<'_>) -> Option<Bar> {
        let requires = of.needs.as_ref().filter(|_| of.by_others)?.requires()?;
        let lacks = requires.iter().map(|(agent, requirement)| {
            let is_it = |it: &DesiredAgent| {
                let version = it.version.as_ref().map_or("", |it| it.as_str());
                it.name == *agent && it.cmd == Cmd::Start && meets(version, requirement)
            };
            if base.wanted.agents.iter().any(is_it) {
                return None;
            }
            match base.of.iter().find(|other| is_it(&other.target)) {
                Some(other) => self.comes_by(base, other, reports),
                None => Some(Bar::Unmet),
            }
        });
        lacks.max().flatten()
    }

    /// What keeps a host from being told by another rollout; `None`: it has what that brings, and is told to keep it.
    fn comes_by(&self, base: &Base, other: &Of, reports: Reports<'_>) -> Option<Bar> {
        let active = self.active.get(other.active)?;
        let has_it = self.reported(other, reports)?.stand == Stand::There;
        match active.rollout.progress.state {
            State::Stopped if !has_it => Some(Bar::Unmet),
            State::RollingBack => Some(Bar::Unmet),
            _ => {
                other.bar().or_else(|| self.lacks(base, other, reports)).or((!has_it).then_some(Bar::Waiting))
            }
        }
    }

    /// What keeps hosts of one kind from changing an agent.
    fn shut(&self, kind: &Kind, agent: &AgentName) -> Option<Shut<'_>> {
        if self.gates.are_open() {
            return None;
        }
        self.gates.shut(agent.as_str(), self.rules()?.rules.names(&kind.groups))
    }

    /// Whether hosts of this kind are in a group that decides something.
    pub fn has_group(&self, base: &Base, group: &str) -> bool {
        self.rules().is_some_and(|it| it.rules.names(&base.kind.groups).any(|name| name == group))
    }

    /// The freeze that keeps a host from changing an agent.
    pub fn freeze_of(&self, base: &Base, agent: &AgentName) -> Option<&Freeze> {
        match self.shut(&base.kind, agent)? {
            Shut::Frozen(freeze) => Some(freeze),
            Shut::Window { .. } => None,
        }
    }

    /// Whether an agent is taken back on hosts of this kind.
    pub(super) fn goes_back(&self, base: &Base, agent: &AgentName) -> bool {
        let of_agent = base.of.iter().filter(|of| of.target.name == *agent);
        let mut rollouts = of_agent.filter_map(|of| self.active.get(of.active));
        rollouts.any(|active| active.rollout.progress.state == State::RollingBack)
    }
}
