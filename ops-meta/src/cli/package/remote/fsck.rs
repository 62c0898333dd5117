//! `ops-meta package fsck`

use std::io::{self, IsTerminal as _, Write as _};

use serde_json::{Value, json};

use super::{PACKAGES, build_query, bytes, called, path_of, platform};
use crate::cli::client::{Client, Query, Server};
use crate::cli::failed::Failed;
use crate::cli::output::{Listing, Output, list, text};
use crate::cli::say;
use crate::cli::sizes::{count, size};

/// Read every package on the server, and say which are damaged
///
/// The server reads each file to its end, one after the other; that of a large store takes its time. No package is
/// changed; what is found altered is not served any more, and that is an event.
/// Ends with 1 where something is wrong.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta package fsck\n  ops-meta package fsck -o json | jq -r .sha256")]
pub struct Args {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let client = args.server.client()?;
    let heads = &["NAME", "VERSION", "FOR", "STATE", "WHAT TO DO"];
    let mut listing = Listing::new(args.output.format, heads);
    let mut counted = Counted::default();
    let total = total(&client)?;
    client.pages(PACKAGES, "packages", &Query::new(), None, |packages| {
        for package in packages {
            counted.tell(total, package);
            let found = look(&client, package);
            counted.clear();
            let found = found?;
            counted.packages += u64::from(found.is_some());
            counted.bytes += found.as_ref().map_or(0, |_| bytes(package, "size"));
            let Some(bad) = found.filter(|found| text(found, "state") != "good") else { continue };
            counted.bad += 1;
            listing.print(&[bad], row)?;
        }
        Ok(())
    })?;
    say(&counted.told());
    tell_orphans(&client)?;
    if counted.bad > 0 { Err(Failed::Some(1)) } else { Ok(()) }
}

#[derive(Default)]
struct Counted {
    packages: u64,
    bytes: u64,
    bad: u64,
}

impl Counted {
    fn told(&self) -> String {
        let Self { packages, bytes, bad } = self;
        let wrong = match (*bad, *packages) {
            (0, 1) => "it is good".to_owned(),
            (0, _) => "all are good".to_owned(),
            (1, _) => "1 is damaged".to_owned(),
            (bad, _) => format!("{bad} are damaged"),
        };
        let were = if *packages == 1 { "was" } else { "were" };
        format!("{} of {} {were} looked at: {wrong}", count(*packages, "package", "packages"), size(*bytes))
    }

    /// On a terminal, until it is cleared.
    fn tell(&self, total: u64, package: &Value) {
        if io::stderr().is_terminal() {
            let at = self.packages + 1;
            let _ = write!(
                io::stderr(),
                "\r\x1b[K{at} of {total}: {}, {}",
                called(package),
                size(bytes(package, "size"))
            );
        }
    }

    fn clear(&self) {
        if io::stderr().is_terminal() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn total(client: &Client) -> Result<u64, Failed> {
    let query = [("limit", "1"), ("total", "true")].map(|(key, value)| (key, value.to_owned()));
    Ok(bytes(&client.get(PACKAGES, &query.into())?, "total"))
}

/// How a package is, and what to do; `None`: it was deleted meanwhile.
fn look(client: &Client, package: &Value) -> Result<Option<Value>, Failed> {
    let word = |field| package.get(field).and_then(Value::as_str).unwrap_or_default();
    let (name, version, state) = (word("name"), word("version"), word("state"));
    let found = |state: &str, why: Value, todo: Option<String>| {
        json!({
            "name": name, "version": version, "os": word("os"), "arch": word("arch"), "sha256": word("sha256"),
            "state": state, "why": why, "todo": todo,
        })
    };
    if state != "ready" {
        let todo = format!("say `ops-meta package delete {name} {version}` until it is gone");
        return Ok(Some(found(state, package.get("why").cloned().unwrap_or_default(), Some(todo))));
    }
    let path = path_of(name, version) + "/verify";
    match client.work(&path, &build_query(word("os"), word("arch")), &Value::Null) {
        Ok(verified) => {
            let todo = todo(&text(&verified, "state"), word("sha256"));
            Ok(Some(found(&text(&verified, "state"), verified.get("why").cloned().unwrap_or_default(), todo)))
        }
        Err(Failed::NotFound(_)) => Ok(None),
        Err(failed) => Err(failed),
    }
}

fn todo(state: &str, sha256: &str) -> Option<String> {
    let file =
        format!("`packages/blobs/{}/{sha256}` in the data folder", sha256.get(..2).unwrap_or_default());
    match state {
        "good" => None,
        "missing" | "altered" => {
            Some(format!("push the same tarball again, or put back {file} from a backup"))
        }
        _ => Some(format!("look why {file} cannot be read: its disk may be failing")),
    }
}

fn row(found: &Value) -> Vec<String> {
    vec![
        text(found, "name"),
        text(found, "version"),
        platform(found),
        text(found, "state"),
        text(found, "todo"),
    ]
}

/// Files of no package are no damage: they only take room.
fn tell_orphans(client: &Client) -> Result<(), Failed> {
    let nothing_else = json!({ "keep": 1_000_000, "dryRun": true });
    let freed = client.work(&format!("{PACKAGES}/gc"), &Query::new(), &nothing_else)?;
    let unused = list(&freed, "deleted").iter().map(|it| bytes(it, "size")).sum::<u64>();
    match bytes(&freed, "orphans") {
        0 => {}
        orphans => {
            let room = size(bytes(&freed, "bytes").saturating_sub(unused));
            let (take, them) = if orphans == 1 { ("takes", "it") } else { ("take", "them") };
            let files = count(orphans, "file", "files");
            say(&format!("{files} of no package {take} {room}; `ops-meta package gc` removes {them}"));
        }
    }
    Ok(())
}
