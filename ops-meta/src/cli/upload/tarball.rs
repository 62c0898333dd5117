//! A tarball on this machine: read once, from front to back, and refused here where the server would refuse it.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ops_package::{
    Algorithm, Digesting, Limits, Manifest, Platform, SUMS_BYTES_MAX, file_name, find_sum, inspect,
    split_file_name,
};
use ops_wire::{AgentName, HexDigest, Version};

use crate::cli::failed::Failed;
use crate::domain::one_line::one_line;
use crate::domain::package::Build;

/// A signature file has some 300 bytes.
const SIGNATURE_BYTES_MAX: usize = 4096;

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
        // To open a pipe might take for ever.
        if !fs::metadata(path).map_err(unread)?.is_file() {
            return Err(Failed::WrongUse(format!("`{shown}` is no file")));
        }
        let file = File::open(path).map_err(unread)?;
        let mut reading = Digesting::new(Digesting::new(&file, Algorithm::Md5), Algorithm::Sha256);
        let inspected = inspect(&mut reading, &Limits::default()).map_err(|why| refused(why.to_string()))?;
        let (inner, outer) = reading.finish();
        let digests = outer.sha256.zip(inner.finish().1.md5);
        let (sha256, md5_is) = digests.ok_or_else(|| refused("it has no digests".to_owned()))?;
        check(path, name, Algorithm::Md5, &md5_is, md5 == Md5::Needed).map_err(refused)?;
        check(path, name, Algorithm::Sha256, &sha256, false).map_err(refused)?;
        let build = build(name, inspected.manifest.as_ref(), called).map_err(refused)?;
        let signature = signature(path).map_err(refused)?;
        let (path, size) = (path.to_owned(), outer.bytes);
        Ok(Self { file, path, shown, build, size, sha256, md5: md5_is, signature })
    }

    /// In base64.
    pub fn signature_in_base64(&self) -> Option<String> {
        self.signature.as_ref().map(|text| BASE64_STANDARD.encode(text))
    }
}

/// What `file` is: as somebody says, else as its manifest does, else as its name does. They must not contradict each other.
fn build(file: &str, manifest: Option<&Manifest>, called: &Called) -> Result<Build, String> {
    let split = split_file_name(file);
    let own = |why: &dyn std::fmt::Display| {
        format!("{why}; call it NAME-VERSION.tar.gz, or give --name and --version")
    };
    let said_name = called.name.as_ref().or_else(|| manifest?.name.as_ref());
    let said_version = called.version.as_ref().or_else(|| manifest?.version.as_ref());
    let (name, version) = match (said_name, said_version, &split) {
        (Some(name), Some(version), _) => (name, version),
        (name, version, Ok(split)) => (name.unwrap_or(&split.0), version.unwrap_or(&split.1)),
        (_, _, Err(why)) => return Err(own(why)),
    };
    if let Some(manifest) = manifest {
        manifest.fits(name, version).map_err(|why| why.to_string())?;
    }
    let wanted = file_name(name, version);
    if called.name.is_none() && called.version.is_none() && split.is_ok() && wanted != file {
        let why = format!(
            "by its manifest it is {name} {version}, and by its name it is not; {wanted} is its name"
        );
        return Err(format!("{why}, or give --name and --version"));
    }
    let platform = match (&called.platform, manifest.map(|it| &it.platform)) {
        (said, Some(own)) if !said.is_any() && !own.is_any() && said != own => {
            return Err("its manifest names another `os` or `arch`; one of them is wrong".to_owned());
        }
        (said, Some(own)) if said.is_any() => own.clone(),
        (said, _) => said.clone(),
    };
    Ok(Build { name: name.clone(), version: version.clone(), platform })
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
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unread(error)),
    };
    let mut bytes = Vec::new();
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(unread)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn manifest(json: &str) -> Option<Manifest> {
        Some(Manifest::read(json.as_bytes()).unwrap())
    }

    fn called(name: &str, version: &str, os: &str) -> Called {
        let platform = Platform::new(os, "").unwrap();
        Called { name: name.parse().ok(), version: version.parse().ok(), platform }
    }

    #[test]
    fn a_tarball_is_what_its_manifest_says_or_what_it_is_called() {
        let of =
            |file, json, said: Called| build(file, manifest(json).as_ref(), &said).map(|it| it.to_string());
        assert_eq!(of("a-b-1.0.tar.gz", "{}", Called::default()).unwrap(), "a-b 1.0");
        assert_eq!(of("out.tar.gz", r#"{"name": "a", "version": "1"}"#, Called::default()).unwrap(), "a 1");
        assert_eq!(
            of("a-3-1.tar.gz", r#"{"name": "a-3", "version": "1"}"#, Called::default()).unwrap(),
            "a-3 1"
        );
        assert_eq!(of("out.tar.gz", r#"{"os": "linux"}"#, called("a", "1", "")).unwrap(), "a 1 for linux");
        assert_eq!(of("b-2.tar.gz", "{}", called("a", "1", "linux")).unwrap(), "a 1 for linux");
    }

    #[test]
    fn names_that_contradict_each_other_are_refused() {
        let of = |file, json, said: Called| build(file, manifest(json).as_ref(), &said).unwrap_err();
        assert!(of("out.tar.gz", "{}", Called::default()).contains("--name and --version"));
        assert!(of("a-1.tar.gz", r#"{"version": "2"}"#, Called::default()).contains("a-2.tar.gz"));
        assert!(of("a-1.tar.gz", r#"{"version": "2"}"#, called("", "1", "")).contains("`version`"));
        assert!(of("a-1.tar.gz", r#"{"os": "linux"}"#, called("", "", "freebsd")).contains("`os`"));
    }
}
