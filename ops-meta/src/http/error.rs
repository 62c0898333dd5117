//! What is refused, and the status it is refused with: the only place that knows both.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

/// After how many seconds a busy server is worth another try.
const RETRY_AFTER_SECS: &str = "30";

/// A request that does not get what it asks for.
#[derive(Debug)]
pub enum Refusal {
    /// The request makes no sense, for the reason given.
    Bad(String),
    TooLarge,
    TooSlow,
    LoopbackOnly,
    /// No token, or none that counts.
    NotIn(String),
    /// The token is not for this.
    NotAllowed(String),
    /// Wrong tokens came too often; after so many seconds the next is looked at.
    Slower(String, u64),
    NotFound,
    Busy,
    /// The disk or the operating system failed.
    Failed,
}

impl Refusal {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::LoopbackOnly | Self::NotAllowed(_) => StatusCode::FORBIDDEN,
            Self::NotIn(_) => StatusCode::UNAUTHORIZED,
            Self::Slower(..) => StatusCode::TOO_MANY_REQUESTS,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub fn sentence(self) -> String {
        let text = match self {
            Self::Bad(why) | Self::NotIn(why) | Self::NotAllowed(why) | Self::Slower(why, _) => return why,
            Self::TooLarge => "the body is too large",
            Self::TooSlow => "the body did not come in time",
            Self::LoopbackOnly => "no privilege",
            Self::NotFound => "not found",
            Self::Busy => "busy, try again later",
            Self::Failed => "failed to read the file",
        };
        text.to_owned()
    }

    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::Busy => Some((RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECS))),
            Self::Slower(_, secs) => Some((RETRY_AFTER, (*secs).into())),
            Self::NotIn(_) => Some((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            _ => None,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, header) = (self.status(), self.header());
        let plain = [(CONTENT_TYPE, "text/plain; charset=utf-8")];
        let mut response = (status, plain, self.sentence() + "\n").into_response();
        response.headers_mut().extend(header);
        response
    }
}
