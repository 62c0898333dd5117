//! `ops-meta package pack`

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek as _};
use std::path::{Path, PathBuf};

use ops_package::{Algorithm, Digesting, Limits, Manifest, Packed, file_name, inspect};
use ops_wire::{AgentName, HexDigest, Version};

use super::aside::Aside;
use super::contents::Contents;
use super::sums::Sums;
use super::{shown, tell, unknown_keys};
use crate::cli::failed::Failed;
use crate::cli::identity::{Said, called};
use crate::cli::output::Out;
use crate::cli::regular;
use crate::cli::sizes::count;

/// What an entry's time may be without a form that older tars do not read.
const MTIME_MAX: u64 = 0o77_777_777_777;

/// Make a package of a folder; no server is asked
///
/// Writes NAME-VERSION.tar.gz, and its .md5 and .sha256 as md5sum and sha256sum do. Which agent and version it is stands in
/// manifest.json, is said here, or is what DIR is called. The same content gives the same bytes, whoever packs it and when;
/// every time in it is SOURCE_DATE_EPOCH, or 0.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta package pack my-agent\n  \
                        ops-meta package pack build --name my-agent --version 1.4.0 --out dist")]
pub struct Args {
    /// With an executable `control`
    dir: PathBuf,
    /// The agent's
    #[arg(long)]
    name: Option<AgentName>,
    /// The agent's
    #[arg(long)]
    version: Option<Version>,
    /// Where the package is put; made where there is none
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Replace a package of this name that has other bytes
    #[arg(long)]
    force: bool,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let mtime = mtime()?;
    let contents = Contents::look(&args.dir).map_err(|problems| {
        tell(&args.dir, &problems);
        Failed::Some(1)
    })?;
    let (manifest, called) = (contents.manifest.as_ref(), called(&args.dir));
    let said = Said { manifest, name: args.name.as_ref(), version: args.version.as_ref(), called: &called };
    let (name, version) = said
        .of_folder()
        .map_err(|why| Failed::WrongUse(format!("failed to pack `{}`: {why}", shown(&args.dir))))?;
    can_be_read_back(manifest, &name, &version)
        .map_err(|why| Failed::WrongUse(format!("failed to pack `{}`: {why}", shown(&args.dir))))?;
    let target = args.folder()?.join(file_name(&name, &version));
    let packed = args.write(&contents, mtime, &target)?;
    let unknown = manifest.map_or(&[][..], |manifest| &manifest.unknown);
    tell(&args.dir, &unknown_keys(unknown));
    let (bytes, sha256) = (packed.bytes, packed.sha256);
    let entries = count(contents.entries() as u64, "entry", "entries");
    let mut out = Out::new();
    out.line(&format!("{}: {bytes} bytes, {entries}, sha256 {sha256}", shown(&target)))?;
    out.flush()
}

/// Names and versions may both have a `-` with a digit behind it: then the file's name says something else.
fn can_be_read_back(manifest: Option<&Manifest>, name: &AgentName, version: &Version) -> Result<(), String> {
    let called = file_name(name, version);
    let read = Said { manifest, name: None, version: None, called: &called }.of_upload();
    match read {
        Ok((read_name, read_version)) if (&read_name, &read_version) == (name, version) => Ok(()),
        Ok((name, version)) => Err(format!(
            "whoever has `{called}` alone takes it for {name} {version}; say in `manifest.json` what it is: \
             {{\"name\": ..., \"version\": ...}}"
        )),
        Err(why) => Err(why),
    }
}

/// See <https://reproducible-builds.org/specs/source-date-epoch/>.
fn mtime() -> Result<u64, Failed> {
    let Some(text) = std::env::var_os("SOURCE_DATE_EPOCH") else { return Ok(0) };
    let secs = text.to_str().and_then(|text| text.parse().ok()).filter(|&secs| secs <= MTIME_MAX);
    let wanted = format!("a whole number of seconds from 0 to {MTIME_MAX} is wanted");
    secs.ok_or_else(|| {
        Failed::WrongUse(format!("SOURCE_DATE_EPOCH is {text:?}, and {wanted}; set it so, or unset it"))
    })
}

impl Args {
    /// A package in the folder that is packed would be in the next one.
    fn folder(&self) -> Result<PathBuf, Failed> {
        let out = shown(&self.out);
        let failed = |error| Failed::Refused(format!("failed to make the folder `{out}`: {error}"));
        fs::create_dir_all(&self.out).map_err(failed)?;
        let real = |path: &Path| path.canonicalize().map_err(failed);
        if real(&self.out)?.starts_with(real(&self.dir)?) {
            let dir = shown(&self.dir);
            return Err(Failed::WrongUse(format!(
                "the package would be put into the folder that is packed: `{out}` lies in `{dir}`; give another --out"
            )));
        }
        Ok(self.out.clone())
    }

    fn write(&self, contents: &Contents, mtime: u64, target: &Path) -> Result<Packed, Failed> {
        let failed = |path: &Path, why: &dyn std::fmt::Display| {
            Failed::Refused(format!("failed to write `{}`: {why}", shown(path)))
        };
        let mut aside = Aside::beside(target).map_err(|error| failed(target, &error))?;
        let written = contents.pack(BufWriter::new(aside.file()), mtime);
        let packed = written.map_err(|why| failed(target, &why))?.1;
        aside.file().rewind().map_err(|error| failed(target, &error))?;
        // What was packed is what hosts will take, or it is not given out.
        inspect(aside.file(), &Limits::default()).map_err(|why| failed(target, &why))?;
        let digests = [(Sums::md5(target), &packed.md5), (Sums::sha256(target), &packed.sha256)];
        let package_is_there = self.is_there(target, || sha256(target), &packed.sha256)?;
        let mut missing = Vec::new();
        for (sums, digest) in digests {
            if !self.is_there(&sums.path, || sums.read(), digest)? {
                missing.push((sums, digest));
            }
        }
        let write = || {
            missing
                .iter()
                .try_for_each(|(sums, digest)| sums.write(digest).map_err(|error| failed(&sums.path, &error)))
        };
        let put = || aside.put(target).map_err(|error| failed(target, &error));
        let sync = || {
            let folder = File::open(&self.out).and_then(|folder| folder.sync_all());
            folder.map_err(|error| failed(target, &error))
        };
        if package_is_there {
            write()?;
        } else if target.symlink_metadata().is_ok() {
            // No package has the digests of another beside it, whenever this ends.
            for (sums, _) in &missing {
                sums.remove().map_err(|error| failed(&sums.path, &error))?;
            }
            sync()?;
            put()?;
            sync()?;
            write()?;
        } else {
            // The digests first: who sees the package finds them too.
            write()?;
            put()?;
        }
        sync()?;
        Ok(packed)
    }

    /// Whether what was made stands there already. Another is replaced only when that is asked for.
    fn is_there(
        &self,
        path: &Path,
        read: impl Fn() -> Result<HexDigest, String>,
        made: &HexDigest,
    ) -> Result<bool, Failed> {
        if path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Ok(false);
        }
        let why = match read() {
            Ok(digest) if digest == *made => return Ok(true),
            _ if self.force => return Ok(false),
            Ok(digest) => format!("its digest is {digest}, and not {made}"),
            Err(why) => why,
        };
        Err(Failed::Refused(format!(
            "`{}` is there already, and is another: {why}; give this package a version of its own, or say --force where no \
             host has the other",
            shown(path)
        )))
    }
}

fn sha256(path: &Path) -> Result<HexDigest, String> {
    let digest = || {
        let mut digesting = Digesting::new(io::sink(), Algorithm::Sha256);
        io::copy(&mut regular::open(path)?, &mut digesting)?;
        digesting.finish().1.sha256.ok_or_else(|| io::Error::other("a digest is missing"))
    };
    digest().map_err(|error| format!("failed to read it: {error}"))
}
