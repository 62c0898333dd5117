//! `ops-meta host install` and `ops-meta host uninstall`

use serde_json::{Value, json};

use super::HOSTS;
use crate::cli::client::{Server, part};
use crate::cli::failed::Failed;
use crate::cli::output::{Format, Out, Output, text};
use crate::cli::say;
use crate::domain::one_line::one_line;

/// Install an agent on one host
///
/// It is a rollout of its own, whose number is printed: where it goes wrong it is taken back, and when it is done the host
/// has a policy of its own. A host that would not do it at once is rejected, with the reason.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta host install web-01 nginx 1.28.0\n  \
                        ops-meta rollout watch $(ops-meta host install web-01 nginx 1.28.0) --until done")]
pub struct InstallArgs {
    hostname: String,
    agent: String,
    version: String,
    #[command(flatten)]
    meant: Meant,
}

/// Uninstall an agent on one host
///
/// The host then has a policy of its own that says so.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  ops-meta host uninstall web-01 nginx")]
pub struct UninstallArgs {
    hostname: String,
    agent: String,
    #[command(flatten)]
    meant: Meant,
}

#[derive(clap::Args)]
struct Meant {
    /// Also where it has to wait: held, frozen, without a build, or lacking what the package requires
    #[arg(long)]
    force: bool,
    /// For whoever asks later why
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    note: String,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub fn install(args: &InstallArgs) -> Result<(), Failed> {
    let wanted = json!({"agent": args.agent, "version": args.version});
    args.meant.ask(&args.hostname, "install", wanted)
}

pub fn uninstall(args: &UninstallArgs) -> Result<(), Failed> {
    args.meant.ask(&args.hostname, "uninstall", json!({"agent": args.agent}))
}

impl Meant {
    fn ask(&self, hostname: &str, verb: &str, mut wanted: Value) -> Result<(), Failed> {
        if let Some(fields) = wanted.as_object_mut() {
            fields.insert("force".to_owned(), json!(self.force));
            fields.insert("note".to_owned(), json!(self.note));
        }
        let path = format!("{HOSTS}/{}/{verb}", part(hostname));
        let accepted = self.server.client()?.post(&path, &wanted)?;
        let (id, already) = (text(&accepted, "rollout"), accepted.get("already").and_then(Value::as_str));
        let mut out = Out::new();
        match self.output.format {
            Format::Json => out.json(&accepted)?,
            Format::Table if id == "-" => {}
            Format::Table => out.line(&id)?,
        }
        out.flush()?;
        if let Some(why) = already {
            say(&format!("nothing to do: {}", one_line(why)));
            return Ok(());
        }
        say(&format!(
            "accepted: rollout {id} does it on {}; `ops-meta rollout watch {id}` shows how it fares",
            one_line(hostname)
        ));
        Ok(())
    }
}
