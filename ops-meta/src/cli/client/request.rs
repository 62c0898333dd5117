//! What is asked of the server, as a verb means it.

use std::time::Duration;

use serde_json::Value;
use ureq::http::{Method, header::HeaderName, header::IF_MATCH, header::IF_NONE_MATCH};

use super::{ANSWER_TIMEOUT, Query};

pub struct Request<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) query: Query,
    pub(super) body: Option<&'a Value>,
    pub(super) only_if: OnlyIf,
    /// Until all of the answer is there.
    pub(super) time: Duration,
}

/// How an object has to stand for a change of it to count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum OnlyIf {
    #[default]
    Always,
    /// As it was when it bore this tag.
    Tagged(String),
    IsNotThere,
}

/// What a request was answered with.
pub struct Answer {
    pub body: Value,
    /// By which a change names what it builds on.
    pub tag: Option<String>,
}

impl<'a> Request<'a> {
    pub fn get(path: &'a str) -> Self {
        Self::of(Method::GET, path)
    }

    pub fn post(path: &'a str) -> Self {
        Self::of(Method::POST, path)
    }

    pub fn put(path: &'a str) -> Self {
        Self::of(Method::PUT, path)
    }

    pub fn patch(path: &'a str) -> Self {
        Self::of(Method::PATCH, path)
    }

    pub fn delete(path: &'a str) -> Self {
        Self::of(Method::DELETE, path)
    }

    fn of(method: Method, path: &'a str) -> Self {
        let (query, time) = (Query::new(), ANSWER_TIMEOUT);
        Self { method, path, query, body: None, only_if: OnlyIf::Always, time }
    }

    /// Beside what is asked already.
    pub fn query(mut self, more: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        self.query.extend(more);
        self
    }

    pub fn body(self, body: &'a Value) -> Self {
        Self { body: Some(body), ..self }
    }

    pub fn only_if(self, only_if: OnlyIf) -> Self {
        Self { only_if, ..self }
    }

    pub fn time(self, time: Duration) -> Self {
        Self { time, ..self }
    }
}

impl OnlyIf {
    pub(super) fn header(&self) -> Option<(HeaderName, &str)> {
        match self {
            Self::Always => None,
            Self::Tagged(tag) => Some((IF_MATCH, tag)),
            Self::IsNotThere => Some((IF_NONE_MATCH, "*")),
        }
    }
}
