//! What all verbs that change what should run have in common: how the change is meant, what it builds on, and what is told
//! of it.

mod summary;

use serde_json::{Map, Value};

use super::client::{Client, OnlyIf, Query, Request, Server};
use super::failed::Failed;
use super::output::{Format, Out, Output, list, text};
use super::say;

/// Of every verb that changes one object.
#[derive(clap::Args)]
pub struct Editing {
    #[command(flatten)]
    pub meant: Meant,
    #[command(flatten)]
    pub output: Output,
    #[command(flatten)]
    pub server: Server,
}

#[derive(clap::Args)]
pub struct Meant {
    /// Only say what it would do; for this the role viewer is enough
    #[arg(long)]
    pub dry_run: bool,
    /// Do it, however many hosts it touches
    #[arg(long)]
    pub confirm: bool,
}

impl Editing {
    pub fn client(&self) -> Result<Client, Failed> {
        self.server.client()
    }

    pub fn edit(&self, client: &Client, request: Request<'_>) -> Result<(), Failed> {
        edit(client, request, &self.meant, self.output.format)
    }
}

impl Meant {
    pub fn query(&self) -> Query {
        let words = [("dryRun", self.dry_run), ("confirm", self.confirm)];
        words.into_iter().filter(|(_, is_set)| *is_set).map(|(key, _)| (key, "true".to_owned())).collect()
    }
}

/// Changes something, and tells what that means for hosts.
pub fn edit(client: &Client, request: Request<'_>, meant: &Meant, format: Format) -> Result<(), Failed> {
    match client.ask(request.query(meant.query())) {
        Ok(answer) => {
            show(format, &answer.body)?;
            tell(meant, &answer.body);
            Ok(())
        }
        Err(failed) => Err(refused(failed, format)),
    }
}

/// Where it has to be confirmed: shows first what it would do.
pub fn refused(failed: Failed, format: Format) -> Failed {
    match failed {
        Failed::Unconfirmed { why, changed } => match format {
            Format::Table => show_hosts(&changed).err().unwrap_or(Failed::Refused(why)),
            Format::Json => Failed::Refused(why),
        },
        other => other,
    }
}

/// Who is told something else.
pub fn hosts(changed: &Value) -> Vec<String> {
    summary::of_hosts(changed)
}

pub fn show_hosts(changed: &Value) -> Result<(), Failed> {
    print(hosts(changed))
}

/// Beforehand: what it will ask for.
pub fn tell_whether_to_confirm(edited: &Value) {
    match text(edited, "unconfirmed").as_str() {
        "-" => {}
        why => say(&format!("--confirm will be needed: {why}")),
    }
}

/// Whoever looks at groups and policies may take them for what counts.
pub fn tell_who_decides(client: &Client) -> Result<(), Failed> {
    let settings = client.get("/api/v1/settings", &Query::new())?;
    if text(&settings, "decidedBy") == "cfg.json" {
        say(
            "the cfg.json of this ops-meta has agents, and alone says what should run: groups and policies do not count now",
        );
    }
    Ok(())
}

/// What was changed, or would be.
pub fn show(format: Format, edited: &Value) -> Result<(), Failed> {
    match format {
        Format::Table => print(summary::of(edited)),
        Format::Json => {
            let mut out = Out::new();
            out.json(edited)?;
            out.flush()
        }
    }
}

pub fn differs(edited: &Value) -> bool {
    !list(edited, "differences").is_empty()
}

fn tell(meant: &Meant, edited: &Value) {
    match (differs(edited), meant.dry_run) {
        (false, _) => {}
        (true, true) => {
            tell_whether_to_confirm(edited);
            say("nothing was changed, as this was a dry run");
        }
        (true, false) => say(&format!("this is generation {}", text(edited, "generation"))),
    }
}

fn print(lines: Vec<String>) -> Result<(), Failed> {
    let mut out = Out::new();
    lines.iter().try_for_each(|line| out.line(line))?;
    out.flush()
}

/// An object as it is now, to be changed only while it is so.
pub struct Standing {
    /// Empty where there is none.
    pub fields: Map<String, Value>,
    pub only_if: OnlyIf,
}

impl Standing {
    pub fn of(client: &Client, path: &str, query: &Query) -> Result<Self, Failed> {
        match client.ask(Request::get(path).query(query.clone())) {
            Ok(answer) => Ok(Self {
                fields: answer.body.as_object().cloned().unwrap_or_default(),
                only_if: answer.tag.map_or(OnlyIf::Always, OnlyIf::Tagged),
            }),
            Err(Failed::NotFound(_)) => Ok(Self { fields: Map::new(), only_if: OnlyIf::IsNotThere }),
            Err(failed) => Err(failed),
        }
    }

    pub fn is_there(&self) -> bool {
        self.only_if != OnlyIf::IsNotThere
    }

    /// Of its fields those that can be written, with what was given in their place; what was given empty is none.
    pub fn with(mut self, written: &[&str], given: Vec<(&'static str, Value)>) -> Value {
        self.fields.retain(|field, _| written.contains(&field.as_str()));
        for (field, value) in given {
            let is_empty = match &value {
                Value::String(text) => text.is_empty(),
                Value::Array(values) => values.is_empty(),
                other => other.is_null(),
            };
            match is_empty {
                true => self.fields.remove(field),
                false => self.fields.insert(field.to_owned(), value),
            };
        }
        Value::Object(self.fields)
    }
}

/// A number, or nothing to take one away.
#[derive(Debug, Clone, Copy)]
pub struct Number(Option<u64>);

impl Number {
    pub fn value(self) -> Value {
        Value::from(self.0)
    }
}

/// For clap.
pub fn number(text: &str) -> Result<Number, String> {
    match text {
        "" => Ok(Number(None)),
        text => text.parse().map(|it| Number(Some(it))).map_err(|_| "this is no whole number".to_owned()),
    }
}
