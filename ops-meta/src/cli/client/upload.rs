//! A large body on its way to the server. It has no end in time: as long as bytes move, it goes on.

use std::io::Read;
use std::time::Duration;

use serde_json::Value;
use ureq::SendBody;
use ureq::http::{StatusCode, header};

use super::{Client, Query, WORK_TIMEOUT};
use crate::cli::failed::Failed;

/// Without a byte that the server takes.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Until the body is sent to a server that does not say whether it wants it: a proxy may keep that to itself.
const WANTED_TIMEOUT: Duration = Duration::from_secs(5);
const SIGNATURE: &str = "X-Minisign";

/// Bytes that are put somewhere.
pub struct Upload<'a> {
    pub query: Query,
    /// Bytes of the whole, and how many of them are there already.
    pub size: u64,
    pub offset: u64,
    /// In base64.
    pub signature: Option<&'a str>,
    /// Gives what is behind `offset`.
    pub body: &'a mut dyn Read,
}

/// Why bytes were not put.
pub enum NotPut {
    /// What was there of them does not fit: they may be put from the beginning.
    Rest(String),
    Failed(Failed),
}

impl From<Failed> for NotPut {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

/// With what was there before the whole has other digests, or less was there than it seemed.
fn is_about_the_rest(status: StatusCode, body: &[u8]) -> bool {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    let field = problem.get("field").and_then(Value::as_str);
    match status {
        StatusCode::BAD_REQUEST => matches!(field, Some("sha256" | "md5")),
        StatusCode::CONFLICT => problem.get("offset").is_some_and(Value::is_u64),
        _ => false,
    }
}

impl Client {
    /// The server is asked before the first byte whether it wants any (`Expect: 100-continue`).
    pub fn put(&self, path: &str, upload: Upload<'_>) -> Result<Value, NotPut> {
        let Upload { query, size, offset, signature, body } = upload;
        let mut request = self
            .agent
            .put(self.at(path))
            .header(header::AUTHORIZATION, self.bearer())
            .header(header::CONTENT_TYPE, "application/gzip")
            .header(header::CONTENT_LENGTH, size.saturating_sub(offset))
            .header(header::EXPECT, "100-continue");
        if let (1.., Some(last)) = (offset, size.checked_sub(1)) {
            request = request.header(header::CONTENT_RANGE, format!("bytes {offset}-{last}/{size}"));
        }
        if let Some(signature) = signature {
            request = request.header(SIGNATURE, signature);
        }
        let request = query.iter().fold(request, |request, (key, value)| request.query(key, value));
        let config = request.config().timeout_global(None).timeout_per_write(Some(IDLE_TIMEOUT));
        let config = config.timeout_await_100(Some(WANTED_TIMEOUT));
        // When all is there the server reads it once more before it answers.
        let request = config.timeout_recv_response(Some(WORK_TIMEOUT)).build();
        let (response, body) = self.heard(request.send(SendBody::from_reader(body)))?;
        self.meant(path, &response, &body).map_err(|failed| match failed {
            Failed::Refused(why) if offset > 0 && is_about_the_rest(response.status(), &body) => {
                NotPut::Rest(why)
            }
            failed => NotPut::Failed(failed),
        })
    }
}
