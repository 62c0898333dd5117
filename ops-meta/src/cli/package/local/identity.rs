//! Which agent and version a package is of, from all who say it.

use ops_package::{Manifest, split_file_name};
use ops_wire::{AgentName, Version};

/// Who says it. The manifest and the command line must agree; what the folder or the file is called is asked last.
#[derive(Clone, Copy)]
pub struct Said<'a> {
    pub manifest: Option<&'a Manifest>,
    pub name: Option<&'a AgentName>,
    pub version: Option<&'a Version>,
    /// What the folder is called, or the file without `.tar.gz`.
    pub called: &'a str,
}

impl Said<'_> {
    pub fn identity(&self) -> Result<(AgentName, Version), String> {
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
        let called = self.called;
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
    use super::*;

    fn identity(manifest: &str, name: &str, version: &str, called: &str) -> Result<String, String> {
        let manifest = Manifest::read(manifest.as_bytes()).unwrap();
        let (name, version) = (name.parse().ok(), version.parse().ok());
        let said = Said { manifest: Some(&manifest), name: name.as_ref(), version: version.as_ref(), called };
        said.identity().map(|(name, version)| format!("{name} {version}"))
    }

    #[test]
    fn the_manifest_then_the_command_line_then_what_it_is_called() {
        let both = r#"{"name": "a", "version": "1"}"#;
        for (manifest, name, version, called, is) in [
            (both, "", "", "whatever", "a 1"),
            (both, "a", "1", "whatever", "a 1"),
            ("{}", "a", "1", "b-2", "a 1"),
            ("{}", "", "", "b-2", "b 2"),
            (r#"{"name": "a"}"#, "", "1", "b-2", "a 1"),
            (r#"{"name": "a"}"#, "", "", "a-v2", "a v2"),
            (r#"{"version": "v2"}"#, "", "", "a-b-v2", "a-b v2"),
            ("{}", "agent-3", "", "agent-3-1.0", "agent-3 1.0"),
        ] {
            assert_eq!(identity(manifest, name, version, called).as_deref(), Ok(is), "{called}");
        }
    }

    #[test]
    fn who_contradicts_is_refused() {
        let manifest = r#"{"name": "a", "version": "1"}"#;
        let said = identity(manifest, "b", "", "x").unwrap_err();
        assert_eq!(said, "--name says `b`, and manifest.json says `a`: leave out one of them");
        assert!(identity(manifest, "", "2", "x").unwrap_err().starts_with("--version says `2`"));
        assert!(identity(r#"{"name": "a"}"#, "", "", "b-2").unwrap_err().contains("`b-2` is not a-VERSION"));
        assert!(identity(r#"{"version": "1"}"#, "", "", "b-2").unwrap_err().contains("`b-2` is not NAME-1"));
        assert!(identity(r#"{"requires": {"b": "*"}}"#, "", "", "b-2").unwrap_err().contains("itself"));
        assert!(identity("{}", "", "", "agent").unwrap_err().contains("--name and --version"));
    }
}
