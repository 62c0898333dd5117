//! What moves a rollout: `ops-meta rollout approve`, `pause`, `resume`, `next`, `stop`, `rollback` and `retry`.

use serde_json::{Value, json};

use super::{path_of, verbs};
use crate::cli::client::{Request, Server};
use crate::cli::failed::Failed;
use crate::cli::output::{Format, Out, Output, text};
use crate::domain::rollout::Verb;

#[derive(clap::Args)]
pub struct Args {
    id: u64,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

#[derive(clap::Args)]
pub struct WaveArgs {
    /// Which wave is meant, from 1: said a second time, it does not count for another
    #[arg(long, value_name = "N")]
    wave: Option<u32>,
    #[command(flatten)]
    args: Args,
}

impl WaveArgs {
    pub fn run(&self, verb: Verb) -> Result<(), Failed> {
        self.args.go_on(verb, self.wave)
    }
}

impl Args {
    pub fn run(&self, verb: Verb) -> Result<(), Failed> {
        self.go_on(verb, None)
    }

    fn go_on(&self, verb: Verb, wave: Option<u32>) -> Result<(), Failed> {
        let (path, meant) = (format!("{}/{verb}", path_of(self.id)), json!({ "wave": wave }));
        let moved = self.server.client()?.ask(Request::post(&path).body(&meant))?.body;
        let mut out = Out::new();
        match self.output.format {
            Format::Json => out.json(&moved)?,
            Format::Table => out.line(&said(self.id, &moved))?,
        }
        out.flush()
    }
}

/// `rollout 7 is paused; it can resume, stop, rollback, retry`
fn said(id: u64, rollout: &Value) -> String {
    let is = format!("rollout {id} is {}", text(rollout, "state"));
    match verbs(rollout).as_str() {
        "" => is,
        verbs => format!("{is}; it can {verbs}"),
    }
}
