//! Packages, as far as what should run is about them.

use std::collections::{BTreeMap, BTreeSet};

use ops_package::Requirement;
use ops_wire::{AgentName, Version};

use crate::domain::compile::{Compiled, Shelf, Stocked};
use crate::domain::desired::{Difference, Document, Fault, Object, PolicyText};
use crate::domain::nearest::nearest;
use crate::packages::Packages;
use crate::store::{Package, PackageState};

/// Versions that are named.
const NAMED_MAX: usize = 10;

/// All packages of some agents that hosts can fetch.
pub fn shelf(packages: &Packages, is_wanted: impl Fn(&AgentName) -> bool) -> Shelf {
    let mut shelf = Shelf::default();
    let all = packages.all();
    for package in all.iter().filter(|it| it.state == PackageState::Ready && is_wanted(&it.build.name)) {
        let build = package.build.clone();
        shelf.put(build.name, build.version, build.platform, stocked(package));
    }
    shelf
}

fn stocked(package: &Package) -> Stocked {
    let content = &package.content;
    Stocked {
        folder: String::new(),
        sha256: content.sha256.clone(),
        size: content.size,
        unpacked_size: content.unpacked_size,
        signature: package.signature.clone().unwrap_or_default(),
        trial_secs: content.said("trialSecs").as_u64().and_then(|secs| secs.try_into().ok()),
        requires: requires(package),
        deprecated: package.deprecated.clone(),
    }
}

/// It was checked when it came.
fn requires(package: &Package) -> BTreeMap<AgentName, Requirement> {
    let said = package.content.said("requires").as_object();
    let one = |(agent, text): (&String, &serde_json::Value)| {
        Some((agent.parse().ok()?, text.as_str()?.parse().ok()?))
    };
    said.into_iter().flatten().filter_map(one).collect()
}

/// Whether what policies name is there. Of those that are not changed nobody asks here. `places`: of each policy, in what
/// was written.
pub fn check(
    written: &Document,
    places: &[usize],
    differences: &[Difference],
    compiled: &Compiled,
    packages: &Packages,
) -> Result<(), Vec<Fault>> {
    let changed: BTreeSet<&Object> =
        differences.iter().filter(|it| it.after.is_some()).map(|it| &it.object).collect();
    // What some policy fetches elsewhere is nobody's business here.
    let elsewhere = |it: &&PolicyText| !it.tarball.is_empty() && !compiled.is_here(&it.tarball);
    let elsewhere: BTreeSet<&str> =
        written.policies.iter().filter(elsewhere).map(|it| it.agent.as_str()).collect();
    let policies = places.iter().zip(&written.policies);
    let from_here = policies.filter(|(_, policy)| {
        compiled.packages_url.is_some()
            && !elsewhere.contains(policy.agent.as_str())
            && changed.contains(&Object::of(policy))
    });
    let wrong = from_here.filter_map(|(n, policy)| {
        let missing = missing(policy, compiled, packages).map(|why| ("version", why));
        missing
            .or_else(|| Some(("sha256", other_digest(policy, compiled)?)))
            .map(|(field, why)| (n, field, why))
    });
    let faults: Vec<_> =
        wrong.map(|(n, field, why)| Fault { path: format!("policies[{n}].{field}"), why }).collect();
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// What is said of a digest that no build of this version has.
fn other_digest(policy: &PolicyText, compiled: &Compiled) -> Option<String> {
    let (agent, version): (AgentName, Version) = (policy.agent.parse().ok()?, policy.version.parse().ok()?);
    let mut builds = compiled.shelf.builds(&agent, &version).map(|it| it.sha256.as_str());
    let is_one = policy.sha256.is_empty() || builds.any(|sha256| sha256.eq_ignore_ascii_case(&policy.sha256));
    (!is_one).then(|| {
        format!(
            "package {agent} {version} here has other bytes; leave it out, hosts are told that of the package"
        )
    })
}

/// What is said of a version that hosts are to fetch here, and cannot.
fn missing(policy: &PolicyText, compiled: &Compiled, packages: &Packages) -> Option<String> {
    let (agent, version): (AgentName, Version) = (policy.agent.parse().ok()?, policy.version.parse().ok()?);
    let versions: Vec<&str> = compiled.shelf.versions(&agent).map(Version::as_str).collect();
    if versions.contains(&version.as_str()) {
        return None;
    }
    let there = match versions.as_slice() {
        [] => {
            let all = packages.all();
            let near = nearest(agent.as_str(), all.iter().map(|it| it.build.name.as_str()));
            near.map_or_else(
                || "there is no other version of it".to_owned(),
                |name| format!("{name}, perhaps?"),
            )
        }
        several => {
            let newest: Vec<&str> = several.iter().rev().take(NAMED_MAX).copied().collect();
            format!("there is {}", newest.join(", "))
        }
    };
    Some(format!(
        "there is no package {agent} {version} here; {there}; `ops-meta push` brings it, `tarball` names another place"
    ))
}

/// What is odd about changes, and no reason to refuse them.
pub fn warnings(differences: &[Difference], compiled: &Compiled) -> Vec<String> {
    let policies = differences.iter().filter(|it| it.object.kind() == "policy");
    let policies = policies.filter_map(|it| serde_json::from_value::<PolicyText>(it.after.clone()?).ok());
    policies.flat_map(|policy| odd(&policy, compiled)).collect()
}

fn odd(policy: &PolicyText, compiled: &Compiled) -> Vec<String> {
    let mut odd = Vec::new();
    let object = Object::of(policy);
    if let (Ok(agent), Ok(version)) = (policy.agent.parse(), policy.version.parse()) {
        let deprecated = compiled.shelf.builds(&agent, &version).find_map(|it| it.deprecated.clone());
        odd.extend(deprecated.map(|why| format!("{object}: {agent} {version} is deprecated: {why}")));
    }
    let nowhere = policy.tarball.is_empty() && compiled.packages_url.is_none() && policy.mirrors.is_empty();
    if policy.cmd == "start" && nowhere {
        odd.push(format!(
            "{object}: it says nothing of where hosts fetch it, which is right where a weaker policy does; \
             `packagesUrl` in the settings says it for all"
        ));
    }
    odd
}
