//! `ops-meta package import`

use std::fs;
use std::path::{Path, PathBuf};

use crate::absolute;
use crate::cli::client::Server;
use crate::cli::failed::Failed;
use crate::cli::output::Output;
use crate::cli::push::is_tarball;
use crate::cli::upload::{Bringing, Called, Md5};
use crate::domain::one_line::one_line;

/// Bring all tarballs of a folder of 2015
///
/// As `push` does, for every NAME-VERSION.tar.gz in the folder and below it; one without a right `.md5` beside it is
/// refused, the others are brought. It may be said again: what is there is not sent again.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta package import /var/lib/ops-meta-2015/tarball\n  \
                        ops-meta package import tarball -o json | jq -r 'select(.result == \"pushed\") | .file'")]
pub struct Args {
    /// 2015's `tarballDir`
    #[arg(value_parser = absolute::path())]
    dir: PathBuf,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let client = args.server.client()?;
    let mut files = Vec::new();
    find(&args.dir, &mut files)?;
    if files.is_empty() {
        let why =
            format!("there is no `.tar.gz` in `{}` or below it", one_line(&args.dir.display().to_string()));
        return Err(Failed::WrongUse(why));
    }
    files.sort();
    Bringing::new(client, &Called::default(), Md5::Needed, &args.output).all(&files)
}

/// Links to folders are not followed: they might lead round in a circle.
fn find(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failed> {
    let shown = one_line(&folder.display().to_string());
    let unread = |error| Failed::WrongUse(format!("failed to read `{shown}`: {error}"));
    for entry in fs::read_dir(folder).map_err(unread)? {
        let entry = entry.map_err(unread)?;
        let path = entry.path();
        if entry.file_type().map_err(unread)?.is_dir() {
            find(&path, files)?;
        } else if is_tarball(&path) {
            files.push(path);
        }
    }
    Ok(())
}
