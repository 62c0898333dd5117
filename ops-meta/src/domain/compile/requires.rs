//! What packages require of each other, on one host.

use std::cmp::Ordering;

use ops_package::{Comparison, Requirement};
use ops_wire::{Cmd, Version};

use super::{Stocked, Withheld};
use crate::domain::precedence::Decision;
use crate::domain::version_order;

type Found<'a> = (Decision<'a>, Result<Option<&'a Stocked>, Withheld>);

/// Withholds what requires something that is not ordered, and then what requires that.
pub fn checked(mut all: Vec<Found<'_>>) -> Vec<Found<'_>> {
    loop {
        let unmet = all.iter().enumerate().find_map(|(n, one)| Some((n, unmet(one, &all)?)));
        let Some((n, why)) = unmet else { return all };
        if let Some((_, found)) = all.get_mut(n) {
            *found = Err(why);
        }
    }
}

fn unmet((decision, found): &Found<'_>, all: &[Found<'_>]) -> Option<Withheld> {
    let stocked = found.as_ref().ok().copied().flatten()?;
    stocked.requires.iter().find_map(|(agent, requirement)| {
        let ordered = all.iter().find(|(other, told)| other.agent == agent && told.is_ok());
        let ordered = ordered.filter(|(other, _)| other.order.cmd == Cmd::Start);
        let version = ordered.and_then(|(other, _)| other.order.version.as_ref());
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
