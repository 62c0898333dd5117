//! The files below `tarballDir`: whole or in part, never a listing, a dot file, a file of a data folder or anything
//! outside.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::*;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::Mode;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeekExt, ReadBuf};
use tokio_util::io::ReaderStream;

use super::error::Refusal;
use crate::domain::range::{self, Part};
use crate::first_token;
use crate::running::{App, Download};
use crate::store;

/// What is read from the disk at once.
const BUFFER_BYTES: usize = 128 << 10;
/// A file of this size needs no place among the downloads: a host that has just fetched a tarball must get its md5.
const SMALL_BYTES_MAX: u64 = 64 << 10;

/// GET and HEAD.
pub async fn file(
    State(app): State<Arc<App>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let root = app.running().config.tarball_dir.clone().ok_or(Refusal::NotFound)?;
    let path = inner_path(uri.path()).ok_or(Refusal::NotFound)?;
    let opened = tokio::task::spawn_blocking(move || Opened::open(&root, &path));
    let opened = opened.await.map_err(|_| Refusal::Failed)?.map_err(refusal)?;
    if opened.is_unchanged(&headers) {
        return Ok((StatusCode::NOT_MODIFIED, opened.validators()).into_response());
    }
    let part = match opened.range_applies(&headers) {
        true => range::part(headers.get(RANGE).map(HeaderValue::as_bytes), opened.size),
        false => Part::Whole,
    };
    let response = opened.response(part)?;
    match response.status() {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT if method != Method::HEAD => {}
        _ => return Ok(response),
    }
    opened.fill(response, part, &app).await
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

/// A regular file, and what was true of it when it was opened.
struct Opened {
    file: File,
    size: u64,
    modified: SystemTime,
    etag: String,
    content_type: &'static str,
}

impl Opened {
    /// Neither `..` nor a symbolic link leads out, and what is no regular file is not found. Does not wait for a
    /// writer where the path is a fifo.
    fn open(root: &Path, path: &Path) -> Result<Self, Errno> {
        let root = File::open(root).map_err(errno)?;
        let how = OpenHow::new()
            .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)
            .mode(Mode::empty())
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let file = File::from(openat2(&root, path, how)?);
        let metadata = file.metadata().map_err(errno)?;
        if !metadata.is_file() {
            return Err(Errno::ENOENT);
        }
        let modified = metadata.modified().map_err(errno)?;
        let age = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let etag = format!("\"{:x}-{:x}\"", metadata.len(), age.as_nanos());
        Ok(Self { file, size: metadata.len(), modified, etag, content_type: content_type(path) })
    }

    fn validators(&self) -> [(HeaderName, String); 2] {
        [(ETAG, self.etag.clone()), (LAST_MODIFIED, httpdate::fmt_http_date(self.modified))]
    }

    /// RFC 9110, 13.2.2: the tag decides, the date only where no tag was sent.
    fn is_unchanged(&self, headers: &HeaderMap) -> bool {
        match (text(headers, IF_NONE_MATCH), text(headers, IF_MODIFIED_SINCE)) {
            (Some(tags), _) => tags.split(',').any(|tag| self.is_tag(tag.trim())),
            (None, Some(date)) => {
                httpdate::parse_http_date(date).is_ok_and(|since| self.modified_seconds() <= seconds(since))
            }
            (None, None) => false,
        }
    }

    fn is_tag(&self, tag: &str) -> bool {
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.etag
    }

    /// RFC 9110, 13.1.5: a resumed download must be of the very same bytes, so a weak tag never matches, and a date
    /// only exactly.
    fn range_applies(&self, headers: &HeaderMap) -> bool {
        match text(headers, IF_RANGE) {
            Some(tag) if tag.starts_with('"') || tag.starts_with("W/") => tag == self.etag,
            Some(date) => {
                httpdate::parse_http_date(date).is_ok_and(|date| seconds(date) == self.modified_seconds())
            }
            // What is there and is no text matches nothing.
            None => !headers.contains_key(IF_RANGE),
        }
    }

    fn modified_seconds(&self) -> u64 {
        seconds(self.modified)
    }

    /// Everything but the body.
    fn response(&self, part: Part) -> Result<Response, Refusal> {
        let (status, content_range) = match part {
            Part::Whole => (StatusCode::OK, None),
            Part::Bytes { first, last } => {
                (StatusCode::PARTIAL_CONTENT, Some(format!("bytes {first}-{last}/{}", self.size)))
            }
            Part::Unsatisfiable => {
                (StatusCode::RANGE_NOT_SATISFIABLE, Some(format!("bytes */{}", self.size)))
            }
        };
        let mut response = (status, self.validators(), self.constants()).into_response();
        response.headers_mut().insert(CONTENT_LENGTH, part.length(self.size).into());
        if let Some(text) = content_range {
            response.headers_mut().insert(CONTENT_RANGE, text.try_into().map_err(|_| Refusal::Failed)?);
        }
        Ok(response)
    }

    async fn fill(self, mut response: Response, part: Part, app: &Arc<App>) -> Result<Response, Refusal> {
        let download = match self.size {
            ..=SMALL_BYTES_MAX => None,
            _ => Some(app.download().ok_or(Refusal::Busy)?),
        };
        let mut file = tokio::fs::File::from_std(self.file);
        file.seek(SeekFrom::Start(part.first())).await.map_err(|_| Refusal::Failed)?;
        let reader = Counted { inner: file.take(part.length(self.size)), _download: download };
        *response.body_mut() = Body::from_stream(ReaderStream::with_capacity(reader, BUFFER_BYTES));
        Ok(response)
    }

    fn constants(&self) -> [(HeaderName, &'static str); 3] {
        [(ACCEPT_RANGES, "bytes"), (CONTENT_TYPE, self.content_type), (X_CONTENT_TYPE_OPTIONS, "nosniff")]
    }
}

fn errno(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz" | "tgz") => "application/gzip",
        Some("md5" | "sha256" | "minisig" | "txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// A download that counts as one for as long as it is read.
struct Counted<R> {
    inner: R,
    _download: Option<Download>,
}

impl<R: AsyncRead + Unpin> AsyncRead for Counted<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}
