//! What nothing uses is freed.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use ops_wire::HexDigest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::asked::{self, Nothing, Query};
use super::super::auth::{Publisher, With};
use super::super::problem::{Problem, Problems};
use super::super::whole::whole;
use super::uses::Uses;
use crate::packages::NotDone;
use crate::running::App;
use crate::store::Package;

/// What is to be freed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Wanted {
    /// Versions of each agent that stay, the newest, whether used or not.
    #[serde(default = "keep")]
    #[schema(value_type = Option<u32>, default = 3)]
    keep: usize,
    /// Only say what would be freed.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    dry_run: bool,
}

fn keep() -> usize {
    3
}

/// What was freed, or would be.
#[derive(Serialize, ToSchema)]
#[schema(as = PackageGc)]
pub struct Freed {
    deleted: Vec<FreedPackage>,
    /// Files of no package: what a crash left.
    orphans: usize,
    /// In all; bytes that another package has too are not freed.
    bytes: u64,
    failed: Vec<FreedPackage>,
}

#[derive(Clone, Serialize, ToSchema)]
pub struct FreedPackage {
    name: String,
    version: String,
    os: String,
    arch: String,
    size: u64,
    /// Why it is still there.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl FreedPackage {
    fn of(package: &Package) -> Self {
        let build = &package.build;
        Self {
            name: build.name.to_string(),
            version: build.version.to_string(),
            os: build.platform.os().to_owned(),
            arch: build.platform.arch().to_owned(),
            size: package.content.size,
            why: None,
        }
    }
}

/// Deletes the versions that no order names, no living host runs, nobody protects, and that are not among the newest.
#[utoipa::path(post, path = "/api/v1/packages/gc", operation_id = "collectPackages", tag = "packages", security(("token" = [])),
    request_body = Wanted, responses((status = 200, body = Freed), Problems))]
pub async fn gc(
    State(app): State<Arc<App>>,
    publisher: With<Publisher>,
    _: Query<Nothing>,
    asked::Json(wanted): asked::Json<Wanted>,
) -> Result<Json<Freed>, Problem> {
    let all = app.packages.all();
    let uses = Uses::of(&app, all.iter().map(|it| it.build.name.clone())).await?;
    let unused = unused(all.clone(), wanted.keep, |package| uses.sentences(&app, &package.build).is_empty());
    let bytes = freed_bytes(&all, &unused);
    let freed = whole(async move {
        let (mut deleted, mut failed) = (Vec::new(), Vec::new());
        for package in unused {
            let told = FreedPackage::of(&package);
            if wanted.dry_run {
                deleted.push(told);
                continue;
            }
            match app.packages.delete(&app.store, publisher.caller.actor(), &package).await {
                Ok(()) => deleted.push(told),
                Err(why) => failed.push(FreedPackage { why: Some(why.to_string()), ..told }),
            }
        }
        let orphans = app.packages.orphans(!wanted.dry_run).await?;
        let bytes = bytes + orphans.iter().sum::<u64>();
        let failed_bytes: u64 = failed.iter().map(|it: &FreedPackage| it.size).sum();
        let orphans = orphans.len();
        Ok::<_, NotDone>(Freed { deleted, orphans, bytes: bytes.saturating_sub(failed_bytes), failed })
    });
    Ok(Json(freed.await?))
}

/// All versions but the newest of each agent, the used and the protected. Builds of one version stay or go together.
fn unused(
    mut packages: Vec<Arc<Package>>,
    keep: usize,
    is_unused: impl Fn(&Package) -> bool,
) -> Vec<Arc<Package>> {
    packages.sort_unstable_by_key(|package| std::cmp::Reverse(package.id));
    let mut newest: HashMap<_, Vec<_>> = HashMap::new();
    for package in &packages {
        let versions = newest.entry(package.build.name.clone()).or_default();
        if versions.len() < keep && !versions.contains(&package.build.version) {
            versions.push(package.build.version.clone());
        }
    }
    let protected: Vec<_> = packages
        .iter()
        .filter(|it| it.protected)
        .map(|it| (it.build.name.clone(), it.build.version.clone()))
        .collect();
    packages.retain(|package| {
        let build = &package.build;
        let is_new = newest.get(&build.name).is_some_and(|versions| versions.contains(&build.version));
        let is_protected =
            protected.iter().any(|(name, version)| (name, version) == (&build.name, &build.version));
        !is_new && !is_protected && is_unused(package)
    });
    packages
}

/// Of blobs that only packages that go have, each once.
fn freed_bytes(all: &[Arc<Package>], going: &[Arc<Package>]) -> u64 {
    let goes = |id: i64| going.iter().any(|it| it.id == id);
    let stays = |sha256: &HexDigest| all.iter().any(|it| it.content.sha256 == *sha256 && !goes(it.id));
    let blobs: HashMap<_, _> = going.iter().map(|it| (&it.content.sha256, it.content.size)).collect();
    blobs.into_iter().filter(|(sha256, _)| !stays(sha256)).map(|(_, size)| size).sum()
}
