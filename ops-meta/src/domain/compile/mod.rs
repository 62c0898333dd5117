//! From what should run, and the packages there are, to what a host is told.

mod requires;
mod shelf;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use ops_package::Requirement;
use ops_wire::{AgentName, Cmd, DesiredAgent, Version};

use super::precedence::{Decision, Order, Rules};
pub use requires::{Need, meets};
pub use shelf::{Shelf, Stocked};

/// Everything that decides what hosts are told.
#[derive(Debug, Clone)]
pub struct Compiled {
    pub rules: Arc<Rules>,
    pub shelf: Shelf,
    /// Where hosts fetch what a policy names without a tarball.
    pub packages_url: Option<String>,
}

/// What one agent should be on one host, and what the host is told of it.
#[derive(Debug, Clone)]
pub struct Ordered<'a> {
    pub decision: Decision<'a>,
    /// What is withheld is as good as not ordered: the host leaves the agent as it is.
    pub told: Result<DesiredAgent, Withheld>,
    /// What has to run before it is told.
    pub needs: Option<Need>,
}

/// Why a host is not told what was decided.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Withheld {
    NoVersion,
    /// Nobody brought it.
    NoPackage(AgentName, Version),
    /// There are builds, and none for this os and architecture; those that there are.
    NoBuild(AgentName, Version, String, Vec<String>),
    /// The package needs another agent, which is not ordered so.
    Requires(AgentName, Version, AgentName, Requirement, Option<Version>),
    /// It is ordered, and does not run yet.
    NotRunning(AgentName, Version, AgentName, Requirement),
}

impl Compiled {
    /// What hosts of one kind are told of what was decided for them, by the names of the agents.
    pub fn ordered_of<'a>(&'a self, decisions: Vec<Decision<'a>>, os: &str, arch: &str) -> Vec<Ordered<'a>> {
        let stocked = decisions.into_iter().map(|decision| {
            let found = self.stocked(decision.agent, &decision.order, os, arch);
            (decision, found)
        });
        let checked = requires::checked(stocked.collect());
        let needs = requires::needs(&checked);
        let ordered = checked.into_iter().zip(needs).map(|((decision, found), needs)| {
            let told = found.map(|stocked| self.told(&decision, stocked));
            Ordered { decision, told, needs }
        });
        ordered.collect()
    }

    /// Whether hosts fetch it here: then the package says what it is.
    pub fn is_from_here(&self, order: &Order) -> bool {
        match order.tarball.as_str() {
            "" => self.packages_url.is_some(),
            tarball => self.is_here(tarball),
        }
    }

    /// Whether this is where packages of this server are fetched.
    pub fn is_here(&self, url: &str) -> bool {
        let ours = self.packages_url.as_deref().map(|url| url.trim_end_matches('/'));
        ours == Some(url.trim_end_matches('/'))
    }

    /// What a start needs; `None`: nothing from here.
    fn stocked(
        &self,
        agent: &AgentName,
        order: &Order,
        os: &str,
        arch: &str,
    ) -> Result<Option<&Stocked>, Withheld> {
        if order.cmd != Cmd::Start {
            return Ok(None);
        }
        let version = order.version.as_ref().ok_or(Withheld::NoVersion)?;
        match self.is_from_here(order) {
            true => self.shelf.find(agent, version, os, arch).map(Some),
            false => Ok(None),
        }
    }

    fn told(&self, decision: &Decision<'_>, stocked: Option<&Stocked>) -> DesiredAgent {
        let mut desired = decision.desired();
        let (Some(stocked), Some(url)) = (stocked, &self.packages_url) else { return desired };
        let url = url.trim_end_matches('/');
        desired.tarball = match stocked.folder.as_str() {
            "" => url.to_owned(),
            folder => format!("{url}/{folder}"),
        };
        // What a policy says wins: hosts refuse what does not fit it.
        desired.sha256 = desired.sha256.or_else(|| Some(stocked.sha256.clone()));
        desired.size = desired.size.or(Some(stocked.size));
        desired.unpacked_size = desired.unpacked_size.or(Some(stocked.unpacked_size));
        desired.trial_secs = desired.trial_secs.or(stocked.trial_secs);
        if desired.signature.is_empty() {
            desired.signature.clone_from(&stocked.signature);
        }
        desired
    }
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoVersion => f.write_str("no policy says which version is to be started"),
            Self::NoPackage(agent, version) => write!(
                f,
                "there is no package {agent} {version} here; `ops-meta push` brings it, or name a `tarball` elsewhere"
            ),
            Self::NoBuild(agent, version, platform, others) => write!(
                f,
                "there is no package {agent} {version} for {platform}, only for {}; push one, or order it for other hosts",
                others.join(", ")
            ),
            Self::Requires(agent, version, required, requirement, found) => {
                write!(f, "{agent} {version} requires {required} {requirement}, and ")?;
                match found {
                    Some(found) => write!(f, "{required} {found} is ordered"),
                    None => write!(f, "{required} is not ordered"),
                }?;
                write!(f, "; order {required} {requirement} for these hosts too")
            }
            Self::NotRunning(agent, version, required, requirement) => write!(
                f,
                "{agent} {version} requires {required} {requirement}, which does not run there yet; it is told once that runs"
            ),
        }
    }
}
