//! A rollout beside the policy that it changes.

use super::{Asked, Rollout, State};
use crate::domain::precedence::{Policy, Rules};
use ops_wire::DesiredAgent;

/// One that tells hosts something.
#[derive(Debug, Clone)]
pub struct Active {
    pub rollout: Rollout,
    /// As it will be.
    pub policy: Policy,
}

impl Active {
    /// `None`: it tells nobody anything, or its policy is not there.
    pub fn of(rollout: Rollout, rules: &Rules) -> Option<Self> {
        let tells = !matches!(rollout.progress.state, State::Draft | State::Completed | State::RolledBack);
        let plan = &rollout.plan;
        let policy = rules.policy(&plan.agent, &plan.scope).filter(|_| tells)?;
        let policy = Policy { order: plan.target.applied_to(&policy.order), ..policy.clone() };
        Some(Self { rollout, policy })
    }

    /// What is asked of hosts that this wave admits.
    pub fn asked<'a>(
        &self,
        target: &'a DesiredAgent,
        policy: Option<&'a DesiredAgent>,
        admitted_by: Option<usize>,
    ) -> Asked<'a> {
        let Rollout { id, plan, progress } = &self.rollout;
        let begun = progress.waves.len().saturating_sub(1);
        let wave = plan.waves.get(admitted_by.unwrap_or(begun));
        Asked {
            rollout: *id,
            target,
            policy,
            taking_back: progress.state == State::RollingBack,
            timeout_secs: wave.map_or(0, |wave| wave.timeout_secs),
        }
    }
}
