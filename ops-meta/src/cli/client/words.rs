//! A failed exchange in a sentence for whoever typed the command.

use std::io;

use rustls::CertificateError as Certificate;
use serde_json::Value;

use crate::cli::failed::Failed;
use crate::domain::one_line::one_line;

/// Of what a server says.
const DETAIL_CHARS_MAX: usize = 2000;

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

/// What a problem (RFC 9457) says; `None` when it is none.
pub fn detail(content_type: &str, body: &[u8]) -> Option<String> {
    if !content_type.starts_with("application/problem+json") {
        return None;
    }
    let problem: Value = serde_json::from_slice(body).ok()?;
    let said = ["detail", "title"].iter().find_map(|&field| problem.get(field)?.as_str())?;
    let text: String = said.chars().take(DETAIL_CHARS_MAX).collect();
    Some(one_line(&text))
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
        let of = |body: &str| detail("application/problem+json; charset=utf-8", body.as_bytes());
        assert_eq!(of(r#"{"title":"t","detail":"no \u001b[2J"}"#), Some("no \\u{1b}[2J".to_owned()));
        assert_eq!(of(r#"{"title":"t"}"#), Some("t".to_owned()));
        assert_eq!((of("{}"), of("no"), detail("text/plain", b"{\"title\":\"t\"}")), (None, None, None));
    }

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(shown("http://me:secret@host:1/a@b"), "http://host:1/a@b");
    }
}
