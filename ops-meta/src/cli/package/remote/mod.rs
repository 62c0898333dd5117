//! `ops-meta package`: of packages that are on the server.

mod delete;
mod fsck;
mod gc;
mod import;
mod list;
mod mark;
mod show;

use serde_json::Value;

use crate::cli::client::{Query, part};
use crate::cli::failed::Failed;
use crate::cli::output::{number, text};
use crate::cli::sizes::size;
use crate::domain::package::hosts_of;

const PACKAGES: &str = "/api/v1/packages";

#[derive(clap::Subcommand)]
pub enum Verb {
    /// The packages that fit, all unless told otherwise
    List(list::Args),
    /// Everything about one version
    Show(show::Args),
    /// Delete a version that nobody uses
    Delete(delete::Args),
    /// Say why nobody should use a version any more
    Deprecate(mark::DeprecateArgs),
    /// Keep a version from being deleted
    Protect(mark::ProtectArgs),
    /// Bring all tarballs of a folder of 2015
    Import(import::Args),
    /// Delete what nobody uses
    Gc(gc::Args),
    /// Read every package on the server, and say which are damaged
    Fsck(fsck::Args),
}

pub fn run(verb: Verb) -> Result<(), Failed> {
    match verb {
        Verb::List(args) => list::run(&args),
        Verb::Show(args) => show::run(&args),
        Verb::Delete(args) => delete::run(&args),
        Verb::Deprecate(args) => mark::deprecate(&args),
        Verb::Protect(args) => mark::protect(&args),
        Verb::Import(args) => import::run(&args),
        Verb::Gc(args) => gc::run(&args),
        Verb::Fsck(args) => fsck::run(&args),
    }
}

/// Of all builds of a version.
pub fn path_of(name: &str, version: &str) -> String {
    format!("{PACKAGES}/{}/{}", part(name), part(version))
}

/// Which of the builds; both empty: the one for all hosts.
pub fn build_query(os: &str, arch: &str) -> Query {
    let words = [("os", os), ("arch", arch)];
    words.into_iter().filter(|(_, word)| !word.is_empty()).map(|(key, word)| (key, word.to_owned())).collect()
}

/// For a column: `linux-x86_64`, `all`.
fn platform(package: &Value) -> String {
    let word = |field| Some(text(package, field)).filter(|it| it != "-").unwrap_or_default();
    match hosts_of(&word("os"), &word("arch")) {
        hosts if hosts.is_empty() => "all".to_owned(),
        hosts => hosts,
    }
}

/// For a sentence: `nginx 1.2 for linux-x86_64`.
fn called(package: &Value) -> String {
    let whole = format!("{} {}", text(package, "name"), text(package, "version"));
    match platform(package).as_str() {
        "all" => whole,
        platform => format!("{whole} for {platform}"),
    }
}

fn bytes(object: &Value, field: &str) -> u64 {
    number(object, field).and_then(|it| u64::try_from(it).ok()).unwrap_or_default()
}

/// The columns NAME, VERSION, FOR and SIZE.
pub fn row_of_build(package: &Value) -> Vec<String> {
    vec![text(package, "name"), text(package, "version"), platform(package), size(bytes(package, "size"))]
}
