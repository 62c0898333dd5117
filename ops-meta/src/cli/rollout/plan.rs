//! The waves of a rollout, as options or as a file of their own.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::absolute;
use crate::cli::failed::Failed;
use crate::cli::fleet::plain;
use crate::domain::one_line::one_line;
use crate::domain::rollout::{PresetText, preset};

/// Of a file of waves: there are 32 at most.
const FILE_BYTES_MAX: usize = 1 << 20;

#[derive(clap::Args)]
#[command(next_help_heading = "Waves")]
pub struct Waves {
    /// How many hosts have the change when each wave is over: `1%,10%,100%`, or numbers of hosts, `5,50%,100%`. The last one
    /// is 100%
    #[arg(long, value_name = "SHARES")]
    waves: Option<String>,
    /// For so long all has to go well before the next wave: `10m` (0s)
    #[arg(long, value_name = "TIME")]
    soak: Option<String>,
    /// A host that was told, and is not done after that long, has failed (15m)
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,
    /// More failures are a breach: `3`, or of those that were ordered `2%` (2%)
    #[arg(long, value_name = "N|PERCENT")]
    max_failed: Option<String>,
    /// So many hosts may be under way at once (any number)
    #[arg(long, value_name = "N")]
    max_in_flight: Option<u32>,
    /// So many hosts begin in a minute (any number)
    #[arg(long, value_name = "N")]
    hosts_per_minute: Option<u32>,
    /// Waves as the API has them, in YAML: a list of `name`, `select`, `percent` or `count`, `approval` ...
    #[arg(short, long, value_name = "FILE", value_parser = absolute::path(),
        conflicts_with_all = ["waves", "soak", "timeout", "max_failed", "max_in_flight", "hosts_per_minute"])]
    file: Option<PathBuf>,
}

impl Waves {
    /// As the server takes them. `shares`: where none are given.
    pub fn written(&self, shares: Option<&str>) -> Result<Value, Failed> {
        match (&self.file, self.waves.as_deref().or(shares)) {
            (Some(path), _) => read(path),
            (None, Some(shares)) => self.preset(shares),
            (None, None) => {
                let why =
                    "waves are missing; give --waves, as in `--waves 1%,10%,100%`, or a file of them with -f";
                Err(Failed::WrongUse(why.to_owned()))
            }
        }
    }

    fn preset(&self, waves: &str) -> Result<Value, Failed> {
        let text = PresetText {
            waves,
            soak: self.soak.as_deref(),
            timeout: self.timeout.as_deref(),
            max_failed: self.max_failed.as_deref(),
            max_in_flight: self.max_in_flight,
            hosts_per_minute: self.hosts_per_minute,
        };
        Ok(json!(preset(&text).map_err(Failed::WrongUse)?))
    }
}

fn read(path: &Path) -> Result<Value, Failed> {
    let shown = one_line(&path.to_string_lossy());
    let wrong = |why: String| Failed::WrongUse(format!("failed to read `{shown}`: {why}"));
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    if text.len() > FILE_BYTES_MAX {
        return Err(wrong(format!("it has more than {} MiB", FILE_BYTES_MAX >> 20)));
    }
    match plain(&text).map_err(&wrong)? {
        waves @ Value::Array(_) => Ok(waves),
        _ => {
            Err(wrong("it is no list of waves; write `- percent: 1` for each, the last with 100".to_owned()))
        }
    }
}
