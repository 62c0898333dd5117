//! A rollout beside the policy that it changes.

use std::collections::HashMap;
use std::sync::Arc;

use ops_wire::{AgentName, DesiredAgent, Version};

use super::{Asked, Going, Plan, Rollout, State, Whose};
use crate::domain::precedence::{Order, Policy, Rules, Scope};

/// One that tells hosts something.
#[derive(Debug, Clone)]
pub struct Active {
    pub rollout: Rollout,
    policies: Policies,
}

/// As they will be.
#[derive(Debug, Clone)]
enum Policies {
    One(Box<Policy>),
    /// By the names of the hosts.
    Each(Arc<HashMap<Box<str>, Policy>>),
}

impl Active {
    /// `None`: it tells nobody anything, or its policy is not there.
    pub fn of(rollout: Rollout, rules: &Rules) -> Option<Self> {
        if matches!(rollout.progress.state, State::Draft | State::Completed | State::RolledBack) {
            return None;
        }
        let Plan { agent, whose, target, .. } = &rollout.plan;
        let policies = match whose {
            Whose::Policy(scope) => {
                let policy = rules.policy(agent, scope)?;
                let order = target.applied_to(&policy.order);
                Policies::One(Box::new(Policy { order, ..policy.clone() }))
            }
            Whose::Hosts(hosts) => {
                let blank = Order::default();
                let policy = |hostname: &str| {
                    let own = rules.own(hostname).find(|it| it.agent == *agent).map(|it| &it.order);
                    let order = target.applied_to(own.unwrap_or(&blank));
                    Policy { agent: agent.clone(), scope: Scope::Host(hostname.into()), order }
                };
                Policies::Each(Arc::new(hosts.iter().map(|it| (it.clone(), policy(it))).collect()))
            }
        };
        Some(Self { rollout, policies })
    }

    pub fn agent(&self) -> &AgentName {
        &self.rollout.plan.agent
    }

    /// What it makes of a policy of this host. `None`: it is for other hosts.
    pub fn policy(&self, hostname: &str) -> Option<&Policy> {
        match &self.policies {
            Policies::One(policy) => Some(policy),
            Policies::Each(policies) => policies.get(hostname),
        }
    }

    /// The hosts that it names; of a policy none.
    pub fn named(&self) -> impl Iterator<Item = &str> {
        let policies = match &self.policies {
            Policies::One(_) => None,
            Policies::Each(policies) => Some(policies.keys()),
        };
        policies.into_iter().flatten().map(|hostname| &**hostname)
    }

    /// Whether it makes this of a policy.
    pub fn becomes(&self, policy: &Policy) -> bool {
        match (&self.policies, &policy.scope) {
            (Policies::One(one), _) => std::ptr::eq(&**one, policy),
            (Policies::Each(all), Scope::Host(hostname)) => {
                all.get(hostname).is_some_and(|it| std::ptr::eq(it, policy))
            }
            (Policies::Each(_), _) => false,
        }
    }

    /// Whether some host is told of this version because of it.
    pub fn orders(&self, agent: &AgentName, version: &Version) -> bool {
        let is_it = |policy: &Policy| policy.order.version.as_ref() == Some(version);
        self.agent() == agent
            && match &self.policies {
                Policies::One(policy) => is_it(policy),
                Policies::Each(policies) => policies.values().any(is_it),
            }
    }

    /// What is asked of hosts of one kind.
    pub fn asked<'a>(&self, target: &'a DesiredAgent, policy: Option<&'a DesiredAgent>) -> Asked<'a> {
        Asked { rollout: self.rollout.id, target, policy }
    }

    /// How it goes on for hosts that this wave admits.
    pub fn going(&self, admitted_by: Option<usize>) -> Going {
        let Rollout { plan, progress, .. } = &self.rollout;
        let begun = progress.waves.len().saturating_sub(1);
        let wave = plan.waves.get(admitted_by.unwrap_or(begun));
        Going {
            taking_back: progress.state == State::RollingBack,
            timeout_secs: wave.map_or(0, |wave| wave.timeout_secs),
        }
    }
}
