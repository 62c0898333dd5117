//! What nothing uses is freed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use ops_wire::HexDigest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::asked::{self, Nothing, Query};
use super::super::auth::{Publisher, With};
use super::super::problem::{Problem, Problems};
use super::super::whole::whole;
use super::uses::{Uses, ordered};
use crate::domain::version_order;
use crate::packages::{NotDone, Orphans};
use crate::running::App;
use crate::store::{Package, PackageState};

/// More versions of one agent than anybody has.
const KEEP_MAX: usize = 1_000_000;

/// Nobody goes on with an upload that was cut so long ago, when room is needed.
const CUT_LONG_AGO: Duration = Duration::from_secs(3600);

/// What is to be freed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Wanted {
    /// Versions of each agent that stay, the newest, whether used or not.
    #[serde(default = "keep")]
    #[schema(default = 3, minimum = 0, maximum = 1_000_000)]
    keep: usize,
    /// Only say what would be freed.
    #[serde(default)]
    dry_run: bool,
}

fn keep() -> usize {
    3
}

/// What was freed, or would be.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PackageGc)]
pub struct Freed {
    deleted: Vec<FreedPackage>,
    /// Files of no package: what a crash left, and uploads that were cut an hour ago and longer (these only when they are freed).
    orphans: usize,
    /// Why some of them are still there.
    orphans_failed: Vec<String>,
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
    if wanted.keep > KEEP_MAX {
        return Err(Problem::field("keep", format!("`keep` has to be {KEEP_MAX} at most")));
    }
    if app.metrics.texts_left_out.get() > 0 && !wanted.dry_run {
        let detail = "what some hosts run found no room in memory, so that nobody can say what is unused; let \
                      `textsBytesMax` in ops-meta's cfg.json allow more, and start ops-meta again";
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    let all = app.packages.all();
    let uses = Uses::of(&app, all.iter().map(|it| it.build.name.clone())).await?;
    let unused = unused(all.clone(), wanted.keep, |package| uses.sentences(&app, &package.build).is_empty());
    let freed = whole(async move {
        let (mut gone, mut failed) = (Vec::new(), Vec::new());
        for package in unused {
            let deleted = match wanted.dry_run {
                true => Ok(()),
                false => {
                    // Nobody orders it meanwhile.
                    let _turn = app.deciding.turn().await;
                    let actor = publisher.caller.actor();
                    app.packages.delete(&app.store, actor, &package, |build| ordered(&app, build)).await
                }
            };
            match deleted {
                Ok(()) => gone.push(package),
                Err(why) => {
                    failed.push(FreedPackage { why: Some(why.to_string()), ..FreedPackage::of(&package) });
                }
            }
        }
        // What was deleted is told, whatever becomes of the rest.
        let mut orphans = app
            .packages
            .orphans(!wanted.dry_run)
            .await
            .unwrap_or_else(|why| Orphans { sizes: Vec::new(), failed: vec![why.to_string()] });
        if !wanted.dry_run {
            let dropping = app.clone();
            let dropped =
                tokio::task::spawn_blocking(move || dropping.packages.blobs.drop_parts(CUT_LONG_AGO));
            match dropped.await.map_err(std::io::Error::other).flatten() {
                Ok(sizes) => orphans.sizes.extend(sizes),
                Err(error) => orphans.failed.push(format!("uploads that were cut: {error}")),
            }
        }
        let bytes = freed_bytes(&all, &gone) + orphans.sizes.iter().sum::<u64>();
        let deleted = gone.iter().map(|it| FreedPackage::of(it)).collect();
        let (orphans, orphans_failed) = (orphans.sizes.len(), orphans.failed);
        Ok::<_, NotDone>(Freed { deleted, orphans, orphans_failed, bytes, failed })
    });
    Ok(Json(freed.await?))
}

/// All versions but the newest of each agent, the used and the protected. Builds of one version stay or go together. What is on
/// its way out goes, and is none of the newest.
fn unused(
    mut packages: Vec<Arc<Package>>,
    keep: usize,
    is_unused: impl Fn(&Package) -> bool,
) -> Vec<Arc<Package>> {
    // The order of versions, not of coming: whoever imports a folder brings them in any order.
    packages.sort_unstable_by(|a, b| {
        let later = version_order::compare(b.build.version.as_str(), a.build.version.as_str());
        later.then(b.id.cmp(&a.id))
    });
    let mut newest: HashMap<_, Vec<_>> = HashMap::new();
    for package in packages.iter().filter(|it| it.state == PackageState::Ready) {
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
        package.state != PackageState::Ready || !is_new && !is_protected && is_unused(package)
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

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "a test fails by panicking"
    )]

    use super::*;
    use crate::domain::package::Build;
    use crate::store::Content;

    /// `NAME VERSION[ OS]`, with a blob of so many bytes that is told by a digit.
    fn package(id: i64, said: &str, blob: char, size: u64) -> Package {
        let words: Vec<_> = said.split(' ').chain([""]).collect();
        let [name, version, os, ..] = words[..] else { panic!("{said}") };
        let digest = |digits| HexDigest::parse(&blob.to_string().repeat(digits), digits).unwrap();
        Package {
            id,
            build: Build::check(name, version, os, "").unwrap(),
            state: PackageState::Ready,
            why: None,
            content: Content {
                sha256: digest(64),
                md5: digest(32),
                size,
                unpacked_size: 0,
                entries: 1,
                seen: String::new(),
                manifest: serde_json::Value::Null,
            },
            signature: None,
            deprecated: None,
            protected: false,
            created: 0,
            actor: String::new(),
        }
    }

    /// Brought in this order.
    fn packages(all: &[&str]) -> Vec<Package> {
        let of = |(n, it): (usize, &&str)| package(n as i64, it, char::from_digit(n as u32, 16).unwrap(), 1);
        all.iter().enumerate().map(of).collect()
    }

    fn shown(packages: &[Arc<Package>]) -> Vec<String> {
        packages.iter().map(|it| it.build.to_string()).collect()
    }

    fn goes(all: Vec<Package>, keep: usize, used: &[&str]) -> Vec<String> {
        let all = all.into_iter().map(Arc::new).collect();
        shown(&unused(all, keep, |it| !used.contains(&&*format!("{} {}", it.build.name, it.build.version))))
    }

    #[test]
    fn the_newest_versions_of_each_agent_and_the_used_ones_stay() {
        let all = ["a 9", "a 1", "b 1", "a 2", "a 3"];
        let none: &[&str] = &[];
        for (keep, used, expected) in [
            (0, none, &["a 9", "a 3", "a 2", "b 1", "a 1"][..]),
            (1, none, &["a 3", "a 2", "a 1"]),
            (2, none, &["a 2", "a 1"]),
            (2, &["a 1"], &["a 2"]),
            (0, &["a 9", "b 1"], &["a 3", "a 2", "a 1"]),
            (4, none, &[]),
            (usize::MAX, none, &[]),
        ] {
            assert_eq!(goes(packages(&all), keep, used), expected, "{keep} {used:?}");
        }
        assert_eq!(goes(Vec::new(), 0, none), none);
    }

    #[test]
    fn the_newest_is_the_latest_version_whenever_it_was_brought() {
        assert_eq!(
            goes(packages(&["a 1.10", "a 1.9", "a 1.2~rc1", "a 1.2"]), 2, &[]),
            ["a 1.2", "a 1.2~rc1"]
        );
    }

    #[test]
    fn builds_of_one_version_stay_or_go_together() {
        let all = ["a 1", "a 1 linux", "a 2", "a 2 linux", "a 3"];
        for (keep, used, expected) in [
            (1, "", &["a 2 for linux", "a 2", "a 1 for linux", "a 1"][..]),
            (2, "", &["a 1 for linux", "a 1"]),
            (1, "a 1", &["a 2 for linux", "a 2"]),
        ] {
            assert_eq!(goes(packages(&all), keep, &[used]), expected, "{keep} {used:?}");
        }
        let mut one_protected = packages(&all);
        one_protected[1].protected = true;
        assert_eq!(goes(one_protected, 1, &[]), ["a 2 for linux", "a 2"]);
    }

    #[test]
    fn what_is_on_its_way_out_goes_and_is_none_of_the_newest() {
        for state in [PackageState::Deleting, PackageState::DeleteFailed] {
            let mut all = packages(&["a 1", "a 2", "a 3"]);
            all[2].state = state;
            assert_eq!(goes(all, 1, &["a 3"]), ["a 3", "a 1"], "{state}");
        }
    }

    #[test]
    fn bytes_are_freed_once_and_only_where_nobody_else_has_them() {
        let all = [("a 1", '1', 10), ("a 2", '2', 200), ("b 1", '1', 10), ("b 2", '3', 3000)];
        let all: Vec<_> = all
            .iter()
            .zip(0..)
            .map(|(&(said, blob, size), id)| Arc::new(package(id, said, blob, size)))
            .collect();
        for (going, bytes) in
            [(&[][..], 0), (&[0], 0), (&[1], 200), (&[0, 2], 10), (&[0, 1, 3], 3200), (&[0, 1, 2, 3], 3210)]
        {
            let going: Vec<_> = going.iter().map(|&n: &usize| all[n].clone()).collect();
            assert_eq!(freed_bytes(&all, &going), bytes, "{:?}", shown(&going));
        }
    }
}
