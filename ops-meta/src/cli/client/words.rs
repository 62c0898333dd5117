//! A failed exchange in a sentence for whoever typed the command.

use std::io;

use rustls::CertificateError as Certificate;
use serde_json::Value;

use crate::cli::failed::{Failed, Fault};
use crate::domain::one_line::one_line;

/// Of one sentence of a server's, and how many of its faults are told.
const SAID_CHARS_MAX: usize = 2000;
const FAULTS_MAX: usize = 100;

pub fn failed(url: &str, error: &ureq::Error) -> Failed {
    let why = match error {
        ureq::Error::Io(error) => io_words(error),
        ureq::Error::Rustls(error) => tls_words(error),
        ureq::Error::HostNotFound => "no such name is known".to_owned(),
        ureq::Error::Protocol(_) | ureq::Error::Http(_) => {
            let hint = if url.starts_with("http:") { "; should it be https?" } else { "" };
            format!("it does not speak HTTP: {error}{hint}")
        }
        other => other.to_string(),
    };
    Failed::away(format!(
        "failed to reach ops-meta at `{}`: {why}; --url or OPS_META_URL names another",
        shown(url)
    ))
}

fn io_words(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(tls) => tls_words(tls),
        None => match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "it fell silent".to_owned(),
            _ => error.to_string(),
        },
    }
}

fn tls_words(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(Certificate::UnknownIssuer | Certificate::BadSignature) => {
            "no trusted authority signed its certificate; --ca names the authorities to trust".to_owned()
        }
        rustls::Error::InvalidCertificate(Certificate::Expired | Certificate::ExpiredContext { .. }) => {
            "its certificate has expired".to_owned()
        }
        rustls::Error::InvalidCertificate(
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. },
        ) => "its certificate is for another name".to_owned(),
        rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired) => {
            "it wants a certificate; see --cert and --key".to_owned()
        }
        rustls::Error::AlertReceived(alert) => {
            format!("it refuses to speak TLS: {alert:?}; see --cert and --key")
        }
        rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => {
            "it does not speak TLS; should it be http?".to_owned()
        }
        other => other.to_string(),
    }
}

/// RFC 9457; `None` when it is none.
pub fn problem(content_type: &str, body: &[u8]) -> Option<Value> {
    let is_one = content_type.starts_with("application/problem+json");
    is_one.then(|| serde_json::from_slice(body).ok())?
}

/// What a problem says; `None` when it says nothing.
pub fn detail(problem: &Value) -> Option<String> {
    let said = ["detail", "title"].iter().find_map(|&field| problem.get(field)?.as_str())?;
    Some(one_line(&cut(said)))
}

/// Everything that is wrong with what was brought.
pub fn faults(problem: &Value) -> Vec<Fault> {
    let faults = problem.get("faults").and_then(Value::as_array);
    let said = |fault: &Value, field| cut(fault.get(field).and_then(Value::as_str).unwrap_or_default());
    let fault = |fault: &Value| Fault { path: said(fault, "path"), why: said(fault, "why") };
    faults.into_iter().flatten().take(FAULTS_MAX).map(fault).collect()
}

fn cut(text: &str) -> String {
    text.chars().take(SAID_CHARS_MAX).collect()
}

/// A URL for a sentence: without what stands before `@`, which may be a password.
pub fn shown(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    one_line(&format!("{scheme}://{host}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_in_the_servers_words_and_harmless() {
        let problem = |content_type: &str, body: &str| problem(content_type, body.as_bytes());
        let of = |body: &str| detail(&problem("application/problem+json; charset=utf-8", body)?);
        assert_eq!(of(r#"{"title":"t","detail":"no \u001b[2J"}"#), Some("no \\u{1b}[2J".to_owned()));
        assert_eq!(of(r#"{"title":"t"}"#), Some("t".to_owned()));
        assert_eq!((of("{}"), of("no")), (None, None));
        assert_eq!(problem("text/plain", r#"{"title":"t"}"#), None);
    }

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(shown("http://me:secret@host:1/a@b"), "http://host:1/a@b");
    }
}
