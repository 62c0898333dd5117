//! A package on its way in: its bytes are written aside while they come, read to their end, and only then a package.

mod archive;
mod stream;

use std::net::IpAddr;
use std::sync::Arc;
use std::{fmt, io};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_LENGTH, CONTENT_RANGE};
use axum::http::{Extensions, HeaderMap, StatusCode};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ops_package::SIGNATURE_BYTES_MAX;
use ops_wire::HexDigest;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use utoipa::{IntoParams, ToSchema};

use super::super::asked::{Nothing, Query, Segment};
use super::super::auth::{self, Publisher, With};
use super::super::problem::{Problem, Problems};
use super::super::whole::whole;
use super::shown::Shown;
use crate::blobs::{Promise, Received, Spool};
use crate::domain::package::Build;
use crate::domain::range::{Sent, sent};
use crate::packages::{Brought, NotDone};
use crate::running::App;
use crate::store::Actor;
use archive::NoPackage;
use stream::Coming;

/// Carries the `.minisig` file, in base64.
const SIGNATURE: &str = "x-minisign";
/// All uploads that were cut are kept up to so many of the largest.
const PARTS_MAX: u64 = 2;
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
    /// Of the body; `None`: nobody knows.
    length: Option<u64>,
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
            length: headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse().ok()),
            signature: signature(headers)?,
        };
        if told.range.is_some() && told.sha256.is_none() {
            let detail = "`Content-Range` goes on with an upload, which is found by `sha256`; give that too";
            return Err(Problem::field("sha256", detail));
        }
        if let Some((length, range)) = told.length.zip(told.range)
            && range.first.saturating_add(length) != range.size
        {
            let detail = format!(
                "from {} on there are {} bytes of the {} that `Content-Range` tells, and `Content-Length` is {length}",
                range.first,
                range.size.saturating_sub(range.first),
                range.size
            );
            return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
        }
        Ok(told)
    }

    /// Where it goes on.
    fn offset(&self) -> u64 {
        self.range.map_or(0, |range| range.first)
    }

    /// Whether it is too large, as far as it says.
    fn bounded(&self, most: u64) -> Result<(), Problem> {
        let size = self.range.map(|range| range.size).max(self.length);
        match size.is_some_and(|size| size > most) {
            true => Err(too_large(most)),
            false => Ok(()),
        }
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
    extensions: Extensions,
    body: Body,
) -> Result<(StatusCode, Json<Shown>), Problem> {
    let mut coming = Coming::of(body, &headers);
    let caller = (publisher.caller.actor(), auth::address(&extensions));
    let pushed = push(&app, caller, Told::read(&name, &version, &asked, &headers), &mut coming).await;
    if pushed.is_err() {
        coming.hear_out().await;
    }
    let (status, package) = match pushed? {
        Brought::New(package) => (StatusCode::CREATED, package),
        Brought::There(package) => (StatusCode::OK, package),
    };
    Ok((status, Json(Shown::of(&package))))
}

async fn push(
    app: &Arc<App>,
    (actor, from): (Actor, IpAddr),
    told: Result<Told, Problem>,
    coming: &mut Coming,
) -> Result<Brought, Problem> {
    let told = told?;
    let most = app.running().config.limits.package_bytes_max;
    told.bounded(most)?;
    let _place = app.packages.blobs.place(from).ok_or_else(|| {
        let detail = "too many packages are being uploaded at once; try again later";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(RETRY_AFTER_SECS)
    })?;
    unwanted(app, &told)?;
    let promise = room(app, told.length).await?;
    let (spool, ended) = begin(app, &told, most).await?;
    let brought = bring(app, actor, told, (spool, promise), coming).await;
    // Who tries again finds nothing of it that is still on its way out.
    let _ = ended.await;
    brought
}

async fn bring(
    app: &Arc<App>,
    actor: Actor,
    told: Told,
    (spool, promise): (Spool, Promise),
    coming: &mut Coming,
) -> Result<Brought, Problem> {
    let limits = app.running().config.limits.clone();
    let received = coming.receive(spool, told.offset(), promise, &limits).await?;
    if let Err(problem) = told.fits(&received) {
        received.spool.discard();
        return Err(problem);
    }
    let app = app.clone();
    whole(async move { accept(&app, actor, told, received).await }).await
}

/// Refuses what is refused in the end anyway: a client that waits for `100 Continue` has sent nothing yet.
fn unwanted(app: &App, told: &Told) -> Result<(), Problem> {
    let there = app.packages.find(&told.build);
    match there.zip(told.sha256.as_ref()) {
        Some((there, sha256)) if there.content.sha256 != *sha256 => Err(NotDone::Differs(there).into()),
        _ => Ok(()),
    }
}

/// So much on the disk, beside what others were promised.
async fn room(app: &Arc<App>, length: Option<u64>) -> Result<Promise, Problem> {
    let (app, wanted) = (app.clone(), length.unwrap_or_default());
    let reserve = app.running().config.limits.disk_reserve_bytes;
    let looked = tokio::task::spawn_blocking(move || app.packages.blobs.promise(wanted, reserve));
    looked.await.map_err(|_| broken_off())?.map_err(|short| full(&short))
}

async fn begin(app: &App, told: &Told, most: u64) -> Result<(Spool, oneshot::Receiver<()>), Problem> {
    let kept_bytes_max = most.saturating_mul(PARTS_MAX);
    let begun = app.packages.blobs.begin(&told.build.path(), told.sha256.as_ref(), kept_bytes_max);
    let (spool, ended) = begun.ok_or_else(|| {
        let detail = format!("package {} is being uploaded already; wait until that has ended", told.build);
        Problem::new(StatusCode::CONFLICT, detail).retry_after(RETRY_AFTER_SECS)
    })?;
    let looked = tokio::task::spawn_blocking(move || (spool.offset(), spool));
    let (there, spool) = looked.await.map_err(|_| broken_off())?;
    let offset = told.offset();
    if offset > there {
        let detail = format!(
            "{there} bytes of this upload are there, and it would go on at {offset}; go on at {there}, or before"
        );
        return Err(Problem::new(StatusCode::CONFLICT, detail).offset(there));
    }
    Ok((spool, ended))
}

/// Reads what came, and makes it a package.
async fn accept(app: &App, actor: Actor, told: Told, received: Received) -> Result<Brought, Problem> {
    let read = tokio::task::spawn_blocking(move || (archive::read(told, &received), received));
    match read.await.map_err(|_| broken_off())? {
        (Ok(new), received) => {
            let build = new.build.clone();
            let brought = app.packages.bring(&app.store, actor, received, new).await?;
            app.package_changed(&build).await;
            Ok(brought)
        }
        (Err(NoPackage::Unread(error)), _) => Err(unwritten(&error)),
        (Err(NoPackage::Refused(problem)), received) => {
            received.spool.discard();
            Err(problem)
        }
    }
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

fn full(why: &dyn fmt::Display) -> Problem {
    let detail = format!(
        "the disk of the data folder is full: {why}; make room (`ops-meta package gc`), nothing was kept"
    );
    Problem::new(StatusCode::INSUFFICIENT_STORAGE, detail)
}

fn unwritten(error: &io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => full(error),
        _ => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("failed to keep the upload: {error}")),
    }
}

fn broken_off() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the work was broken off; push it again")
}
