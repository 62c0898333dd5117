//! The packages, as far as hosts are told of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use ops_package::{Platform, Requirement};
use ops_wire::{AgentName, HexDigest, Version};

use super::Withheld;
use crate::domain::package::hosts_of;

/// One build of one version.
#[derive(Debug, Clone, PartialEq)]
pub struct Stocked {
    /// Below the address of all packages; empty: none.
    pub folder: String,
    pub sha256: HexDigest,
    /// Bytes.
    pub size: u64,
    pub unpacked_size: u64,
    /// Empty: none.
    pub signature: String,
    pub trial_secs: Option<u32>,
    pub requires: BTreeMap<AgentName, Requirement>,
    /// Why nobody should use it any more.
    pub deprecated: Option<String>,
}

/// All builds of all versions.
#[derive(Clone, Default)]
pub struct Shelf {
    agents: HashMap<AgentName, BTreeMap<Version, Vec<(Platform, Stocked)>>>,
    /// That some build is for.
    words: BTreeSet<String>,
}

impl Shelf {
    pub fn put(&mut self, agent: AgentName, version: Version, platform: Platform, mut stocked: Stocked) {
        stocked.folder = hosts_of(platform.os(), platform.arch());
        self.words.extend([platform.os(), platform.arch()].map(str::to_owned));
        self.agents.entry(agent).or_default().entry(version).or_default().push((platform, stocked));
    }

    /// Of what a host says that it is, what some build is for; else nothing.
    pub fn known_words<'a>(&self, os: &'a str, arch: &'a str) -> (&'a str, &'a str) {
        let known = |word: &'a str| if self.words.contains(word) { word } else { "" };
        (known(os), known(arch))
    }

    pub fn knows_the_same_words(&self, other: &Self) -> bool {
        self.words == other.words
    }

    /// The build for a host of this kind: the more special one, where there are several.
    pub fn find(
        &self,
        agent: &AgentName,
        version: &Version,
        os: &str,
        arch: &str,
    ) -> Result<&Stocked, Withheld> {
        let none = || Withheld::NoPackage(agent.clone(), version.clone());
        let builds = self.agents.get(agent).and_then(|versions| versions.get(version)).ok_or_else(none)?;
        let fits = |platform: &Platform| {
            (platform.os().is_empty() || platform.os() == os)
                && (platform.arch().is_empty() || platform.arch() == arch)
        };
        let fitting = builds.iter().filter(|(platform, _)| fits(platform));
        let found =
            fitting.max_by_key(|(platform, _)| (!platform.os().is_empty(), !platform.arch().is_empty()));
        found.map(|(_, stocked)| stocked).ok_or_else(|| {
            let others = builds.iter().map(|(_, it)| it.folder.clone()).collect();
            let platform = match hosts_of(os, arch).as_str() {
                "" => "other hosts".to_owned(),
                platform => platform.to_owned(),
            };
            Withheld::NoBuild(agent.clone(), version.clone(), platform, others)
        })
    }

    /// Every version of an agent.
    pub fn versions(&self, agent: &AgentName) -> impl Iterator<Item = &Version> {
        self.agents.get(agent).into_iter().flat_map(BTreeMap::keys)
    }

    /// Whether some build requires this agent.
    pub fn require(&self, agent: &AgentName) -> bool {
        let mut builds = self.agents.values().flat_map(BTreeMap::values).flatten();
        builds.any(|(_, stocked)| stocked.requires.contains_key(agent))
    }

    pub fn builds(&self, agent: &AgentName, version: &Version) -> impl Iterator<Item = &Stocked> {
        let versions = self.agents.get(agent).and_then(|versions| versions.get(version));
        versions.into_iter().flatten().map(|(_, stocked)| stocked)
    }
}

/// There may be thousands.
impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shelf of {} agents", self.agents.len())
    }
}
