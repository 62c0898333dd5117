//! Packages: what is kept of each, and how it comes and goes.

use std::fmt;
use std::str::FromStr;

use ops_wire::HexDigest;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde_json::{Value, json};

use super::admin::Done;
use super::sqlite::Durability;
use super::{Store, StoreError};
use crate::domain::package::Build;

/// A package as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Package {
    pub id: i64,
    pub build: Build,
    pub state: PackageState,
    /// Of `DeleteFailed`.
    pub why: Option<String>,
    pub content: Content,
    /// The text of its `.minisig`.
    pub signature: Option<String>,
    /// Why nobody should use it any more.
    pub deprecated: Option<String>,
    pub protected: bool,
    /// Unix milliseconds.
    pub created: i64,
    pub actor: String,
}

/// What a tarball is, once it was read to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    pub sha256: HexDigest,
    pub md5: HexDigest,
    /// Bytes.
    pub size: u64,
    pub unpacked_size: u64,
    /// Files, folders and links.
    pub entries: u64,
    /// The blob's file when its bytes were last seen to be right, see `blobs`.
    pub seen: String,
    /// JSON; an empty object where the archive has none.
    pub manifest: Value,
}

impl Content {
    /// A field of the manifest; null where it says nothing.
    pub fn said(&self, key: &str) -> &Value {
        self.manifest.get(key).unwrap_or(&Value::Null)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackageState {
    Ready,
    /// It is served no more, and its blob is on its way out.
    Deleting,
    /// The same, but the blob could not be removed.
    DeleteFailed,
}

impl PackageState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Deleting => "deleting",
            Self::DeleteFailed => "delete_failed",
        }
    }
}

impl fmt::Display for PackageState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// None of them.
pub struct NoState;

impl FromStr for PackageState {
    type Err = NoState;

    fn from_str(text: &str) -> Result<Self, NoState> {
        let all = [Self::Ready, Self::Deleting, Self::DeleteFailed];
        all.into_iter().find(|state| state.as_str() == text).ok_or(NoState)
    }
}

/// A package that is to be.
#[derive(Debug, Clone)]
pub struct NewPackage {
    pub build: Build,
    pub content: Content,
    pub signature: Option<String>,
    pub deprecated: Option<String>,
    /// JSON.
    pub listing: String,
    /// Unix milliseconds.
    pub created: i64,
}

impl NewPackage {
    /// As it is kept from then on.
    pub fn kept(self, id: i64, actor: String) -> Package {
        let Self { build, content, signature, deprecated, created, .. } = self;
        let (state, why, protected) = (PackageState::Ready, None, false);
        Package { id, build, state, why, content, signature, deprecated, protected, created, actor }
    }
}

/// What is to become of a package that is there.
#[derive(Debug, Clone)]
pub enum PackageChange {
    Sign(String),
    /// Each where it is given.
    Mark {
        deprecated: Option<Option<String>>,
        protected: Option<bool>,
    },
    /// From now on it is no more served.
    Delete,
    DeleteFailed(String),
    /// The blob is gone too.
    Gone,
    /// What lies there is not what was brought.
    Altered(String),
}

impl Package {
    /// After a change that is in the database.
    pub fn after(&self, change: &PackageChange) -> Self {
        let mut it = self.clone();
        match change {
            PackageChange::Sign(signature) => it.signature = Some(signature.clone()),
            PackageChange::Mark { deprecated, protected } => {
                it.deprecated = deprecated.clone().unwrap_or(it.deprecated);
                it.protected = protected.unwrap_or(it.protected);
            }
            PackageChange::Delete => (it.state, it.why) = (PackageState::Deleting, None),
            PackageChange::DeleteFailed(why) => {
                (it.state, it.why) = (PackageState::DeleteFailed, Some(why.clone()));
            }
            PackageChange::Gone | PackageChange::Altered(_) => {}
        }
        it
    }
}

impl Store {
    /// Every package. Blocks; for the start.
    pub fn packages(&self) -> Result<Vec<Package>, StoreError> {
        let reader = self.sqlite.reader()?;
        let mut statement = reader.prepare("SELECT * FROM packages ORDER BY id")?;
        let mut rows = statement.query([])?;
        let mut packages = Vec::new();
        while let Some(row) = rows.next()? {
            packages.push(package(row)?);
        }
        Ok(packages)
    }

    /// What is in it, in JSON.
    pub async fn package_entries(&self, id: i64) -> Result<Option<String>, StoreError> {
        let found = move |it: &Connection| {
            let sql = "SELECT entries FROM package_entries WHERE id = ?";
            Ok(it.query_row(sql, [id], |row| row.get(0)).optional()?)
        };
        self.sqlite.read(found).await
    }

    /// Notes the file of a blob whose bytes were seen to be right. No decision of an operator's, so no event.
    pub async fn blob_seen(&self, sha256: HexDigest, seen: String) -> Result<(), StoreError> {
        let note = move |it: &Transaction<'_>| {
            it.execute("UPDATE packages SET seen = ? WHERE sha256 = ?", params![seen, sha256.as_str()])?;
            Ok(())
        };
        self.sqlite.write(Durability::Process, note).await
    }
}

pub(super) fn create(
    transaction: &Transaction<'_>,
    new: NewPackage,
    actor: &str,
) -> Result<Done, StoreError> {
    let Build { name, version, platform } = &new.build;
    let path = new.build.path();
    let sql = "SELECT name, version FROM packages WHERE path = ?";
    let names = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
    if let Some((other, its)) = transaction.query_row(sql, [&path], names).optional()? {
        let why = format!("there is a package {other} {its}, which hosts fetch as `{path}` too");
        return Err(StoreError::Conflict(why));
    }
    let content = &new.content;
    let sql = "SELECT sha256 FROM deleted_packages WHERE name = ? AND version = ? AND os = ? AND arch = ?";
    let key = [name.as_str(), version.as_str(), platform.os(), platform.arch()];
    let was: Option<String> = transaction.query_row(sql, key, |row| row.get(0)).optional()?;
    if let Some(was) = was.filter(|was| was != content.sha256.as_str()) {
        let why = format!(
            "package {} was deleted, and had other bytes (sha256 {was}), which some hosts may have still; a version \
             never changes: take another one",
            new.build
        );
        return Err(StoreError::Conflict(why));
    }
    transaction.execute(
        "INSERT INTO packages (name, version, os, arch, path, state, sha256, md5, size, unpacked_size, entries, seen,
            signature, manifest, deprecated, protected, created, actor)
         VALUES (?, ?, ?, ?, ?, 'ready', ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?)",
        params![
            name.as_str(),
            version.as_str(),
            platform.os(),
            platform.arch(),
            path,
            content.sha256.as_str(),
            content.md5.as_str(),
            content.size as i64,
            content.unpacked_size as i64,
            content.entries as i64,
            content.seen,
            new.signature,
            content.manifest.to_string(),
            new.deprecated,
            new.created,
            actor,
        ],
    )?;
    let id = transaction.last_insert_rowid();
    transaction.execute("INSERT INTO package_entries VALUES (?, ?)", params![id, new.listing])?;
    let after = json!({"sha256": content.sha256, "size": content.size, "signed": new.signature.is_some()});
    Ok(Done { id: Some(id), ..done("package.created", &new.build, None, Some(after)) })
}

/// `None` where nothing is to be done.
pub(super) fn change(
    transaction: &Transaction<'_>,
    id: i64,
    change: PackageChange,
) -> Result<Option<Done>, StoreError> {
    let found = transaction
        .query_row("SELECT * FROM packages WHERE id = ?", [id], |row| Ok(package(row)))
        .optional()?;
    let before = found.ok_or_else(|| StoreError::Missing(format!("package {id}")))??;
    let build = &before.build;
    let set = |sql: &str, value: &dyn rusqlite::ToSql| {
        transaction.execute(&format!("UPDATE packages SET {sql} WHERE id = ?2"), params![value, id])
    };
    let done = match change {
        PackageChange::Sign(signature) => {
            set("signature = ?1", &signature)?;
            done("package.signed", build, None, Some(json!({"signature": signature})))
        }
        PackageChange::Mark { deprecated, protected } => {
            let deprecated = deprecated.unwrap_or_else(|| before.deprecated.clone());
            let protected = protected.unwrap_or(before.protected);
            if (&deprecated, protected) == (&before.deprecated, before.protected) {
                return Ok(None);
            }
            set("deprecated = ?1", &deprecated)?;
            set("protected = ?1", &protected)?;
            let told = |deprecated: &Option<String>, protected: bool| json!({"deprecated": deprecated, "protected": protected});
            let was = told(&before.deprecated, before.protected);
            done("package.marked", build, Some(was), Some(told(&deprecated, protected)))
        }
        PackageChange::Delete => {
            // What is on its way out was not protected when it was to go.
            if before.protected && before.state == PackageState::Ready {
                let why =
                    format!("package {build} is protected; `ops-meta package protect --off` lifts that");
                return Err(StoreError::Conflict(why));
            }
            set("state = ?1", &PackageState::Deleting.as_str())?;
            transaction.execute("UPDATE packages SET why = NULL WHERE id = ?", [id])?;
            if before.state == PackageState::Deleting {
                return Ok(None);
            }
            done("package.deleting", build, None, None)
        }
        PackageChange::DeleteFailed(why) => {
            set("state = ?1", &PackageState::DeleteFailed.as_str())?;
            set("why = ?1", &why)?;
            done("package.delete_failed", build, None, Some(json!({"why": why})))
        }
        PackageChange::Gone => {
            let Build { name, version, platform } = build;
            let (os, arch, sha256) = (platform.os(), platform.arch(), before.content.sha256.as_str());
            let gone = "INSERT OR REPLACE INTO deleted_packages VALUES (?, ?, ?, ?, ?)";
            transaction.execute(gone, params![name.as_str(), version.as_str(), os, arch, sha256])?;
            transaction.execute("DELETE FROM packages WHERE id = ?", [id])?;
            transaction.execute("DELETE FROM package_entries WHERE id = ?", [id])?;
            let was = json!({"sha256": before.content.sha256, "size": before.content.size});
            done("package.deleted", build, Some(was), None)
        }
        PackageChange::Altered(why) => done("package.altered", build, None, Some(json!({"why": why}))),
    };
    Ok(Some(done))
}

fn done(kind: &'static str, build: &Build, before: Option<Value>, after: Option<Value>) -> Done {
    Done { kind, object: format!("package {build}"), before, after, id: None }
}

fn package(row: &Row<'_>) -> Result<Package, StoreError> {
    let text = |name: &str| row.get::<_, String>(name);
    let damaged = |what: &str| StoreError::Damaged(format!("a row of `packages` has no {what}"));
    let number = |name: &str| row.get::<_, i64>(name).map(i64::unsigned_abs);
    let digest = |name, digits| HexDigest::parse(&text(name)?, digits).ok_or_else(|| damaged(name));
    let build = Build::check(&text("name")?, &text("version")?, &text("os")?, &text("arch")?);
    let content = Content {
        sha256: digest("sha256", 64)?,
        md5: digest("md5", 32)?,
        size: number("size")?,
        unpacked_size: number("unpacked_size")?,
        entries: number("entries")?,
        seen: text("seen")?,
        manifest: serde_json::from_str(&text("manifest")?).map_err(|_| damaged("manifest"))?,
    };
    Ok(Package {
        id: row.get("id")?,
        build: build.map_err(|why| StoreError::Damaged(format!("a row of `packages`: {why}")))?,
        state: text("state")?.parse().map_err(|NoState| damaged("state"))?,
        why: row.get("why")?,
        content,
        signature: row.get("signature")?,
        deprecated: row.get("deprecated")?,
        protected: row.get("protected")?,
        created: row.get("created")?,
        actor: row.get("actor")?,
    })
}
