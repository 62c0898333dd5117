//! `ops-meta push`

use std::fs;
use std::path::{Path, PathBuf};

use ops_package::Platform;
use ops_wire::{AgentName, Version};

use super::client::Server;
use super::failed::Failed;
use super::output::Output;
use super::upload::{Bringing, Called, Md5};
use crate::absolute;
use crate::domain::one_line::one_line;

/// Bring packages
///
/// Each is read here first, and refused before a byte is sent where the server would refuse it. A `.md5` and a `.sha256`
/// beside it are checked; a `.minisig` beside it goes with it. What is there already is not sent again. Cut off, it goes
/// on where it ended; so does the same command within a day.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta push nginx-1.2.0.tar.gz\n  \
                        ops-meta push out/ -o json | jq -r .sha256\n  \
                        ops-meta push build.tar.gz --name nginx --version 1.2.0 --os linux --arch x86_64")]
pub struct Args {
    /// A tarball; of a folder every `.tar.gz` in it
    #[arg(required = true, value_name = "FILE|DIR", value_parser = absolute::path())]
    files: Vec<PathBuf>,
    /// What it is called, where neither its manifest.json nor the file's name says so; for one file
    #[arg(long)]
    name: Option<AgentName>,
    /// Its version
    #[arg(long)]
    version: Option<Version>,
    /// Only for hosts of this operating system, as `linux`; where manifest.json does not say so
    #[arg(long)]
    os: Option<String>,
    /// Only for hosts of this processor, as `x86_64`
    #[arg(long, requires = "os")]
    arch: Option<String>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: Args) -> Result<(), Failed> {
    let client = args.server.client()?;
    let files = files(&args.files)?;
    if files.len() > 1 && (args.name.is_some() || args.version.is_some()) {
        return Err(Failed::WrongUse(format!(
            "--name and --version are for one file, and there are {}",
            files.len()
        )));
    }
    let (os, arch) = (args.os.unwrap_or_default(), args.arch.unwrap_or_default());
    let platform = Platform::new(&os, &arch)
        .map_err(|why| Failed::WrongUse(format!("--{} is no such word: {why}", why.field())))?;
    let called = Called { name: args.name, version: args.version, platform };
    Bringing::new(client, &called, Md5::Welcome, &args.output).all(&files)
}

fn files(given: &[PathBuf]) -> Result<Vec<PathBuf>, Failed> {
    let mut files = Vec::new();
    for path in given {
        match path.is_dir() {
            true => files.extend(tarballs_in(path)?),
            false => files.push(path.clone()),
        }
    }
    Ok(files)
}

/// By name.
fn tarballs_in(folder: &Path) -> Result<Vec<PathBuf>, Failed> {
    let shown = one_line(&folder.display().to_string());
    let unread = |error| Failed::WrongUse(format!("failed to read `{shown}`: {error}"));
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(unread)? {
        let path = entry.map_err(unread)?.path();
        if is_tarball(&path) && path.is_file() {
            found.push(path);
        }
    }
    if found.is_empty() {
        return Err(Failed::WrongUse(format!("there is no `.tar.gz` in `{shown}`")));
    }
    found.sort();
    Ok(found)
}

pub fn is_tarball(path: &Path) -> bool {
    path.file_name().is_some_and(|it| it.to_string_lossy().ends_with(".tar.gz"))
}
