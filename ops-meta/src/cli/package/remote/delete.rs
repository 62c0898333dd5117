//! `ops-meta package delete`

use super::path_of;
use crate::cli::client::{Query, Server};
use crate::cli::confirm::confirm;
use crate::cli::failed::Failed;
use crate::cli::say;
use crate::domain::one_line::one_line;
use crate::domain::package::hosts_of;

/// Delete a version that nobody uses
///
/// It is refused while an order names the version, a living host runs it or it is protected. What failed goes on when it is
/// said again.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta package delete nginx 1.2.0\n  \
                        ops-meta package delete nginx 1.2.0 --os linux --arch x86_64 --yes")]
pub struct Args {
    name: String,
    version: String,
    /// Only the build for this operating system; `--os ''` is the one for all hosts
    #[arg(long)]
    os: Option<String>,
    /// Only the build for this processor
    #[arg(long, requires = "os")]
    arch: Option<String>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let what = args.what();
    if !args.yes {
        confirm("delete", "deleted", &what)?;
    }
    let words = [("os", args.os.clone()), ("arch", args.arch.clone())];
    let query: Query = words.into_iter().filter_map(|(key, word)| Some((key, word?))).collect();
    args.server.client()?.delete(&path_of(&args.name, &args.version), &query)?;
    say(&format!("{what} is deleted"));
    Ok(())
}

impl Args {
    fn what(&self) -> String {
        let hosts = match (self.os.as_deref(), self.arch.as_deref()) {
            (None, _) => String::new(),
            (Some(""), _) => " for all hosts".to_owned(),
            (Some(os), arch) => format!(" for {}", hosts_of(os, arch.unwrap_or_default())),
        };
        one_line(&format!("{} {}{hosts}", self.name, self.version))
    }
}
