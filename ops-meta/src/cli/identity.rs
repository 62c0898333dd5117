//! Which agent and version a package is of, from all who say it.

use std::ffi::OsStr;
use std::path::Path;

use ops_package::{Manifest, file_name, split_file_name};
use ops_wire::{AgentName, Version};

/// Who says it. The manifest and the command line must agree; what the folder or the file is called is asked last.
#[derive(Clone, Copy)]
pub struct Said<'a> {
    pub manifest: Option<&'a Manifest>,
    pub name: Option<&'a AgentName>,
    pub version: Option<&'a Version>,
    /// What the folder or the file is called, see [`called`].
    pub called: &'a str,
}

/// The last name in a path; `.` is called what the folder is.
pub fn called(path: &Path) -> String {
    let real = || path.canonicalize().ok()?.file_name().map(OsStr::to_owned);
    let name = path.file_name().map(OsStr::to_owned).or_else(real).unwrap_or_default();
    name.to_string_lossy().into_owned()
}

impl Said<'_> {
    /// Of a folder, whose name says something only where nobody else does.
    pub fn of_folder(&self) -> Result<(AgentName, Version), String> {
        self.identity()
    }

    /// Of a file that hosts are to find by its name.
    pub fn of_file(&self) -> Result<(AgentName, Version), String> {
        let (name, version) = self.identity()?;
        let wanted = file_name(&name, &version);
        match self.called == wanted {
            true => Ok((name, version)),
            false => Err(format!("it is the package of {name} {version}: it has to be called `{wanted}`")),
        }
    }

    /// Of a file whose bytes a server is to have: hosts find it there by what it is. Where nobody typed anything a name
    /// that says another agent or version is a mistake; one that says none is not.
    pub fn of_upload(&self) -> Result<(AgentName, Version), String> {
        let is_typed = self.name.is_some() || self.version.is_some();
        match is_typed || split_file_name(self.called).is_err() {
            true => self.identity(),
            false => self.of_file().map_err(|why| format!("{why}, or give --name and --version")),
        }
    }

    fn identity(&self) -> Result<(AgentName, Version), String> {
        let own = |manifest: &Manifest| (manifest.name.clone(), manifest.version.clone());
        let (name, version) = self.manifest.map(own).unwrap_or_default();
        let name = agreed("name", name, self.name)?;
        let version = agreed("version", version, self.version)?;
        let (name, version) = match (name, version) {
            (Some(name), Some(version)) => (name, version),
            (name, version) => self.by_what_it_is_called(name, version)?,
        };
        if let Some(manifest) = self.manifest {
            manifest.fits(&name, &version).map_err(|why| why.to_string())?;
        }
        Ok((name, version))
    }

    /// Where one of the two is known the other is what is left: both may have any number of `-`.
    fn by_what_it_is_called(
        &self,
        name: Option<AgentName>,
        version: Option<Version>,
    ) -> Result<(AgentName, Version), String> {
        let called = self.called.strip_suffix(".tar.gz").unwrap_or(self.called);
        let unknown = |what: &str, why: &str| {
            format!(
                "nothing says which {what} it is: `{what}` in manifest.json, or --{what}; `{called}` {why}"
            )
        };
        match (name, version) {
            (Some(name), None) => {
                let rest = called.strip_prefix(name.as_str()).and_then(|rest| rest.strip_prefix('-'));
                let version = rest.and_then(|rest| rest.parse().ok());
                let why = format!("is not {name}-VERSION");
                version.map(|version| (name, version)).ok_or_else(|| unknown("version", &why))
            }
            (None, Some(version)) => {
                let rest = called.strip_suffix(version.as_str()).and_then(|rest| rest.strip_suffix('-'));
                let name = rest.and_then(|rest| rest.parse().ok());
                let why = format!("is not NAME-{version}");
                name.map(|name| (name, version)).ok_or_else(|| unknown("name", &why))
            }
            _ => split_file_name(called).map_err(|why| {
                format!(
                    "nothing says which agent and version it is: `name` and `version` in manifest.json, or --name and \
                     --version; by what `{called}` is called it cannot be told: {why}"
                )
            }),
        }
    }
}

fn agreed<T>(what: &str, manifest: Option<T>, typed: Option<&T>) -> Result<Option<T>, String>
where
    T: PartialEq + Clone + std::fmt::Display,
{
    match (manifest, typed) {
        (Some(own), Some(typed)) if own != *typed => {
            Err(format!("--{what} says `{typed}`, and manifest.json says `{own}`: leave out one of them"))
        }
        (own, typed) => Ok(own.or_else(|| typed.cloned())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// What it is for pack, as a folder; for check and for push, as a file. `-`: refused.
    fn is(manifest: &str, name: &str, version: &str, called: &str) -> [Result<String, String>; 3] {
        let manifest = Manifest::read(manifest.as_bytes()).unwrap();
        let (name, version) = (name.parse().ok(), version.parse().ok());
        let file = format!("{called}.tar.gz");
        let folder =
            Said { manifest: Some(&manifest), name: name.as_ref(), version: version.as_ref(), called };
        let file = Said { called: &file, ..folder };
        [folder.of_folder(), file.of_file(), file.of_upload()]
            .map(|it| it.map(|(name, version)| format!("{name} {version}")))
    }

    #[test]
    fn the_manifest_then_the_command_line_then_what_it_is_called() {
        let both = r#"{"name": "a", "version": "1"}"#;
        for (manifest, name, version, called, [pack, check, push]) in [
            // What it is called says nothing, and need not.
            (both, "", "", "whatever", ["a 1", "-", "a 1"]),
            (both, "a", "1", "whatever", ["a 1", "-", "a 1"]),
            (both, "", "", "a-1", ["a 1"; 3]),
            // It says another.
            (both, "", "", "a-2", ["a 1", "-", "-"]),
            (both, "", "1", "a-2", ["a 1", "-", "a 1"]),
            ("{}", "a", "1", "b-2", ["a 1", "-", "a 1"]),
            (r#"{"name": "a"}"#, "", "1", "b-2", ["a 1", "-", "a 1"]),
            // It says all, or what nobody else does.
            ("{}", "", "", "b-2", ["b 2"; 3]),
            ("{}", "", "", "a-b-1.0", ["a-b 1.0"; 3]),
            (r#"{"name": "a"}"#, "", "", "a-v2", ["a v2"; 3]),
            (r#"{"version": "v2"}"#, "", "", "a-b-v2", ["a-b v2"; 3]),
            // Of which one half is not where it looks to be.
            ("{}", "", "", "agent-3-1.0", ["agent 3-1.0"; 3]),
            ("{}", "agent-3", "", "agent-3-1.0", ["agent-3 1.0"; 3]),
            ("{}", "", "1.0", "agent-3-1.0", ["agent-3 1.0"; 3]),
            (r#"{"name": "agent-3"}"#, "", "", "agent-3-1.0", ["agent-3 1.0"; 3]),
            (r#"{"version": "1.0"}"#, "", "", "agent-3-1.0", ["agent-3 1.0"; 3]),
            (r#"{"name": "a-3", "version": "1"}"#, "", "", "a-3-1", ["a-3 1"; 3]),
            // Who contradicts, or says too little.
            (both, "b", "", "x", ["-"; 3]),
            (both, "", "2", "a-2", ["-"; 3]),
            (r#"{"name": "a"}"#, "", "", "b-2", ["-"; 3]),
            (r#"{"version": "1"}"#, "", "", "b-2", ["-"; 3]),
            ("{}", "a", "", "b-2", ["-"; 3]),
            ("{}", "", "1", "b-2", ["-"; 3]),
            ("{}", "", "", "agent", ["-"; 3]),
            ("{}", "agent", "", "agent", ["-"; 3]),
        ] {
            let is = is(manifest, name, version, called);
            let is = is.each_ref().map(|it| it.as_deref().unwrap_or("-"));
            assert_eq!(is, [pack, check, push], "{manifest} {name} {version} {called}");
        }
    }

    #[test]
    fn who_contradicts_is_told() {
        let manifest = r#"{"name": "a", "version": "1"}"#;
        for (manifest, name, version, called, why) in [
            (manifest, "b", "", "x", "--name says `b`, and manifest.json says `a`: leave out one of them"),
            (manifest, "", "2", "x", "--version says `2`"),
            (r#"{"name": "a"}"#, "", "", "b-2", "`b-2` is not a-VERSION"),
            (r#"{"version": "1"}"#, "", "", "b-2", "`b-2` is not NAME-1"),
            (r#"{"requires": {"b": "*"}}"#, "", "", "b-2", "itself"),
            ("{}", "", "", "agent", "--name and --version"),
        ] {
            for said in is(manifest, name, version, called) {
                let said = said.unwrap_err();
                assert!(said.contains(why), "{said}");
            }
        }
        let [_, check, push] = is(manifest, "", "", "a-2").map(Result::err);
        let (check, push) = (check.unwrap(), push.unwrap());
        assert_eq!(check, "it is the package of a 1: it has to be called `a-1.tar.gz`");
        assert_eq!(push, format!("{check}, or give --name and --version"));
        let tgz = Said { manifest: None, name: None, version: None, called: "agent-1.0.tgz" };
        assert!(tgz.of_upload().unwrap_err().contains("`agent-1.0.tgz.tar.gz`"));
    }
}
