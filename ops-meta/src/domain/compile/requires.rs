//! What packages require of each other, on one host.

use std::cmp::Ordering;
use std::collections::HashMap;

use ops_package::{Comparison, Requirement};
use ops_wire::{AgentName, Cmd, Version};

use super::{Stocked, Withheld};
use crate::domain::precedence::Decision;
use crate::domain::version_order;

type Found<'a> = (Decision<'a>, Result<Option<&'a Stocked>, Withheld>);

/// Withholds what requires something that is not ordered, and then what requires that.
pub fn checked(mut all: Vec<Found<'_>>) -> Vec<Found<'_>> {
    loop {
        let unmet: Vec<_> = {
            let started = all.iter().filter(|(it, found)| found.is_ok() && it.order.cmd == Cmd::Start);
            let versions: HashMap<&AgentName, &Version> =
                started.filter_map(|(it, _)| Some((it.agent, it.order.version.as_ref()?))).collect();
            all.iter().enumerate().filter_map(|(n, one)| Some((n, unmet(one, &versions)?))).collect()
        };
        if unmet.is_empty() {
            return all;
        }
        for (n, why) in unmet {
            if let Some((_, found)) = all.get_mut(n) {
                *found = Err(why);
            }
        }
    }
}

fn unmet((decision, found): &Found<'_>, started: &HashMap<&AgentName, &Version>) -> Option<Withheld> {
    let stocked = found.as_ref().ok().copied().flatten()?;
    stocked.requires.iter().find_map(|(agent, requirement)| {
        let version = started.get(agent).copied();
        if version.is_some_and(|version| meets(version, requirement)) {
            return None;
        }
        Some(Withheld::Requires(
            decision.agent.clone(),
            decision.order.version.clone()?,
            agent.clone(),
            requirement.clone(),
            version.cloned(),
        ))
    })
}

/// Whether a version will do.
pub fn meets(version: &Version, requirement: &Requirement) -> bool {
    let Requirement::Compared(comparison, wanted) = requirement else { return true };
    let order = version_order::compare(version.as_str(), wanted.as_str());
    match comparison {
        Comparison::Is => order == Ordering::Equal,
        Comparison::Newer => order == Ordering::Greater,
        Comparison::NotOlder => order != Ordering::Less,
        Comparison::Older => order == Ordering::Less,
        Comparison::NotNewer => order != Ordering::Greater,
    }
}
