//! A file as an answer: whole or in part, with a tag by which it is recognised.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use axum::http::header::*;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::stream::try_unfold;
use rustix::io::{ReadWriteFlags, preadv2};

use super::error::Refusal;
use crate::domain::range::{self, Part};
use crate::running::{App, Download};

/// What is read at once: so much is still in the processor's cache when it is sent.
const PIECE_BYTES: u64 = 32 << 10;
/// A file of this size needs no place among the downloads: a host that has just fetched a tarball must get its md5.
const SMALL_BYTES_MAX: u64 = 64 << 10;

/// A regular file, and what was true of it when it was opened.
pub struct Opened {
    file: File,
    size: u64,
    modified: SystemTime,
    etag: String,
    content_type: &'static str,
}

impl Opened {
    /// Of a file whose tag says all there is to say, or one made of its size and time.
    pub fn of(file: File, etag: Option<String>, content_type: &'static str) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let modified = metadata.modified()?;
        let age = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let etag = etag.unwrap_or_else(|| format!("\"{:x}-{:x}\"", metadata.len(), age.as_nanos()));
        Ok(Self { file, size: metadata.len(), modified, etag, content_type })
    }

    /// The whole of it, a part, or that it is unchanged. GET and HEAD.
    pub async fn answer(
        self,
        app: &Arc<App>,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Response, Refusal> {
        if self.is_unchanged(headers) {
            return Ok((StatusCode::NOT_MODIFIED, self.validators()).into_response());
        }
        // RFC 9110, 14.2: with any other method it says nothing.
        let part = match method == Method::GET && self.range_applies(headers) {
            true => range::part(headers.get(RANGE).map(HeaderValue::as_bytes), self.size),
            false => Part::Whole,
        };
        let response = self.response(part)?;
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT if method != Method::HEAD => {}
            _ => return Ok(response),
        }
        self.fill(response, part, app).await
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
        let (at, left) = (part.first(), part.length(self.size));
        let reading = Reading { file: self.file, at, left, piece: Bytes::new(), _download: download };
        *response.body_mut() = Body::from_stream(try_unfold(reading, Reading::next));
        Ok(response)
    }

    fn constants(&self) -> [(HeaderName, &'static str); 3] {
        [(ACCEPT_RANGES, "bytes"), (CONTENT_TYPE, self.content_type), (X_CONTENT_TYPE_OPTIONS, "nosniff")]
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// What is still to be read of a file. It counts as a download for so long.
struct Reading {
    file: File,
    at: u64,
    left: u64,
    /// The last piece: its memory has the next one, once it is sent.
    piece: Bytes,
    _download: Option<Download>,
}

impl Reading {
    /// The next piece: read at once where it lies in memory already, else by a thread that may wait for the disk.
    async fn next(mut self) -> io::Result<Option<(Bytes, Self)>> {
        if self.left == 0 {
            return Ok(None);
        }
        let last = std::mem::take(&mut self.piece).try_into_mut();
        let mut piece = last.unwrap_or_else(|_| BytesMut::new());
        piece.resize(self.left.min(PIECE_BYTES) as usize, 0);
        match self.read_without_waiting(&mut piece) {
            0 => {
                let read = tokio::task::spawn_blocking(move || self.read(piece)).await;
                read.map_err(io::Error::other)?.map(Some)
            }
            len => {
                piece.truncate(len);
                Ok(Some(self.pass_on(piece)))
            }
        }
    }

    /// How much there was; 0: nothing, or nobody can tell.
    fn read_without_waiting(&self, piece: &mut [u8]) -> usize {
        let into = &mut [IoSliceMut::new(piece)];
        preadv2(&self.file, into, self.at, ReadWriteFlags::NOWAIT).unwrap_or(0)
    }

    fn read(self, mut piece: BytesMut) -> io::Result<(Bytes, Self)> {
        // It fails where somebody has cut the file: whoever fetches it must not take it for whole.
        self.file.read_exact_at(&mut piece, self.at)?;
        Ok(self.pass_on(piece))
    }

    fn pass_on(mut self, piece: BytesMut) -> (Bytes, Self) {
        let len = piece.len() as u64;
        (self.at, self.left) = (self.at + len, self.left - len);
        self.piece = piece.freeze();
        (self.piece.clone(), self)
    }
}
