//! What hosts fetch: `/packages/NAME-VERSION.tar.gz`, and what stands beside it. A file below `tarballDir` is found where
//! there is no such package.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, Method, Uri};
use axum::response::{IntoResponse, Response};

use super::auth::Fetcher;
use super::error::Refusal;
use super::files;
use super::served::Opened;
use crate::blobs::BlobError;
use crate::packages::NotDone;
use crate::running::App;
use crate::store::Package;

/// GET and HEAD.
#[utoipa::path(get, path = "/packages/{path}", operation_id = "fetchPackage", tag = "packages",
    params(("path" = String, Path, description = "`[OS[-ARCH]/]NAME-VERSION.tar.gz`, and behind it perhaps `.md5`, `.sha256`, `.minisig`")),
    responses((status = 200, body = Vec<u8>, content_type = "application/gzip"), super::error::Refusals))]
pub async fn package(
    State(app): State<Arc<App>>,
    _: Fetcher,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let asked = uri.path().trim_start_matches('/').strip_prefix("packages/").unwrap_or_default();
    let Some((package, beside)) = find(&app, asked) else {
        return files::file(State(app), method, uri, headers).await;
    };
    let file = package.build.file();
    let text = match beside {
        Beside::Nothing => return tarball(&app, &package, &method, &headers).await,
        Beside::Md5 => format!("{}  {file}\n", package.content.md5),
        Beside::Sha256 => format!("{}  {file}\n", package.content.sha256),
        Beside::Signature => package.signature.clone().ok_or(Refusal::NotFound)?,
    };
    let heads = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    Ok((heads, text).into_response())
}

/// What is asked for of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nothing,
    Md5,
    Sha256,
    Signature,
}

fn find(app: &App, asked: &str) -> Option<(Arc<Package>, Beside)> {
    let asked = percent_encoding::percent_decode_str(asked).decode_utf8().ok()?;
    let beside = [(".md5", Beside::Md5), (".sha256", Beside::Sha256), (".minisig", Beside::Signature)];
    let mut found =
        beside.into_iter().filter_map(|(ending, beside)| Some((asked.strip_suffix(ending)?, beside)));
    let (path, beside) = found.next().unwrap_or((&asked, Beside::Nothing));
    Some((app.packages.served(path)?, beside))
}

/// Its tag is its digest: the same from every server, and after every restart.
async fn tarball(
    app: &Arc<App>,
    package: &Arc<Package>,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let blob = app.packages.blob(&app.store, package).await.map_err(|why| {
        let fields = [("package", &*package.build.to_string()), ("why", &*why.to_string())];
        app.told.packages.warn("package_not_served", &fields);
        match why {
            // It may be put back.
            NotDone::Blob(BlobError::Missing) => Refusal::NotFound,
            NotDone::Reading => Refusal::Busy,
            _ => Refusal::Failed,
        }
    })?;
    let tag = format!("\"{}\"", package.content.sha256);
    let opened = Opened::of(blob.file, Some(tag), "application/gzip").map_err(|_| Refusal::Failed)?;
    opened.answer(app, method, headers).await
}
