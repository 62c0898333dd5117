//! `ops-meta job install` and `uninstall`: a rollout over hosts that are named.

use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use super::meant::MeantHosts;
use crate::cli::editing::Editing;
use crate::cli::failed::Failed;
use crate::cli::rollout::{Waves, begin};
use crate::domain::rollout::{OnBreach, WindowText};

/// Install an agent on some hosts, or bring it to another version there
///
/// It is a rollout: what differs is shown first, on standard error, then its number is printed, which `ops-meta rollout` knows.
/// When it is done each host has a policy of its own; what fails on too many is taken back.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta job install my-agent 1.4.0 web-01 web-02\n  \
                        ops-meta job install my-agent 1.4.0 @canaries --select env=test --waves 1,100% --soak 10m\n  \
                        ops-meta job install my-agent 1.4.0 @web --dry-run")]
pub struct Install {
    agent: String,
    version: String,
    #[command(flatten)]
    how: How,
}

/// Uninstall an agent on some hosts
///
/// It is a rollout, as `job install`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  ops-meta job uninstall my-agent @retired --max-in-flight 20")]
pub struct Uninstall {
    agent: String,
    #[command(flatten)]
    how: How,
}

#[derive(clap::Args)]
struct How {
    #[command(flatten)]
    meant: MeantHosts,
    #[command(flatten)]
    waves: Waves,
    /// What it does when too many hosts fail
    #[arg(long, default_value = "rollback", help_heading = "Waves",
        value_parser = PossibleValuesParser::new(OnBreach::ALL.iter().map(|it| it.as_str())))]
    on_breach: String,
    /// Hosts begin only then: `mon-fri 22:00 4h Europe/Berlin`; several may be given
    #[arg(long = "window", value_name = "WINDOW", help_heading = "Waves")]
    windows: Vec<WindowText>,
    /// For whoever asks later why
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    editing: Editing,
}

impl Install {
    pub fn run(&self) -> Result<(), Failed> {
        self.how.run(&json!({"agent": self.agent, "version": self.version, "cmd": "start"}))
    }
}

impl Uninstall {
    pub fn run(&self) -> Result<(), Failed> {
        self.how.run(&json!({"agent": self.agent, "cmd": "uninstall"}))
    }
}

impl How {
    fn run(&self, what: &Value) -> Result<(), Failed> {
        let mut wanted = json!({
            "waves": self.waves.written(Some("100%"))?,
            "onBreach": self.on_breach,
            "windows": self.windows,
            "note": self.note.clone().unwrap_or_default(),
        });
        if let Some(wanted) = wanted.as_object_mut() {
            wanted.extend(self.meant.written());
            wanted.extend(what.as_object().cloned().unwrap_or_default());
        }
        begin(&self.editing, &wanted, true)
    }
}
