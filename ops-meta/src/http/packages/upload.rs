//! A package on its way in: its bytes are written aside while they come, read to their end, and only then a package.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_LENGTH, CONTENT_RANGE};
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http_body_util::BodyExt;
use ops_package::{Inspected, Limits, SIGNATURE_BYTES_MAX, WalkError, inspect};
use ops_wire::HexDigest;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::timeout;
use utoipa::{IntoParams, ToSchema};

use super::super::asked::{Nothing, Query, Segment};
use super::super::auth::{Publisher, With};
use super::super::problem::{Problem, Problems};
use super::super::whole::whole;
use super::shown::{Entry, EntryList, Shown};
use crate::blobs::{Received, Spool};
use crate::clock::now_ms;
use crate::domain::package::Build;
use crate::domain::range::{Sent, sent};
use crate::packages::{Brought, NotDone};
use crate::running::App;
use crate::store::{Actor, Content, NewPackage};

/// Pieces that wait for the disk: some 32 KiB each.
const PIECES_MAX: usize = 16;
/// Carries the `.minisig` file, in base64.
const SIGNATURE: &str = "x-minisign";
/// The code of a manifest that cannot be read, or contradicts what was asked for.
const MANIFEST_INVALID: &str = "manifest_invalid";
/// For who asks again while another upload is under way.
const RETRY_AFTER_SECS: u64 = 5;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UploadAsked {
    /// Only for hosts of this operating system; for all, unless said.
    #[serde(default)]
    #[param(value_type = Option<String>, pattern = "^[a-z0-9_]{0,32}$")]
    os: String,
    /// Only for hosts of this processor.
    #[serde(default)]
    #[param(value_type = Option<String>, pattern = "^[a-z0-9_]{0,32}$")]
    arch: String,
    /// Of the whole body, in hexadecimal digits. With it an upload that is cut can go on.
    #[param(pattern = "^[0-9a-fA-F]{64}$")]
    sha256: Option<String>,
    /// The same.
    #[param(pattern = "^[0-9a-fA-F]{32}$")]
    md5: Option<String>,
}

/// What was said of the upload before its first byte.
struct Told {
    build: Build,
    sha256: Option<HexDigest>,
    md5: Option<HexDigest>,
    range: Option<Sent>,
    signature: Option<String>,
}

impl Told {
    fn read(name: &str, version: &str, asked: &UploadAsked, headers: &HeaderMap) -> Result<Self, Problem> {
        let digest = |text: &Option<String>, field: &str, digits| match text {
            None => Ok(None),
            Some(text) => HexDigest::parse(text, digits).map(Some).ok_or_else(|| {
                Problem::field(field, format!("`{field}` has to be {digits} hexadecimal digits"))
            }),
        };
        let told = Self {
            build: Build::check(name, version, &asked.os, &asked.arch)?,
            sha256: digest(&asked.sha256, "sha256", 64)?,
            md5: digest(&asked.md5, "md5", 32)?,
            range: range(headers)?,
            signature: signature(headers)?,
        };
        if told.range.is_some() && told.sha256.is_none() {
            let detail = "`Content-Range` goes on with an upload, which is found by `sha256`; give that too";
            return Err(Problem::field("sha256", detail));
        }
        Ok(told)
    }

    /// Whether what came is what was told.
    fn fits(&self, received: &Received) -> Result<(), Problem> {
        let differs = |wanted: &Option<HexDigest>, is: &HexDigest, field: &str| match wanted {
            Some(wanted) if wanted != is => {
                let detail = format!(
                    "the {} bytes that came have {field} {is}, not {wanted}; nothing was kept of them",
                    received.size
                );
                Err(Problem::field(field, detail))
            }
            _ => Ok(()),
        };
        if let Some(range) = self.range.filter(|range| range.size != received.size) {
            let detail =
                format!("{} bytes came of the {} that `Content-Range` tells", received.size, range.size);
            return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
        }
        differs(&self.sha256, &received.sha256, "sha256")?;
        differs(&self.md5, &received.md5, "md5")
    }
}

fn range(headers: &HeaderMap) -> Result<Option<Sent>, Problem> {
    let Some(value) = headers.get(CONTENT_RANGE) else { return Ok(None) };
    sent(value.as_bytes()).map(Some).ok_or_else(|| {
        let detail = "`Content-Range` has to be `bytes FIRST-LAST/SIZE`, and to go to the end";
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })
}

fn signature(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(SIGNATURE) else { return Ok(None) };
    let wrong = || {
        let detail =
            format!("`X-Minisign` has to be a .minisig file of up to {SIGNATURE_BYTES_MAX} bytes, in base64");
        Problem::new(StatusCode::BAD_REQUEST, detail)
    };
    let bytes = BASE64_STANDARD.decode(value.as_bytes()).map_err(|_| wrong())?;
    let text = String::from_utf8(bytes).map_err(|_| wrong())?;
    match text.len() {
        1..=SIGNATURE_BYTES_MAX => Ok(Some(text)),
        _ => Err(wrong()),
    }
}

/// Brings a package: 201 where it is new, 200 where the same bytes are there already.
#[utoipa::path(put, path = "/api/v1/packages/{name}/{version}", operation_id = "pushPackage", tag = "packages", security(("token" = [])),
    params(("name" = String, Path), ("version" = String, Path), UploadAsked),
    request_body(content = Vec<u8>, content_type = "application/gzip"),
    responses((status = 200, body = Shown), (status = 201, body = Shown), Problems))]
pub async fn put(
    State(app): State<Arc<App>>,
    publisher: With<Publisher>,
    Segment((name, version)): Segment<(String, String)>,
    Query(asked): Query<UploadAsked>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Shown>), Problem> {
    let told = Told::read(&name, &version, &asked, &headers)?;
    let most = app.running().config.limits.package_bytes_max;
    let length = headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse::<u64>().ok());
    let offset = told.range.map_or(0, |range| range.first);
    if length.is_some_and(|length| length.saturating_add(offset) > most) {
        return Err(too_large(most));
    }
    let _place = app.packages.blobs.places.clone().try_acquire_owned().map_err(|_| {
        let detail = "too many packages are being uploaded at once; try again later";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(RETRY_AFTER_SECS)
    })?;
    unwanted(&app, &told)?;
    room(&app, length).await?;
    let spool = begin(&app, &told, offset).await?;
    let received = receive(&app, spool, offset, body).await?;
    if let Err(problem) = told.fits(&received) {
        received.spool.discard();
        return Err(problem);
    }
    let actor = publisher.caller.actor();
    let brought = whole(async move { accept(&app, actor, told, received).await }).await?;
    let (status, package) = match brought {
        Brought::New(package) => (StatusCode::CREATED, package),
        Brought::There(package) => (StatusCode::OK, package),
    };
    Ok((status, Json(Shown::of(&package))))
}

/// Refuses what is refused in the end anyway: a client that waits for `100 Continue` has sent nothing yet.
fn unwanted(app: &App, told: &Told) -> Result<(), Problem> {
    let there = app.packages.find(&told.build);
    match there.zip(told.sha256.as_ref()) {
        Some((there, sha256)) if there.content.sha256 != *sha256 => Err(NotDone::Differs(there).into()),
        _ => Ok(()),
    }
}

/// Whether so much fits on the disk, as far as anybody can tell now.
async fn room(app: &Arc<App>, length: Option<u64>) -> Result<(), Problem> {
    let (app, wanted) = (app.clone(), length.unwrap_or_default());
    let free = tokio::task::spawn_blocking(move || app.packages.blobs.free_bytes());
    match free.await.map_err(|_| broken_off())? {
        Ok(free) if free < wanted => Err(full()),
        // It is seen when it is written.
        _ => Ok(()),
    }
}

async fn begin(app: &Arc<App>, told: &Told, offset: u64) -> Result<Spool, Problem> {
    let begun = app.packages.blobs.begin(&told.build.path(), told.sha256.as_ref());
    let spool = begun.ok_or_else(|| {
        let detail = format!("package {} is being uploaded already; wait until that has ended", told.build);
        Problem::new(StatusCode::CONFLICT, detail).retry_after(RETRY_AFTER_SECS)
    })?;
    let looked = tokio::task::spawn_blocking(move || (spool.offset(), spool));
    let (there, spool) = looked.await.map_err(|_| broken_off())?;
    if offset > there {
        let detail = format!(
            "{there} bytes of this upload are there, and it would go on at {offset}; go on at {there}, or before"
        );
        return Err(Problem::new(StatusCode::CONFLICT, detail).offset(there));
    }
    Ok(spool)
}

/// Writes the body aside while it comes.
async fn receive(app: &App, spool: Spool, offset: u64, body: Body) -> Result<Received, Problem> {
    let limits = &app.running().config.limits;
    let (most, idle) = (limits.package_bytes_max, limits.patience.idle_max);
    let (pieces, coming) = mpsc::channel(PIECES_MAX);
    let writing = tokio::task::spawn_blocking(move || spool.receive(offset, coming));
    let sent = send(body, pieces, most.saturating_sub(offset), idle).await;
    let received = writing.await.map_err(|_| broken_off())?.map_err(|error| unwritten(&error))?;
    match sent {
        Ok(()) => Ok(received),
        Err(Broken::TooLarge) => {
            received.spool.discard();
            Err(too_large(most))
        }
        Err(Broken::Cut) => {
            let detail = format!("the upload was cut after {} bytes", received.size);
            Err(Problem::new(StatusCode::BAD_REQUEST, detail))
        }
    }
}

enum Broken {
    Cut,
    TooLarge,
}

async fn send(
    mut body: Body,
    pieces: mpsc::Sender<bytes::Bytes>,
    most: u64,
    idle: Duration,
) -> Result<(), Broken> {
    let mut count = 0;
    while let Some(frame) = timeout(idle, body.frame()).await.map_err(|_| Broken::Cut)? {
        let Ok(piece) = frame.map_err(|_| Broken::Cut)?.into_data() else { continue };
        count += piece.len() as u64;
        if count > most {
            return Err(Broken::TooLarge);
        }
        // Whoever writes has failed, and says why.
        if pieces.send(piece).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Reads what came, and makes it a package.
async fn accept(app: &App, actor: Actor, told: Told, received: Received) -> Result<Brought, Problem> {
    let file = received.spool.open().map_err(|error| unwritten(&error))?;
    let inspected = tokio::task::spawn_blocking(move || inspect(file, &Limits::default()));
    let inspected = match inspected.await.map_err(|_| broken_off())? {
        Ok(inspected) => inspected,
        Err(WalkError::Read(error)) => return Err(unwritten(&error)),
        Err(refused) => {
            received.spool.discard();
            let detail = format!("{} is refused: {refused}", told.build.file());
            let code = match refused {
                WalkError::Refused(refusal) => refusal.code(),
                _ => MANIFEST_INVALID,
            };
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail).code(code));
        }
    };
    match new_package(told, &received, inspected) {
        Ok(new) => Ok(app.packages.bring(&app.store, actor, received, new).await?),
        Err(problem) => {
            received.spool.discard();
            Err(problem)
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
    let platform = match (platform.is_any(), manifest.platform.is_any()) {
        (true, _) => manifest.platform.clone(),
        (false, false) if manifest.platform != platform => {
            let shown =
                |it: &ops_package::Platform| format!("{} {}", it.os(), it.arch()).trim_end().to_owned();
            return Err(unlike("os", &shown(&manifest.platform), &shown(&platform)));
        }
        (false, _) => platform,
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

/// How far an upload came.
#[derive(Serialize, ToSchema)]
pub struct UploadOffset {
    /// Bytes that are there; 0: none.
    offset: u64,
}

/// Where an upload that was cut goes on: `Content-Range: bytes OFFSET-LAST/SIZE`. It is kept for a day.
#[utoipa::path(get, path = "/api/v1/uploads/{sha256}", operation_id = "showUpload", tag = "packages", security(("token" = [])),
    params(("sha256" = String, Path, pattern = "^[0-9a-fA-F]{64}$")), responses((status = 200, body = UploadOffset), Problems))]
pub async fn upload_offset(
    State(app): State<Arc<App>>,
    _: With<Publisher>,
    Segment(sha256): Segment,
    _: Query<Nothing>,
) -> Result<Json<UploadOffset>, Problem> {
    let wrong = || Problem::field("sha256", "`sha256` has to be 64 hexadecimal digits");
    let sha256 = HexDigest::sha256(&sha256).ok_or_else(wrong)?;
    let looked = tokio::task::spawn_blocking(move || app.packages.blobs.offset(&sha256));
    Ok(Json(UploadOffset { offset: looked.await.map_err(|_| broken_off())? }))
}

fn too_large(most: u64) -> Problem {
    let detail =
        format!("a package has {most} bytes at most; `packageBytesMax` in ops-meta's cfg.json allows more");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

fn full() -> Problem {
    let detail = "the disk of the data folder is full; make room (`ops-meta package gc`), nothing was kept";
    Problem::new(StatusCode::INSUFFICIENT_STORAGE, detail)
}

fn unwritten(error: &std::io::Error) -> Problem {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => full(),
        _ => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("failed to keep the upload: {error}")),
    }
}

fn broken_off() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the work was broken off; push it again")
}
