//! `ops-meta package check`

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use ops_package::{Digesting, Limits, Manifest, inspect};
use ops_wire::{AgentName, HexDigest, Version};
use serde::Serialize;

use super::contents::Contents;
use super::sums::Sums;
use super::{shown, tell, unknown_keys};
use crate::cli::failed::Failed;
use crate::cli::identity::{Said, called};
use crate::cli::output::{Format, Out, Output, Table};

/// Say whether packages, or folders that are to become some, are sound; no server is asked
///
/// Of a file: whether hosts will take it, what the .md5 and the .sha256 beside it say, and whether it is called what its
/// manifest says. Of a folder: the same of the package that `package pack` would make. A line for each that is sound; each
/// problem is a sentence on standard error, and makes the exit code 1.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta package check dist/*.tar.gz\n  \
                        ops-meta package check -o json my-agent | jq .sha256")]
pub struct Args {
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// What came of one.
#[derive(Serialize)]
struct Checked {
    file: String,
    #[serde(flatten)]
    package: Option<Package>,
    warnings: Vec<String>,
    problems: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Package {
    name: AgentName,
    version: Version,
    size: u64,
    unpacked_size: u64,
    entries: u64,
    md5: HexDigest,
    sha256: HexDigest,
    manifest: Option<Manifest>,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let (mut out, mut table) = (Out::new(), Table::new(&["NAME", "VERSION", "SIZE", "ENTRIES", "SHA256"]));
    let mut all_sound = true;
    for path in &args.paths {
        let checked = check(path);
        all_sound &= checked.problems.is_empty();
        tell(path, &checked.problems);
        tell(path, &checked.warnings);
        match args.output.format {
            Format::Json => out.json(&serde_json::json!(checked))?,
            Format::Table => checked.row().map_or(Ok(()), |row| table.print(&mut out, &[row]))?,
        }
        out.flush()?;
    }
    if all_sound { Ok(()) } else { Err(Failed::Some(1)) }
}

impl Checked {
    /// None of one that is refused.
    fn row(&self) -> Option<Vec<String>> {
        let sound = self.package.as_ref().filter(|_| self.problems.is_empty())?;
        let Package { name, version, size, entries, sha256, .. } = sound;
        Some(vec![
            name.to_string(),
            version.to_string(),
            size.to_string(),
            entries.to_string(),
            sha256.to_string(),
        ])
    }
}

fn check(path: &Path) -> Checked {
    let mut problems = Vec::new();
    let package = match path.metadata() {
        Ok(about) if about.is_dir() => of_folder(path).map_err(|mut why| problems.append(&mut why)).ok(),
        Ok(about) if about.is_file() => of_file(path, &mut problems),
        Ok(_) => {
            problems.push("this is neither a file nor a folder".to_owned());
            None
        }
        Err(error) => {
            problems.push(format!("failed to look at it: {error}"));
            None
        }
    };
    let manifest = package.as_ref().and_then(|package| package.manifest.as_ref());
    let warnings = manifest.map(|manifest| unknown_keys(&manifest.unknown)).unwrap_or_default();
    Checked { file: path.to_string_lossy().into_owned(), package, warnings, problems }
}

/// Packs it into nothing.
fn of_folder(path: &Path) -> Result<Package, Vec<String>> {
    let contents = Contents::look(path)?;
    let one = |why| vec![why];
    let called = called(path);
    let (name, version) = said(contents.manifest.as_ref(), &called).of_folder().map_err(one)?;
    let (_, packed) = contents.pack(io::sink(), 0).map_err(one)?;
    Ok(Package {
        name,
        version,
        size: packed.bytes,
        unpacked_size: contents.unpacked_bytes,
        entries: contents.entries() as u64,
        md5: packed.md5,
        sha256: packed.sha256,
        manifest: contents.manifest,
    })
}

fn said<'a>(manifest: Option<&'a Manifest>, called: &'a str) -> Said<'a> {
    Said { manifest, name: None, version: None, called }
}

/// Reads it once, and to its end even where it is refused: a digest that differs says why.
fn of_file(path: &Path, problems: &mut Vec<String>) -> Option<Package> {
    let mut reading = match File::open(path) {
        Ok(file) => Digesting::both(file),
        Err(error) => {
            problems.push(format!("failed to read it: {error}"));
            return None;
        }
    };
    let inspected = inspect(&mut reading, &Limits::default());
    let inspected = inspected.map_err(|why| problems.push(why.to_string())).ok();
    if let Err(error) = io::copy(&mut reading, &mut io::sink()) {
        problems.push(format!("failed to read it: {error}"));
        return None;
    }
    let (_, digests) = reading.finish();
    let (md5, sha256) = digests.md5.zip(digests.sha256)?;
    for (sums, digest) in [(Sums::md5(path), &md5), (Sums::sha256(path), &sha256)] {
        problems.extend(contradiction(&sums, digest));
    }
    let inspected = inspected?;
    let called = called(path);
    let named = said(inspected.manifest.as_ref(), &called).of_file();
    let (name, version) = named.map_err(|why| problems.push(why)).ok()?;
    Some(Package {
        name,
        version,
        size: digests.bytes,
        unpacked_size: inspected.summary.unpacked_bytes,
        entries: inspected.summary.entries,
        md5,
        sha256,
        manifest: inspected.manifest,
    })
}

/// What a file of digests says against the package; one that is not there says nothing.
fn contradiction(sums: &Sums, digest: &HexDigest) -> Option<String> {
    if !sums.path.exists() {
        return None;
    }
    let beside = shown(&sums.path);
    match sums.read() {
        Ok(said) if said == *digest => None,
        Ok(said) => Some(format!(
            "`{beside}` gives it the digest {said}, and it has {digest}: one of them is damaged"
        )),
        Err(why) => Some(format!("`{beside}`: {why}")),
    }
}
