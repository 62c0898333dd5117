//! The `agents` of a 2015 cfg.json: raw values become [`Policy`]s, or faults.

use std::collections::BTreeSet;

use ops_wire::{AgentName, Cmd, Md5, Version};
use serde_json::Value;

use super::faults::{Faults, Keys, shown};
use crate::domain::policy2015::{Order, Other, Policy};

/// The longest tarball or md5 prefix, in bytes.
const URL_BYTES_MAX: usize = 2048;
const NAME_ALLOWED: &str =
    "1 to 64 of A-Z a-z 0-9 . _ + ~ -, beginning with a letter, a digit or _, without `..`";
const URL_ALLOWED: &str = "an address of 2048 bytes at most, without blanks, not beginning with -";

pub fn policies(entries: &[(String, &Value)], faults: &mut Faults) -> Vec<Policy> {
    let policies: Vec<_> = entries.iter().filter_map(|(path, entry)| policy(entry, path, faults)).collect();
    note_twins(&policies, faults);
    policies
}

/// A host refuses an agent that is ordered twice.
fn note_twins(policies: &[Policy], faults: &mut Faults) {
    let mut seen = BTreeSet::new();
    for policy in policies {
        if !seen.insert(&policy.name) {
            faults.note("agents", format!("naming {:?} twice", policy.name.as_str()), "each agent once");
        }
    }
}

fn policy(entry: &Value, path: &str, faults: &mut Faults) -> Option<Policy> {
    let mut keys = Keys::of(entry, path, faults)?;
    let default_path = keys.path_of("default");
    let default = keys.take("default");
    if default.is_none() {
        faults.note(&default_path, "missing", "an object with a name");
    }
    let default = default.and_then(|value| named_order(value, &default_path, faults));
    let others = keys.entries("others", faults).unwrap_or_default();
    let others = others.iter().filter_map(|(path, entry)| other(entry, path, faults)).collect();
    keys.finish(faults);
    let (name, default) = default?;
    let policy = Policy { name, default, others };
    note_no_version(&policy, path, faults);
    Some(policy)
}

fn note_no_version(policy: &Policy, path: &str, faults: &mut Faults) {
    for prefix in policy.starts_without_version() {
        let found = format!("a start without a version for hosts beginning with {prefix:?}");
        faults.note(path, found, "a start with a version");
    }
}

fn named_order(value: &Value, path: &str, faults: &mut Faults) -> Option<(AgentName, Order)> {
    let mut keys = Keys::of(value, path, faults)?;
    let text = keys.needed_text("name", NAME_ALLOWED, faults);
    let name = text.and_then(|text| match text.parse() {
        Ok(name) => Some(name),
        Err(_) => {
            faults.note(&keys.path_of("name"), shown(&text.into()), NAME_ALLOWED);
            None
        }
    });
    let order = order(&mut keys, faults);
    keys.finish(faults);
    Some((name?, order))
}

fn other(value: &Value, path: &str, faults: &mut Faults) -> Option<Other> {
    let mut keys = Keys::of(value, path, faults)?;
    let prefix = keys.needed_text("prefix", "the beginning of hostnames", faults);
    let order = order(&mut keys, faults);
    keys.finish(faults);
    Some(Other { prefix: prefix?.to_owned(), order })
}

fn order(keys: &mut Keys<'_>, faults: &mut Faults) -> Order {
    Order {
        version: version(keys, faults),
        tarball: url(keys, "tarball", faults).unwrap_or_default().to_owned(),
        md5: Md5::read(url(keys, "md5", faults).unwrap_or_default()),
        cmd: cmd(keys, faults),
    }
}

fn version(keys: &mut Keys<'_>, faults: &mut Faults) -> Option<Version> {
    let text = keys.text("version", faults).filter(|text| !text.is_empty())?;
    let version = text.parse().ok();
    if version.is_none() {
        faults.note(&keys.path_of("version"), shown(&text.into()), NAME_ALLOWED);
    }
    version
}

fn url<'a>(keys: &mut Keys<'a>, key: &'static str, faults: &mut Faults) -> Option<&'a str> {
    let text = keys.text(key, faults)?;
    let odd = |c: char| c.is_whitespace() || c.is_control();
    // 2015 updaters hand it to wget, where a leading `-` makes it an option.
    if text.len() > URL_BYTES_MAX || text.starts_with('-') || text.contains(odd) {
        faults.note(&keys.path_of(key), shown(&text.into()), URL_ALLOWED);
        return None;
    }
    Some(text)
}

/// A host would leave the agent alone; who wrote this had something else in mind.
fn cmd(keys: &mut Keys<'_>, faults: &mut Faults) -> Cmd {
    let cmd = Cmd::read(keys.text("cmd", faults).unwrap_or_default());
    if let Cmd::Unknown(text) = &cmd {
        faults.note(&keys.path_of("cmd"), shown(&text.as_str().into()), "start, stop, uninstall or empty");
    }
    cmd
}
