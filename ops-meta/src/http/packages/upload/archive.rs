//! What an archive is as a package.

use std::io;

use axum::http::StatusCode;
use ops_package::{Inspected, Limits, Platform, WalkError, inspect};

use super::super::super::problem::Problem;
use super::super::shown::{Entry, EntryList};
use super::Told;
use crate::blobs::Received;
use crate::clock::now_ms;
use crate::domain::package::Build;
use crate::store::{Content, NewPackage};

/// The code of a manifest that cannot be read, or contradicts what was asked for.
const MANIFEST_INVALID: &str = "manifest_invalid";

/// Why it is none.
pub enum NoPackage {
    /// Nobody knows: the file cannot be read.
    Unread(io::Error),
    Refused(Problem),
}

/// Reads it to its end. Blocks.
pub fn read(told: Told, received: &Received) -> Result<NewPackage, NoPackage> {
    let file = received.spool.open().map_err(NoPackage::Unread)?;
    match inspect(file, &Limits::default()) {
        Ok(inspected) => new_package(told, received, inspected).map_err(NoPackage::Refused),
        Err(WalkError::Read(error)) => Err(NoPackage::Unread(error)),
        Err(refused) => {
            let detail = format!("{} is refused: {refused}", told.build.file());
            let code = match refused {
                WalkError::Refused(refusal) => refusal.code(),
                _ => MANIFEST_INVALID,
            };
            Err(NoPackage::Refused(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail).code(code)))
        }
    }
}

fn new_package(told: Told, received: &Received, inspected: Inspected) -> Result<NewPackage, Problem> {
    let Inspected { summary, entries, truncated, manifest } = inspected;
    let manifest = manifest.unwrap_or_default();
    let Build { name, version, platform } = told.build;
    let unlike = |field: &str, is: &dyn std::fmt::Display, wanted: &dyn std::fmt::Display| {
        let detail =
            format!("manifest.json has `{field}` {is}, and it is pushed as {wanted}; one of them is wrong");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail).code(MANIFEST_INVALID)
    };
    if let Some(other) = manifest.name.as_ref().filter(|it| **it != name) {
        return Err(unlike("name", other, &name));
    }
    if let Some(other) = manifest.version.as_ref().filter(|it| **it != version) {
        return Err(unlike("version", other, &version));
    }
    let Some(platform) = manifest.agreed_platform(&platform).cloned() else {
        let shown = |it: &Platform| format!("{} {}", it.os(), it.arch()).trim_end().to_owned();
        return Err(unlike("os", &shown(&manifest.platform), &shown(&platform)));
    };
    let deprecated = manifest.deprecated.as_ref().map(|it| match it {
        ops_package::Deprecated::Unexplained => "its manifest says so".to_owned(),
        ops_package::Deprecated::Because(why) => why.clone(),
    });
    let content = Content {
        sha256: received.sha256.clone(),
        md5: received.md5.clone(),
        size: received.size,
        unpacked_size: summary.unpacked_bytes,
        entries: summary.entries,
        seen: String::new(),
        manifest: serde_json::to_value(&manifest).unwrap_or_default(),
    };
    let listing = EntryList { entries: entries.into_iter().map(Entry::from).collect(), truncated };
    let listing = serde_json::to_string(&listing).unwrap_or_default();
    let (build, signature) = (Build { name, version, platform }, told.signature);
    Ok(NewPackage { build, content, signature, deprecated, listing, created: now_ms() })
}
