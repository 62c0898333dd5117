//! `ops-meta settings`

use serde_json::Value;

use super::client::{Query, Request, Server};
use super::editing::{Editing, Number, Standing, number};
use super::failed::Failed;
use super::output::{Format, Out, Output, text};
use crate::domain::desired;

const SETTINGS: &str = "/api/v1/settings";
const PACKAGES_URL: &str = "packagesUrl";
const CONFIRM_ABOVE_PERCENT: &str = "confirmAbovePercent";

#[derive(clap::Subcommand)]
pub enum Verb {
    /// What counts for all hosts
    Show(ShowArgs),
    /// Change what is given
    Set(SetArgs),
}

#[derive(clap::Args)]
#[command(after_help = "Example:\n  ops-meta settings show")]
pub struct ShowArgs {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

/// Change what is given
///
/// What is not given stays as it is; what is given empty (`--packages-url ''`) is as if it had never been set.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  ops-meta settings set --packages-url http://meta.example:2000/packages\n  \
                        ops-meta settings set --confirm-above-percent 10"
)]
pub struct SetArgs {
    /// Where hosts fetch what a policy names without a tarball
    #[arg(long, value_name = "URL")]
    packages_url: Option<String>,
    /// A change that touches more of all hosts wants to be confirmed
    #[arg(long, value_name = "N", value_parser = number)]
    confirm_above_percent: Option<Number>,
    #[command(flatten)]
    editing: Editing,
}

pub fn run(verb: Verb) -> Result<(), Failed> {
    match verb {
        Verb::Show(args) => show(&args),
        Verb::Set(args) => set(args),
    }
}

fn show(args: &ShowArgs) -> Result<(), Failed> {
    let settings = args.server.client()?.get(SETTINGS, &Query::new())?;
    let mut out = Out::new();
    match args.output.format {
        Format::Json => out.json(&settings)?,
        Format::Table => page(&settings).iter().try_for_each(|line| out.line(line))?,
    }
    out.flush()
}

fn page(settings: &Value) -> [String; 2] {
    let or = |field, otherwise: String| match text(settings, field).as_str() {
        "-" => otherwise,
        set => set.to_owned(),
    };
    let own = match text(settings, "packagesUrlInForce").as_str() {
        "-" => {
            "not set, and this server listens on every address, and cannot know how hosts reach it".to_owned()
        }
        own => format!("not set, so {own}"),
    };
    let percent = format!("not set, so {}", desired::CONFIRM_ABOVE_PERCENT);
    [
        format!("{PACKAGES_URL:<20} {}", or(PACKAGES_URL, own)),
        format!("{CONFIRM_ABOVE_PERCENT:<20} {}", or(CONFIRM_ABOVE_PERCENT, percent)),
    ]
}

fn set(args: SetArgs) -> Result<(), Failed> {
    let SetArgs { packages_url, confirm_above_percent, editing } = args;
    let given = [
        (PACKAGES_URL, packages_url.map(Value::from)),
        (CONFIRM_ABOVE_PERCENT, confirm_above_percent.map(Number::value)),
    ];
    let given: Vec<_> = given.into_iter().filter_map(|(field, value)| Some((field, value?))).collect();
    if given.is_empty() {
        let why = "there is nothing to set; --packages-url and --confirm-above-percent are possible";
        return Err(Failed::WrongUse(why.to_owned()));
    }
    let client = editing.client()?;
    let standing = Standing::of(&client, SETTINGS, &Query::new())?;
    let only_if = standing.only_if.clone();
    let settings = standing.with(&[PACKAGES_URL, CONFIRM_ABOVE_PERCENT], given);
    editing.edit(&client, Request::put(SETTINGS).body(&settings).only_if(only_if))
}
