//! One agent on one host: a rollout of its own, or why there is none.

use std::sync::Arc;

use ops_wire::Phase;

use super::looking::of_rollout;
use super::{Started, ToStart};
use crate::current::Reports;
use crate::deciding::{Meant, NotEdited};
use crate::domain::compile::Withheld;
use crate::domain::rollout::{OnBreach, PlanText, WaveText};
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
        self.start_rollout(actor, meant, wanted).await
    }

    /// Whether a host would do it at once.
    fn takes(&self, hostname: &str, wanted: &ToStart) -> Result<(), NotEdited> {
        let host = self.fleet.find(hostname).ok_or_else(|| NotEdited::Missing(format!("host {hostname}")))?;
        let checked = match self.checked(Meant::default(), wanted) {
            // As whoever begins it tells.
            Err(NotEdited::Already(_)) => return Ok(()),
            checked => checked?,
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
        if wanted.plan.cmd == "uninstall" && says(agent).is_none() {
            let why = format!("{hostname} has no {agent}, as far as it says");
            return Err(NotEdited::Rejected("excluded", why));
        }
        let alone = self.alone(&checked.written, checked.target.clone());
        let base = alone.base_instead(&host.stable(hostname), &host.answer);
        // Nothing would change, which is told by whoever begins it.
        let Some(of) = of_rollout(&base, 0) else { return Ok(()) };
        if let Some(freeze) = alone.freeze_of(&base, &checked.written.plan.agent) {
            return Err(NotEdited::Rejected("frozen", freeze.to_string()));
        }
        match of.withheld(says) {
            None => Ok(()),
            Some(why @ (Withheld::Requires(..) | Withheld::NotRunning(..))) => {
                Err(NotEdited::Rejected("requires", why.to_string()))
            }
            Some(why) => Err(NotEdited::Rejected("excluded", why.to_string())),
        }
    }
}
