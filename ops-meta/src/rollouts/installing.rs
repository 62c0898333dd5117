//! One agent on one host: a rollout of its own, or why there is none.

use std::sync::Arc;

use ops_wire::Phase;

use super::looking::of_rollout;
use super::starting::Checked;
use super::{Started, ToStart};
use crate::current::Reports;
use crate::deciding::{Meant, NotEdited};
use crate::domain::compile::Withheld;
use crate::domain::rollout::{OnBreach, PlanText, WaveText};
use crate::fleet::Host;
use crate::meant_hosts::MeantHosts;
use crate::running::App;
use crate::store::Actor;

/// What somebody wants of a host.
#[derive(Debug, Clone)]
pub struct Install {
    pub hostname: String,
    pub agent: String,
    /// Empty where it is to go.
    pub version: String,
    /// `start` or `uninstall`
    pub cmd: &'static str,
    /// Also where it has to wait.
    pub force: bool,
    pub note: String,
}

impl App {
    /// Not to be broken off.
    pub async fn install(self: Arc<Self>, actor: Actor, wanted: Install) -> Result<Started, NotEdited> {
        let Install { hostname, agent, version, cmd, force, note } = wanted;
        let wave =
            WaveText { percent: "100%".parse().ok(), max_failed: "0".parse().ok(), ..WaveText::default() };
        let plan = PlanText {
            agent,
            version,
            cmd: cmd.to_owned(),
            hosts: vec![hostname.clone()],
            waves: vec![wave],
            // Whoever wants one thing on one host wants nothing half done.
            on_breach: OnBreach::Rollback,
            ..PlanText::default()
        };
        let meant = MeantHosts { hosts: plan.hosts.clone(), allow_unknown: force, ..MeantHosts::default() };
        let wanted = ToStart { plan, note, draft: false, allow_empty: force, meant };
        let meant = Meant { dry_run: false, confirmed: force };
        if !force {
            let (this, asked) = (self.clone(), wanted.clone());
            let looking = tokio::task::spawn_blocking(move || this.takes(&hostname, &asked));
            looking.await.map_err(|_| NotEdited::BrokenOff)??;
        }
        match self.start_rollout(actor, meant, wanted).await {
            // Of others on this host.
            Err(NotEdited::Unconfirmed(_, why)) => Err(NotEdited::Rejected("requires", why)),
            started => started,
        }
    }

    /// Whether a host would do it at once, or has been told to already.
    fn takes(&self, hostname: &str, wanted: &ToStart) -> Result<(), NotEdited> {
        let host = self.fleet.find(hostname).ok_or_else(|| NotEdited::Missing(format!("host {hostname}")))?;
        let checked = match self.checked(Meant::default(), wanted) {
            Err(NotEdited::Already(..)) => None,
            checked => Some(checked?),
        };
        let agent = &wanted.plan.agent;
        let says: Reports<'_> = &|agent| host.says(agent);
        if says(agent).is_some_and(|it| it.real.phase == Some(Phase::Held)) {
            let why = format!(
                "{agent} is held on {hostname}: `ops-updater release {agent}` there ends it, and `ops-meta host show \
                 {hostname}` says why"
            );
            return Err(NotEdited::Rejected("held", why));
        }
        if checked.is_some() && wanted.plan.cmd == "uninstall" && says(agent).is_none() {
            let why = format!("{hostname} has no {agent}, as far as it says");
            return Err(NotEdited::Rejected("excluded", why));
        }
        let withheld = match checked.as_ref() {
            Some(checked) => self.would_be_withheld(hostname, &host, checked)?,
            None => self.is_withheld(hostname, &host, agent),
        };
        match withheld {
            None => Ok(()),
            Some(why @ (Withheld::Requires(..) | Withheld::NotRunning(..))) => {
                Err(NotEdited::Rejected("requires", why.to_string()))
            }
            Some(why) => Err(NotEdited::Rejected("excluded", why.to_string())),
        }
    }

    fn would_be_withheld(
        &self,
        hostname: &str,
        host: &Host,
        Checked { written, target, .. }: &Checked,
    ) -> Result<Option<Withheld>, NotEdited> {
        let (agent, alone) = (&written.plan.agent, self.alone(written, target.clone()));
        let base = alone.base_instead(&host.stable(hostname), &host.answer);
        // Nothing would change, which is told by whoever begins it.
        let Some(of) = of_rollout(&base, 0) else {
            return Ok(self.is_withheld(hostname, host, agent.as_str()));
        };
        match alone.freeze_of(&base, agent) {
            Some(freeze) => Err(NotEdited::Rejected("frozen", freeze.to_string())),
            None => Ok(of.withheld(&|agent| host.says(agent))),
        }
    }

    /// Whether policies decide of an agent on a host, and it is told so.
    pub(super) fn is_told(&self, hostname: &str, agent: &str) -> bool {
        let is_told = |host: &Host| self.is_withheld(hostname, host, agent).is_none();
        self.current().rules().is_some() && self.fleet.look(hostname, is_told).unwrap_or_default()
    }

    /// As it is told now.
    fn is_withheld(&self, hostname: &str, host: &Host, agent: &str) -> Option<Withheld> {
        let says: Reports<'_> = &|agent| host.says(agent);
        let told = self.current().told_now(&host.stable(hostname), Some(&host.answer), says);
        told.withheld.iter().find(|(of, _)| of.as_str() == agent).map(|(_, why)| why.clone())
    }
}
