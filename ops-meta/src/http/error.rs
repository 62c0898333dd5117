//! What is refused, and the status it is refused with: the only place that knows both.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
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
    NotFound,
    Busy,
    /// The disk or the operating system failed.
    Failed,
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::LoopbackOnly => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn sentence(self) -> String {
        let text = match self {
            Self::Bad(why) => return why,
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
