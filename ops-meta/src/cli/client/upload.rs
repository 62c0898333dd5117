//! A large body on its way to the server. It has no end in time: as long as bytes move, it goes on.

use std::io::Read;
use std::time::Duration;

use serde_json::Value;
use ureq::SendBody;
use ureq::http::header;

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

impl Client {
    /// The server is asked before the first byte whether it wants any (`Expect: 100-continue`).
    pub fn put(&self, path: &str, upload: Upload<'_>) -> Result<Value, Failed> {
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
        self.answer(path, request.send(SendBody::from_reader(body)))
    }
}
