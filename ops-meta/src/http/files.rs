//! The files below `tarballDir`: whole or in part, never a listing, a dot file, a file of a data folder or anything
//! outside.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::Mode;
use percent_encoding::percent_decode_str;

use super::error::Refusal;
use super::served::Opened;
use crate::first_token;
use crate::running::App;
use crate::store;

/// GET and HEAD.
pub async fn file(
    State(app): State<Arc<App>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let root = app.running().config.tarball_dir.clone().ok_or(Refusal::NotFound)?;
    let path = inner_path(uri.path()).ok_or(Refusal::NotFound)?;
    let opened = tokio::task::spawn_blocking(move || open(&root, &path));
    let opened = opened.await.map_err(|_| Refusal::Failed)?.map_err(refusal)?;
    opened.answer(&app, &method, &headers).await
}

/// The path below the root, or `None` for what is never served: the API's too, however it is spelled.
fn inner_path(path: &str) -> Option<PathBuf> {
    let decoded: Vec<u8> = percent_decode_str(path).collect();
    // A prefix that ends in `/` makes a path that begins with two; 2015's server led it to the right one.
    let begin = decoded.iter().position(|&b| b != b'/')?;
    let inner = decoded.get(begin..)?;
    let good = |part: &[u8]| {
        !part.is_empty() && !part.starts_with(b".") && !part.contains(&0) && !is_of_a_data_folder(part)
    };
    let mut parts = inner.split(|&b| b == b'/').peekable();
    let is_api = parts.peek() == Some(&&b"api"[..]);
    (!is_api && parts.all(good)).then(|| PathBuf::from(OsStr::from_bytes(inner)))
}

/// Somebody may serve a copy of a data folder, or that of another ops-meta: nobody is to fetch its tokens.
fn is_of_a_data_folder(name: &[u8]) -> bool {
    let begins = [first_token::FILE, store::FILE].iter().any(|file| name.starts_with(file.as_bytes()));
    begins || name == store::LOCK.as_bytes()
}

fn refusal(error: Errno) -> Refusal {
    match error {
        Errno::EMFILE | Errno::ENFILE | Errno::EAGAIN => Refusal::Busy,
        // A kernel before 5.6 has no openat2; nothing else is as safe.
        Errno::ENOSYS | Errno::EIO => Refusal::Failed,
        _ => Refusal::NotFound,
    }
}

/// Neither `..` nor a symbolic link leads out, and what is no regular file is not found. Does not wait for a
/// writer where the path is a fifo.
fn open(root: &Path, path: &Path) -> Result<Opened, Errno> {
    let root = File::open(root).map_err(errno)?;
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)
        .mode(Mode::empty())
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let file = File::from(openat2(&root, path, how)?);
    if !file.metadata().map_err(errno)?.is_file() {
        return Err(Errno::ENOENT);
    }
    Opened::of(file, None, content_type(path)).map_err(errno)
}

fn errno(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz" | "tgz") => "application/gzip",
        Some("md5" | "sha256" | "minisig" | "txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
