//! What a package is called: a name, a version, the machines it is for, and the file that hosts ask for.

use std::fmt;

use ops_package::{Platform, PlatformError, file_name};
use ops_wire::{AgentName, NameError, Version};

/// One tarball of one version. Versions are immutable: what lies under this never changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Build {
    pub name: AgentName,
    pub version: Version,
    /// Of all machines, unless said.
    pub platform: Platform,
}

/// Why this is no build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoBuild {
    Name(NameError),
    Version(NameError),
    Platform(PlatformError),
}

impl NoBuild {
    /// The parameter that is wrong.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Name(_) => "name",
            Self::Version(_) => "version",
            Self::Platform(why) => why.field(),
        }
    }
}

impl fmt::Display for NoBuild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(why) => write!(f, "the name {why}"),
            Self::Version(why) => write!(f, "the version {why}"),
            Self::Platform(why) => write!(f, "`{}`: {why}", why.field()),
        }
    }
}

impl std::error::Error for NoBuild {}

/// `linux-x86_64`; empty: all hosts. The folder that the tarballs for these hosts are fetched from is called so. Neither
/// word has a `-`.
pub fn hosts_of(os: &str, arch: &str) -> String {
    match arch {
        "" => os.to_owned(),
        arch => format!("{os}-{arch}"),
    }
}

fn folder(platform: &Platform) -> String {
    hosts_of(platform.os(), platform.arch())
}

impl Build {
    pub fn check(name: &str, version: &str, os: &str, arch: &str) -> Result<Self, NoBuild> {
        Ok(Self {
            name: name.parse().map_err(NoBuild::Name)?,
            version: version.parse().map_err(NoBuild::Version)?,
            platform: Platform::new(os, arch).map_err(NoBuild::Platform)?,
        })
    }

    /// The name of the tarball. Two builds can have the same: `a-b` 1 and `a` b-1.
    pub fn file(&self) -> String {
        file_name(&self.name, &self.version)
    }

    /// What is fetched, below `/packages/`.
    pub fn path(&self) -> String {
        match self.platform.is_any() {
            true => self.file(),
            false => format!("{}/{}", folder(&self.platform), self.file()),
        }
    }
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)?;
        match self.platform.is_any() {
            true => Ok(()),
            false => write!(f, " for {}", folder(&self.platform)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_build_says_what_is_fetched() {
        for (os, arch, path, shown) in [
            ("", "", "a-b-1.0-2.tar.gz", "a-b 1.0-2"),
            ("linux", "", "linux/a-b-1.0-2.tar.gz", "a-b 1.0-2 for linux"),
            ("linux", "x86_64", "linux-x86_64/a-b-1.0-2.tar.gz", "a-b 1.0-2 for linux-x86_64"),
        ] {
            let build = Build::check("a-b", "1.0-2", os, arch).unwrap();
            assert_eq!((build.path().as_str(), build.to_string().as_str()), (path, shown));
        }
    }

    #[test]
    fn what_is_no_build_says_which_part_is_wrong() {
        let long = "x".repeat(33);
        for (build, field) in [
            (["../a", "1", "", ""], "name"),
            (["a", "", "", ""], "version"),
            (["a", "1", "Linux", ""], "os"),
            (["a", "1", "lin-ux", ""], "os"),
            (["a", "1", &long, ""], "os"),
            (["a", "1", "linux", "a/b"], "arch"),
            (["a", "1", "", "x86_64"], "arch"),
        ] {
            let [name, version, os, arch] = build;
            let why = Build::check(name, version, os, arch).unwrap_err();
            assert_eq!(why.field(), field, "{build:?}: {why}");
        }
    }
}
