//! `ops-meta package new`

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ops_package::{MANIFEST, Manifest};
use ops_wire::AgentName;

use super::shown;
use crate::cli::failed::Failed;
use crate::cli::output::Out;

/// Where a row of versions begins.
const FIRST_VERSION: &str = "0.1.0";

/// Begin a package: a folder with a control script that works
///
/// Makes the folder NAME with a control script that works for a program in the foreground, a manifest.json and a README.md
/// that says what to do next.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta package new my-agent\n  \
                        ops-meta package new my-agent --dir ~/agents && cp my-agent ~/agents/my-agent/bin/")]
pub struct Args {
    /// The agent's
    name: AgentName,
    /// Where the folder is made
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let folder = args.dir.join(args.name.as_str());
    let failed = |error: io::Error| {
        let advice = match error.kind() {
            io::ErrorKind::AlreadyExists => "; remove it, or give another --dir",
            _ => "",
        };
        Failed::Refused(format!("failed to make `{}`: {error}{advice}", shown(&folder)))
    };
    // What is there is somebody's work.
    fs::create_dir(&folder).map_err(failed)?;
    fill(&folder, &args.name).map_err(|error| {
        // Half of it would only be in the way of the next try.
        let _ = fs::remove_dir_all(&folder);
        failed(error)
    })?;
    let mut out = Out::new();
    out.line(&format!("{}: read README.md there", shown(&folder)))?;
    out.flush()
}

fn fill(folder: &Path, name: &AgentName) -> io::Result<()> {
    let named = |template: &str| template.replace("@NAME@", name.as_str());
    let manifest =
        Manifest { name: Some(name.clone()), version: FIRST_VERSION.parse().ok(), ..Manifest::default() };
    fs::create_dir(folder.join("bin"))?;
    fs::write(folder.join("README.md"), named(include_str!("template/README.md")))?;
    fs::write(folder.join(MANIFEST), manifest.to_json())?;
    let control = folder.join("control");
    fs::write(&control, named(include_str!("template/control")))?;
    fs::set_permissions(&control, Permissions::from_mode(0o755))
}
