//! `ops-meta package deprecate` and `protect`: what is said of a version, all its builds.

use serde_json::{Value, json};

use super::path_of;
use crate::cli::client::Server;
use crate::cli::failed::Failed;
use crate::cli::say;
use crate::domain::one_line::one_line;

/// Say why nobody should use a version any more
///
/// It is served all the same: hosts that have it are not in its way.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta package deprecate nginx 1.2.0 'leaks; take 1.2.1'\n  \
                        ops-meta package deprecate nginx 1.2.0 --off")]
pub struct DeprecateArgs {
    name: String,
    version: String,
    /// A sentence for whoever looks at it
    #[arg(required_unless_present = "off", conflicts_with = "off")]
    why: Option<String>,
    /// It may be used again
    #[arg(long)]
    off: bool,
    #[command(flatten)]
    server: Server,
}

/// Keep a version from being deleted
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta package protect nginx 1.2.0\n  \
                        ops-meta package protect nginx 1.2.0 --off")]
pub struct ProtectArgs {
    name: String,
    version: String,
    /// It may be deleted again
    #[arg(long)]
    off: bool,
    #[command(flatten)]
    server: Server,
}

pub fn deprecate(args: &DeprecateArgs) -> Result<(), Failed> {
    let told = match &args.why {
        Some(why) => format!("deprecated: {}", one_line(why)),
        None => "no more deprecated".to_owned(),
    };
    mark(&args.server, &args.name, &args.version, &json!({ "deprecated": args.why }), &told)
}

pub fn protect(args: &ProtectArgs) -> Result<(), Failed> {
    let told = if args.off { "no more protected" } else { "protected" };
    mark(&args.server, &args.name, &args.version, &json!({ "protected": !args.off }), told)
}

fn mark(server: &Server, name: &str, version: &str, marks: &Value, told: &str) -> Result<(), Failed> {
    server.client()?.patch(&path_of(name, version), marks)?;
    say(&format!("{} {} is {told}", one_line(name), one_line(version)));
    Ok(())
}
