//! What the API answers when it refuses: RFC 9457, `application/problem+json`. The 2015 URLs have `error::Refusal`.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response as Described, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use super::error::Refusal;
use crate::domain::desired::Fault;
use crate::domain::words::NoWord;
use crate::simulation::Simulated;
use crate::store::StoreError;

/// After how many seconds a database that was away is worth another try.
const RETRY_AFTER_SECS: u64 = 5;

/// Why a call does not get what it asks for, in a sentence for who called.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    /// The parameter or the field of the body that is wrong.
    field: Option<String>,
    code: Option<&'static str>,
    offset: Option<u64>,
    of_change: Option<Box<OfChange>>,
    retry_after_secs: Option<u64>,
}

/// Of a change that was refused. Few are, so it is kept apart.
#[derive(Debug)]
enum OfChange {
    Faults(Vec<Fault>),
    /// What it would have done.
    Simulated(Simulated),
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            field: None,
            code: None,
            offset: None,
            of_change: None,
            retry_after_secs: None,
        }
    }

    /// 400: this parameter or this field of the body is wrong.
    pub fn field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..Self::new(StatusCode::BAD_REQUEST, detail) }
    }

    pub fn missing(what: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no {what}"))
    }

    pub fn missing_verb(NoWord { text, known }: NoWord) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no such verb: {text:?} is none of {known}"))
    }

    /// A word for programs, where one status has several reasons.
    #[must_use]
    pub fn code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    /// Where an upload goes on.
    #[must_use]
    pub fn offset(self, bytes: u64) -> Self {
        Self { offset: Some(bytes), ..self }
    }

    /// Everything that is wrong.
    #[must_use]
    pub fn faults(self, faults: Vec<Fault>) -> Self {
        Self { of_change: Some(Box::new(OfChange::Faults(faults))), ..self }
    }

    /// The same, each at another path.
    #[must_use]
    pub fn with_paths(mut self, of: impl Fn(&str) -> &str) -> Self {
        if let Some(OfChange::Faults(faults)) = self.of_change.as_deref_mut() {
            faults.iter_mut().for_each(|fault| fault.path = of(&fault.path).to_owned());
            if let [only] = faults.as_slice() {
                self.detail = only.to_string();
            }
        }
        self
    }

    /// What the change would have done.
    #[must_use]
    pub fn simulated(self, simulated: Simulated) -> Self {
        Self { of_change: Some(Box::new(OfChange::Simulated(simulated))), ..self }
    }

    #[must_use]
    pub fn retry_after(self, secs: u64) -> Self {
        Self { retry_after_secs: Some(secs), ..self }
    }
}

/// Why a call does not get what it asks for (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Told<'a> {
    /// Always `about:blank`: the status says which kind it is.
    r#type: &'static str,
    title: &'a str,
    status: u16,
    /// A sentence: what is wrong, and what to do.
    detail: &'a str,
    /// The parameter or the field of the body that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    /// Why an archive is refused or a package was not deleted, in a word for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// Where an upload goes on, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    /// Everything that is wrong, where there may be several.
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    faults: &'a [Fault],
    /// What a change would have done that wants to be confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<&'a Simulated>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (faults, changed) = match self.of_change.as_deref() {
            None => (&[][..], None),
            Some(OfChange::Faults(faults)) => (faults.as_slice(), None),
            Some(OfChange::Simulated(simulated)) => (&[][..], Some(simulated)),
        };
        let told = Told {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or_default(),
            status: self.status.as_u16(),
            detail: &self.detail,
            field: self.field.as_deref(),
            code: self.code,
            offset: self.offset,
            faults,
            changed,
        };
        let content_type = [(CONTENT_TYPE, "application/problem+json")];
        let mut response =
            (self.status, content_type, axum::Json(told).into_response().into_body()).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(secs) = self.retry_after_secs {
            response.headers_mut().insert(RETRY_AFTER, secs.into());
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let detail = error.to_string();
        match error {
            StoreError::Missing(_) => Self::new(StatusCode::NOT_FOUND, detail),
            StoreError::Conflict(_) => Self::new(StatusCode::CONFLICT, detail),
            StoreError::Damaged(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail),
            StoreError::Full => Self::new(StatusCode::INSUFFICIENT_STORAGE, detail),
            StoreError::Away(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(RETRY_AFTER_SECS)
            }
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.status(), refusal.sentence())
    }
}

/// Any path below /api/ that is none of ours: never a file.
pub async fn no_such_path(uri: Uri) -> Problem {
    let detail = format!("there is no `{}`; /api/openapi.json says what there is", uri.path());
    Problem::new(StatusCode::NOT_FOUND, detail)
}

/// The path is ours, the method is not; `Allow` says which are.
pub async fn wrong_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "this path has no such method; the header `Allow` says which it has",
    )
}

/// For the description of every call: whatever is refused is refused like this.
pub struct Problems;

impl IntoResponses for Problems {
    fn responses() -> std::collections::BTreeMap<String, RefOr<Described>> {
        let refused = |status: &str, description: &str| {
            let schema = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
            let response = ResponseBuilder::new().description(description);
            (status.to_owned(), response.content("application/problem+json", schema).build().into())
        };
        [refused("4XX", "refused; `detail` says why"), refused("5XX", "not possible now; `detail` says why")]
            .into()
    }
}
