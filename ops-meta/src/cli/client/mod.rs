//! Requests to the API of a running ops-meta, and what its answers mean. Nothing else in this crate names ureq.

mod names;
mod request;
mod trust;
mod upload;
mod words;

use std::env;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use ureq::http::{self, Response, StatusCode, header};
use ureq::{Agent, AsSendBody, Body};

use super::failed::Failed;
use crate::absolute;
use crate::domain::one_line::one_line;

pub use request::{Answer, OnlyIf, Request};
pub use upload::{NotPut, Upload};

/// Until it is clear that nobody answers.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For a whole answer: a page of a list takes a server with a million hosts half a second.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// For work that reads whole packages, until the first byte of its answer.
const WORK_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// A page of hosts with 256 agents each has less.
const ANSWER_BYTES_MAX: u64 = 256 << 20;
const TEXT_BYTES_MAX: u64 = 64 << 10;
/// The most that the API gives at once.
const PAGE_ROWS_MAX: u64 = 1000;
/// What a hostname or a number may have unescaped in a path.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~');
const TOKEN: &str = "OPS_META_TOKEN";

/// Which ops-meta is asked, and as whom.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub struct Server {
    /// Where ops-meta answers
    #[arg(long, value_name = "URL", env = "OPS_META_URL", default_value = "http://127.0.0.1:2000")]
    url: String,
    /// Holds the token, instead of OPS_META_TOKEN
    #[arg(long, value_name = "FILE", value_parser = absolute::path())]
    token_file: Option<PathBuf>,
    /// Authorities to trust, in PEM, instead of the system's
    #[arg(long, value_name = "FILE", env = "OPS_META_CA", value_parser = absolute::path())]
    ca: Option<PathBuf>,
    /// The certificate to show, in PEM, where ops-meta wants one
    #[arg(long, value_name = "FILE", env = "OPS_META_CERT", requires = "key", value_parser = absolute::path())]
    cert: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "FILE", env = "OPS_META_KEY", requires = "cert", value_parser = absolute::path())]
    key: Option<PathBuf>,
}

/// One ops-meta, and a token for it.
pub struct Client {
    agent: Agent,
    /// Without a slash at the end.
    url: String,
    token: String,
    /// Where the token is from.
    source: String,
}

/// Of a request, what stands after `?`.
pub type Query = Vec<(&'static str, String)>;

impl Server {
    /// Reads files, and asks nobody yet.
    pub fn client(&self) -> Result<Client, Failed> {
        names::resolve_without_foreign_modules();
        let url = self.url.trim_end_matches('/').to_owned();
        if !["http://", "https://"].iter().any(|scheme| url.len() > scheme.len() && url.starts_with(scheme)) {
            let why = format!(
                "`{}` is no address of ops-meta; write it as `http://HOST:PORT` or `https://HOST:PORT`",
                self.url
            );
            return Err(Failed::WrongUse(why));
        }
        let (token, source) = self.token()?;
        Ok(Client { agent: self.agent(&url)?, url, token, source })
    }

    fn token(&self) -> Result<(String, String), Failed> {
        let (text, source) = match &self.token_file {
            Some(path) => {
                let failed =
                    |error| Failed::WrongUse(format!("failed to read `{}`: {error}", path.display()));
                (fs::read_to_string(path).map_err(failed)?, format!("in `{}`", path.display()))
            }
            None => (env::var(TOKEN).unwrap_or_default(), format!("in {TOKEN}")),
        };
        let token = text.trim();
        let why = match token {
            "" => "there is nothing",
            it if !it.bytes().all(|byte| byte.is_ascii_graphic()) => "there is no token",
            _ => return Ok((token.to_owned(), source)),
        };
        Err(Failed::WrongUse(format!(
            "{why} {source}; set {TOKEN}, or name the file of the token with --token-file"
        )))
    }

    /// A redirect is no answer of ops-meta, and would take the token elsewhere.
    fn agent(&self, url: &str) -> Result<Agent, Failed> {
        let secure = url.starts_with("https:");
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .https_only(secure)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("ops-meta/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(CONNECT_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(ANSWER_TIMEOUT));
        if is_this_machine(url) {
            config = config.proxy(None);
        }
        if secure {
            let identity = self.cert.as_deref().zip(self.key.as_deref());
            config = config.tls_config(trust::tls(self.ca.as_deref(), identity)?);
        }
        Ok(config.build().new_agent())
    }
}

/// No proxy is asked for these.
fn is_this_machine(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    ["localhost", "127.", "[::1]"].iter().any(|it| host.starts_with(it))
}

impl Client {
    /// All but uploads is asked here.
    pub fn ask(&self, asked: Request<'_>) -> Result<Answer, Failed> {
        let path = asked.path;
        let (response, body) = self.heard(self.sent(asked))?;
        let tag = response.headers().get(header::ETAG).and_then(|it| it.to_str().ok()).map(str::to_owned);
        Ok(Answer { body: self.meant(path, &response, &body)?, tag })
    }

    fn sent(&self, asked: Request<'_>) -> Result<Response<Body>, ureq::Error> {
        let Request { method, path, query, body, only_if, time } = asked;
        let mut url = self.at(path);
        if !query.is_empty() {
            let pairs = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
            url += &format!("?{pairs}");
        }
        let request = http::Request::builder().method(method).uri(url);
        let request = request.header(header::AUTHORIZATION, self.bearer());
        let request = only_if.header().into_iter().fold(request, |it, (name, value)| it.header(name, value));
        match body {
            None => self.agent.run(self.within(time, request.body(())?)),
            Some(body) => {
                let request = request.header(header::CONTENT_TYPE, "application/json");
                self.agent.run(self.within(time, request.body(body.to_string())?))
            }
        }
    }

    fn within<S: AsSendBody>(&self, time: Duration, request: http::Request<S>) -> http::Request<S> {
        self.agent.configure_request(request).timeout_global(Some(time)).build()
    }

    pub fn get(&self, path: &str, query: &Query) -> Result<Value, Failed> {
        Ok(self.ask(Request::get(path).query(query.clone()))?.body)
    }

    pub fn post(&self, path: &str, body: &Value) -> Result<Value, Failed> {
        Ok(self.ask(Request::post(path).body(body))?.body)
    }

    /// Asks for work that may take minutes.
    pub fn work(&self, path: &str, query: &Query, body: &Value) -> Result<Value, Failed> {
        Ok(self.ask(Request::post(path).query(query.clone()).body(body).time(WORK_TIMEOUT))?.body)
    }

    pub fn patch(&self, path: &str, body: &Value) -> Result<Value, Failed> {
        Ok(self.ask(Request::patch(path).body(body))?.body)
    }

    pub fn delete(&self, path: &str, query: &Query) -> Result<(), Failed> {
        self.ask(Request::delete(path).query(query.clone())).map(drop)
    }

    /// A short text; `None` where there is none.
    pub fn text(&self, path: &str) -> Option<String> {
        let mut response = self.sent(Request::get(path)).ok().filter(|it| it.status() == StatusCode::OK)?;
        response.body_mut().with_config().limit(TEXT_BYTES_MAX).read_to_string().ok()
    }

    /// Every row of a list, page by page; at most `rows_max`.
    pub fn pages(
        &self,
        path: &str,
        items: &str,
        query: &Query,
        rows_max: Option<u64>,
        mut each: impl FnMut(&[Value]) -> Result<(), Failed>,
    ) -> Result<(), Failed> {
        let (mut left, mut cursor) = (rows_max.unwrap_or(u64::MAX), None);
        while left > 0 {
            let limit = left.min(PAGE_ROWS_MAX);
            let mut query = query.clone();
            query.push(("limit", limit.to_string()));
            query.extend(cursor.iter().map(|cursor: &String| ("cursor", cursor.clone())));
            let page = self.page(path, &query, ANSWER_TIMEOUT)?;
            let rows = page.get(items).and_then(Value::as_array).ok_or_else(|| self.no_answer(path))?;
            each(rows)?;
            left = left.saturating_sub(rows.len() as u64);
            let next = match page.get("next") {
                None | Some(Value::Null) => return Ok(()),
                Some(Value::String(next)) => next.clone(),
                Some(next) => next.to_string(),
            };
            if cursor.replace(next) == cursor {
                return Err(self.no_answer(path));
            }
        }
        Ok(())
    }

    /// The first rows of a list, and how many fit in all, within a time.
    pub fn first_rows(
        &self,
        path: &str,
        items: &str,
        mut query: Query,
        rows_max: u64,
        time: Duration,
    ) -> Result<(Vec<Value>, u64), Failed> {
        query.extend([("limit", rows_max.to_string()), ("total", "true".to_owned())]);
        let page = self.page(path, &query, time.min(ANSWER_TIMEOUT))?;
        let rows = page.get(items).and_then(Value::as_array).cloned();
        rows.zip(page.get("total").and_then(Value::as_u64)).ok_or_else(|| self.no_answer(path))
    }

    fn page(&self, path: &str, query: &Query, time: Duration) -> Result<Value, Failed> {
        let asked = self.ask(Request::get(path).query(query.clone()).time(time));
        asked.map(|answer| answer.body).map_err(|failed| match failed {
            // A list is never missing, only an old server's.
            Failed::NotFound(why) => Failed::Refused(why),
            other => other,
        })
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// An answer, whatever it says.
    fn heard(&self, got: Result<Response<Body>, ureq::Error>) -> Result<(Response<Body>, Vec<u8>), Failed> {
        let failed = |error| words::failed(&self.url, &error);
        let mut response = got.map_err(failed)?;
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec().map_err(failed)?;
        Ok((response, body))
    }

    fn meant(&self, path: &str, response: &Response<Body>, body: &[u8]) -> Result<Value, Failed> {
        match response.status() {
            StatusCode::NO_CONTENT => Ok(Value::Null),
            status if status.is_success() => serde_json::from_slice(body).map_err(|_| self.no_answer(path)),
            status => Err(self.refusal(path, status, response, body)),
        }
    }

    /// What a status that is no success means.
    fn refusal(&self, path: &str, status: StatusCode, response: &Response<Body>, body: &[u8]) -> Failed {
        let header = |name| response.headers().get(name).and_then(|it| it.to_str().ok()).unwrap_or_default();
        let url = words::shown(&self.url);
        let problem = words::problem(header(header::CONTENT_TYPE), body);
        let Some((problem, detail)) = problem.as_ref().and_then(|it| Some((it, words::detail(it)?))) else {
            return match status {
                StatusCode::UNAUTHORIZED => self.unauthorized("it is not accepted"),
                status if status.is_redirection() => {
                    let to = one_line(header(header::LOCATION));
                    Failed::Refused(format!(
                        "`{url}` leads to `{to}`; if that is ops-meta, give that address"
                    ))
                }
                status if status.is_server_error() => Failed::away(format!("`{url}` answered {status}")),
                status => Failed::Refused(format!(
                    "`{url}{path}` answered {status}: is this the address of an ops-meta, and is that one new enough?"
                )),
            };
        };
        let secs = header(header::RETRY_AFTER).parse::<u32>().ok();
        match (status, secs) {
            (StatusCode::UNAUTHORIZED, _) => self.unauthorized(&detail),
            (StatusCode::NOT_FOUND, _) => Failed::NotFound(detail),
            (_, Some(secs)) => Failed::Away {
                // What to do is in the detail.
                why: format!("{detail} (wait {secs} s)"),
                retry_after: Some(Duration::from_secs(secs.into())),
            },
            (StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS, None) => Failed::away(detail),
            (StatusCode::BAD_REQUEST, None) if problem.get("faults").is_some() => {
                Failed::Faulty(words::faults(problem))
            }
            (StatusCode::CONFLICT, None) => match problem.get("changed") {
                Some(changed) => Failed::Unconfirmed { why: detail, changed: Box::new(changed.clone()) },
                None => Failed::Refused(detail),
            },
            _ => Failed::Refused(detail),
        }
    }

    fn unauthorized(&self, detail: &str) -> Failed {
        Failed::Refused(format!(
            "{detail} (this is the token {}; {TOKEN} or --token-file brings another)",
            self.source
        ))
    }

    fn no_answer(&self, path: &str) -> Failed {
        Failed::Refused(format!("`{}{path}` answered what is no answer of ops-meta", words::shown(&self.url)))
    }
}

/// One name as a part of a path.
pub fn part(name: &str) -> String {
    utf8_percent_encode(name, PLAIN).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_part_of_a_path() {
        assert_eq!(part("web-01.example"), "web-01.example");
        assert_eq!(part("a/b?c#d e"), "a%2Fb%3Fc%23d%20e");
    }

    #[test]
    fn no_proxy_is_asked_for_this_machine() {
        for url in ["http://localhost:1", "https://127.0.0.1:2", "http://[::1]:2"] {
            assert!(is_this_machine(url), "{url}");
        }
        assert!(!is_this_machine("http://meta.example"));
    }
}
