//! A tarball on this machine: read once, from front to back, and refused here where the server would refuse it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ops_package::{
    Algorithm, Digesting, Limits, Manifest, Platform, SIGNATURE_BYTES_MAX, SUMS_BYTES_MAX, find_sum, inspect,
};
use ops_wire::{AgentName, HexDigest, Version};

use crate::cli::failed::Failed;
use crate::cli::identity::Said;
use crate::cli::regular;
use crate::domain::one_line::one_line;
use crate::domain::package::Build;

/// One that the server can have.
pub struct Tarball {
    pub file: File,
    pub path: PathBuf,
    /// For sentences.
    pub shown: String,
    pub build: Build,
    pub size: u64,
    pub sha256: HexDigest,
    pub md5: HexDigest,
    pub signature: Option<String>,
}

/// What it is called, where somebody says so.
#[derive(Debug, Default)]
pub struct Called {
    pub name: Option<AgentName>,
    pub version: Option<Version>,
    pub platform: Platform,
}

/// Whether there has to be a `.md5` beside the tarball. One that is there has to be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Md5 {
    Needed,
    Welcome,
}

impl Tarball {
    pub fn read(path: &Path, called: &Called, md5: Md5) -> Result<Self, Failed> {
        let shown = one_line(&path.display().to_string());
        let unread = |error: io::Error| Failed::WrongUse(format!("failed to read `{shown}`: {error}"));
        let refused = |why: String| Failed::Refused(format!("`{shown}` is refused: {why}"));
        let name = path.file_name().and_then(|it| it.to_str());
        let name = name.ok_or_else(|| refused("its name is no text".to_owned()))?;
        let file = regular::open(path).map_err(unread)?;
        let mut reading = Digesting::both(&file);
        let inspected = inspect(&mut reading, &Limits::default()).map_err(|why| refused(why.to_string()))?;
        let (_, digests) = reading.finish();
        let both = digests.sha256.zip(digests.md5);
        let (sha256, md5_is) = both.ok_or_else(|| refused("it has no digests".to_owned()))?;
        check(path, name, Algorithm::Md5, &md5_is, md5 == Md5::Needed).map_err(refused)?;
        check(path, name, Algorithm::Sha256, &sha256, false).map_err(refused)?;
        let manifest = inspected.manifest.as_ref();
        let Called { name: typed, version, platform: said } = called;
        let said_so = Said { manifest, name: typed.as_ref(), version: version.as_ref(), called: name };
        let (agent, version) = said_so.of_upload().map_err(refused)?;
        let build = Build { name: agent, version, platform: platform(said, manifest).map_err(refused)? };
        let signature = signature(path).map_err(refused)?;
        let (path, size) = (path.to_owned(), digests.bytes);
        Ok(Self { file, path, shown, build, size, sha256, md5: md5_is, signature })
    }

    /// In base64.
    pub fn signature_in_base64(&self) -> Option<String> {
        self.signature.as_ref().map(|text| BASE64_STANDARD.encode(text))
    }
}

/// As somebody says, else as its manifest does. They must not contradict each other.
fn platform(said: &Platform, manifest: Option<&Manifest>) -> Result<Platform, String> {
    let Some(manifest) = manifest else { return Ok(said.clone()) };
    let wrong = || "its manifest names another `os` or `arch`; one of them is wrong".to_owned();
    manifest.agreed_platform(said).cloned().ok_or_else(wrong)
}

/// Against the digest in the file beside it.
fn check(path: &Path, file: &str, algorithm: Algorithm, is: &HexDigest, needed: bool) -> Result<(), String> {
    let ending = match algorithm {
        Algorithm::Md5 => ".md5",
        Algorithm::Sha256 => ".sha256",
    };
    let Some(text) = beside(path, ending, SUMS_BYTES_MAX)? else {
        let missing = format!("there is no `{}{ending}` beside it", one_line(file));
        return if needed { Err(missing) } else { Ok(()) };
    };
    let told = |why: &dyn std::fmt::Display| format!("of `{}{ending}`: {why}", one_line(file));
    match find_sum(&text, algorithm, file).map_err(|why| told(&why))? {
        wanted if wanted == *is => Ok(()),
        wanted => Err(told(&format!("it says {wanted}, and the file has {is}; one of the two is damaged"))),
    }
}

fn signature(path: &Path) -> Result<Option<String>, String> {
    let Some(bytes) = beside(path, ".minisig", SIGNATURE_BYTES_MAX)? else { return Ok(None) };
    match String::from_utf8(bytes) {
        Ok(text) if (1..=SIGNATURE_BYTES_MAX).contains(&text.len()) => Ok(Some(text)),
        _ => Err("what lies beside it as `.minisig` is no signature".to_owned()),
    }
}

/// What has the same name with this ending; a byte more than `bytes_max`, where it is longer.
fn beside(path: &Path, ending: &str, bytes_max: usize) -> Result<Option<Vec<u8>>, String> {
    let mut name = path.to_owned().into_os_string();
    name.push(ending);
    let path = PathBuf::from(name);
    let unread =
        |error: io::Error| format!("failed to read `{}`: {error}", one_line(&path.display().to_string()));
    match regular::read(&path, bytes_max) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unread(error)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_tarball_is_for_the_hosts_that_somebody_or_its_manifest_says() {
        for (said, manifest, is) in [
            ("", "{}", Some("")),
            ("linux", "{}", Some("linux")),
            ("", r#"{"os": "linux"}"#, Some("linux")),
            ("linux", r#"{"os": "linux"}"#, Some("linux")),
            ("freebsd", r#"{"os": "linux"}"#, None),
            ("linux", r#"{"os": "linux", "arch": "x86_64"}"#, None),
        ] {
            let manifest = Manifest::read(manifest.as_bytes()).unwrap();
            let platform = platform(&Platform::new(said, "").unwrap(), Some(&manifest));
            assert_eq!(platform.as_ref().ok().map(Platform::os), is, "{said} {manifest:?}");
        }
    }
}
