//! `ops-meta export`

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::client::{Query, Server};
use super::editing::tell_who_decides;
use super::failed::Failed;
use super::fleet;
use super::output::Out;
use super::plan::FLEET;
use super::say;
use crate::domain::one_line::one_line;

/// Write what should run as a fleet.yaml
///
/// A file that is there is never written again: it may have comments, of which the server knows nothing.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta export > fleet.yaml\n  \
                        ops-meta export -f fleet.yaml\n  \
                        ops-meta export | diff fleet.yaml -")]
pub struct Args {
    /// A new file, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let client = args.server.client()?;
    tell_who_decides(&client)?;
    let yaml = fleet::written(&client.get(FLEET, &Query::new())?);
    match &args.file {
        Some(path) => write_new(path, &yaml),
        None => print(&yaml),
    }
}

pub fn print(yaml: &str) -> Result<(), Failed> {
    let mut out = Out::new();
    yaml.lines().try_for_each(|line| out.line(line))?;
    out.flush()
}

fn write_new(path: &Path, yaml: &str) -> Result<(), Failed> {
    let shown = one_line(&path.display().to_string());
    let mut file = File::create_new(path).map_err(|error| {
        Failed::Refused(match error.kind() {
            io::ErrorKind::AlreadyExists => format!(
                "`{shown}` is there already, and is left as it is: comments in it would be lost; name a new file, or see \
                 what differs with `ops-meta plan -f {shown}`"
            ),
            _ => format!("failed to create `{shown}`: {error}"),
        })
    })?;
    file.write_all(yaml.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| {
        // Half a file would be half of what should run.
        let _ = fs::remove_file(path);
        Failed::Refused(format!("failed to write `{shown}`: {error}"))
    })?;
    say(&format!("`{shown}` is written"));
    Ok(())
}
