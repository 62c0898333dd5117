//! `ops-meta package show`

use serde_json::{Value, json};

use super::list::notes;
use super::{build_query, bytes, called, path_of, platform};
use crate::cli::client::{Client, Query, Server};
use crate::cli::failed::Failed;
use crate::cli::output::{Format, Out, Output, Table, is, list, number, text};
use crate::cli::sizes::{count, size};
use crate::cli::times;
use crate::domain::one_line::one_line;

/// Everything about one version
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta package show nginx 1.2.0\n  \
                        ops-meta package show nginx 1.2.0 --entries\n  \
                        ops-meta package show nginx 1.2.0 -o json | jq -r '.builds[].sha256'")]
pub struct Args {
    name: String,
    version: String,
    /// What is in it, too
    #[arg(long)]
    entries: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let (client, path) = (args.server.client()?, path_of(&args.name, &args.version));
    let mut detail = client.get(&path, &Query::new())?;
    if args.entries {
        let contents = list(&detail, "builds").iter().map(|build| contents(&client, &path, build));
        let contents = contents.collect::<Result<Vec<_>, Failed>>()?;
        if let Some(fields) = detail.as_object_mut() {
            fields.insert("contents".to_owned(), contents.into());
        }
    }
    let mut out = Out::new();
    match args.output.format {
        Format::Json => out.json(&detail)?,
        Format::Table => Page { detail: &detail, out: &mut out }.print()?,
    }
    out.flush()
}

/// The list of a build, and which build it is of.
fn contents(client: &Client, path: &str, build: &Value) -> Result<Value, Failed> {
    let word = |field| build.get(field).and_then(Value::as_str).unwrap_or_default();
    let got = client.get(&format!("{path}/entries"), &build_query(word("os"), word("arch")))?;
    let (entries, truncated) = (list(&got, "entries"), is(&got, "truncated"));
    Ok(json!({
        "name": word("name"), "version": word("version"), "os": word("os"), "arch": word("arch"),
        "entries": entries, "truncated": truncated,
    }))
}

struct Page<'a> {
    detail: &'a Value,
    out: &'a mut Out,
}

impl Page<'_> {
    fn print(&mut self) -> Result<(), Failed> {
        self.out.line(&format!("{} {}", text(self.detail, "name"), text(self.detail, "version")))?;
        list(self.detail, "builds").iter().try_for_each(|build| self.build(build))?;
        self.uses()?;
        list(self.detail, "contents").iter().try_for_each(|contents| self.contents(contents))
    }

    fn build(&mut self, build: &Value) -> Result<(), Failed> {
        let known = |field| Some(text(build, field)).filter(|it| it != "-").unwrap_or_default();
        let brought = number(build, "created").map_or_else(String::new, times::date_and_relative);
        let contents = format!(
            "{}, {} unpacked, {}",
            size(bytes(build, "size")),
            size(bytes(build, "unpackedSize")),
            count(bytes(build, "entries"), "entry", "entries")
        );
        let trial = number(build, "trialSecs").map_or_else(String::new, |secs| format!("{secs} s"));
        let restart = if text(build, "restart") == "reboot" { "the host has to boot anew" } else { "" };
        let lines = [
            ("for", if platform(build) == "all" { "all hosts".to_owned() } else { platform(build) }),
            ("size", contents),
            ("sha256", known("sha256")),
            ("md5", known("md5")),
            ("path", known("path")),
            ("description", known("description")),
            ("requires", requires(build)),
            ("on trial", trial),
            ("restart", restart.to_owned()),
            ("brought", format!("{brought} by {}", text(build, "actor"))),
            ("notes", notes(build).join("; ")),
        ];
        self.out.line("")?;
        let said = lines.iter().filter(|(_, value)| !value.is_empty());
        said.map(|(key, value)| format!("  {key:<11} {value}")).try_for_each(|line| self.out.line(&line))
    }

    fn uses(&mut self) -> Result<(), Failed> {
        let hosts = self.detail.get("hosts").unwrap_or(&Value::Null);
        let words = |it: &Value| it.as_str().map(one_line);
        let on = format!(
            "{}, {} to it",
            count(bytes(hosts, "running"), "runs it", "run it"),
            count(bytes(hosts, "wanted"), "is being moved", "are being moved")
        );
        let some: Vec<_> = list(hosts, "some").iter().filter_map(words).collect();
        let some = if some.is_empty() { String::new() } else { format!(": {}", some.join(" ")) };
        self.out.line("")?;
        self.out.line(&format!("  {:<11} {on}{some}", "hosts"))?;
        for (key, field) in [("required by", "requiredBy"), ("used by", "usedBy")] {
            for it in list(self.detail, field).iter().filter_map(words) {
                self.out.line(&format!("  {key:<11} {it}"))?;
            }
        }
        Ok(())
    }

    fn contents(&mut self, contents: &Value) -> Result<(), Failed> {
        let row = |entry: &Value| {
            let target = Some(text(entry, "target")).filter(|it| it != "-");
            let target = target.map(|it| format!(" -> {it}")).unwrap_or_default();
            let mode = format!("{:04o}", bytes(entry, "mode"));
            vec![text(entry, "kind"), mode, text(entry, "size"), text(entry, "path") + &target]
        };
        let rows: Vec<_> = list(contents, "entries").iter().map(row).collect();
        self.out.line("")?;
        self.out.line(&format!("entries of {}", called(contents)))?;
        Table::indented(&["KIND", "MODE", "BYTES", "PATH"]).print(self.out, &rows)?;
        match is(contents, "truncated") {
            true => self.out.line("  there are more"),
            false => Ok(()),
        }
    }
}

/// `openssl >=3, logrotate *`
fn requires(build: &Value) -> String {
    let requires = build.get("requires").unwrap_or(&Value::Null);
    let names = requires.as_object().into_iter().flat_map(|it| it.keys());
    names.map(|name| format!("{} {}", one_line(name), text(requires, name))).collect::<Vec<_>>().join(", ")
}
