//! HTTP, for the children only, and the only file that names ureq: deadlines, trust, proxy, and faults as sentences.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ops_wire::ErrorCode;
use serde::{Deserialize, Serialize};
use ureq::http::{HeaderMap, Response, StatusCode, Uri, header};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};
use ureq::typestate::WithoutBody;
use ureq::{Agent, RequestBuilder};

use crate::error::Fault;

/// Redirects followed; the protocol never goes down to http on the way.
const REDIRECTS_MAX: u32 = 3;
/// Retry-After is obeyed up to an hour (WIRE).
const RETRY_AFTER_SECS_MAX: u64 = 3600;
/// A certificate or token file is not larger than this.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Where distributions keep the trusted authorities: Debian, Red Hat, SUSE, Alpine.
const SYSTEM_ROOTS: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Settings {
    pub connect_timeout: Duration,
    /// From the request to the whole answer of ops-meta, and to the first byte of a download.
    pub answer_timeout: Duration,
    /// Trusted authorities; `None`: those of the system.
    pub ca_file: Option<PathBuf>,
    pub client_cert_file: Option<PathBuf>,
    pub client_key_file: Option<PathBuf>,
    /// `None`: what the environment says.
    pub proxy: Option<String>,
    pub token_file: Option<PathBuf>,
    /// The address of ops-meta: the token is shown to nobody else.
    pub server: String,
}

/// What came back.
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    body: ureq::Body,
    /// What the answer may be for want of.
    lacked: Option<&'static str>,
}

impl Settings {
    /// Posts JSON to ops-meta, and reads an answer of at most `bytes_max` bytes.
    pub fn post(&self, url: &str, body: &str, bytes_max: u64) -> Result<(Reply, Vec<u8>), Fault> {
        // A redirected post would lose its body, or take the token elsewhere.
        let agent = self.agent(url, 0, Some(self.answer_timeout))?;
        let request = agent.post(url).header(header::CONTENT_TYPE, "application/json");
        let mut reply =
            Reply::from(self.with_token(request, url)?.send(body).map_err(|error| fault(url, error))?);
        let mut bytes = Vec::new();
        let read = reply.reader().take(bytes_max + 1).read_to_end(&mut bytes);
        read.map_err(|error| fault(url, error.into()))?;
        if bytes.len() as u64 > bytes_max {
            let sentence = format!("the answer of `{url}` has more than {bytes_max} bytes");
            return Err(Fault::new(ErrorCode::BadAnswer, sentence));
        }
        Ok((reply, bytes))
    }

    /// Asks for a file, or for its rest from byte `from` on if it is still the one that `validator` names.
    pub fn get(&self, url: &str, resume: Option<(u64, &str)>) -> Result<Reply, Fault> {
        let agent = self.agent(url, REDIRECTS_MAX, None)?;
        let mut request = agent.get(url).header(header::ACCEPT_ENCODING, "identity");
        if let Some((from, validator)) = resume {
            request =
                request.header(header::RANGE, format!("bytes={from}-")).header(header::IF_RANGE, validator);
        }
        self.file(url, request)
    }

    /// Asks for a small file, which has to come as fast as an answer of ops-meta.
    pub fn get_small(&self, url: &str) -> Result<Reply, Fault> {
        let agent = self.agent(url, REDIRECTS_MAX, Some(self.answer_timeout))?;
        self.file(url, agent.get(url))
    }

    /// What came of asking for a file, and what the answer may be for want of.
    fn file(&self, url: &str, request: RequestBuilder<WithoutBody>) -> Result<Reply, Fault> {
        let response = self.with_token(request, url)?.call().map_err(|error| fault(url, error))?;
        let lacked = match &self.token_file {
            None => Some("no `tokenFile` is set"),
            Some(_) if !is_same_origin(url, &self.server) => {
                Some("the token is shown to the scheme, host and port of `server` only")
            }
            Some(_) => None,
        };
        Ok(Reply { lacked, ..Reply::from(response) })
    }

    /// With the token, for a URL of ops-meta's own: it may give packages to those only that show one. ureq takes it along on
    /// no redirect.
    fn with_token<B>(&self, request: RequestBuilder<B>, url: &str) -> Result<RequestBuilder<B>, Fault> {
        let Some(path) = self.token_file.as_ref().filter(|_| is_same_origin(url, &self.server)) else {
            return Ok(request);
        };
        Ok(request.header(header::AUTHORIZATION, format!("Bearer {}", read_text(path)?.trim())))
    }

    fn agent(&self, url: &str, redirects_max: u32, whole: Option<Duration>) -> Result<Agent, Fault> {
        let secure = url.starts_with("https:");
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .https_only(secure)
            .max_redirects(redirects_max)
            .max_idle_connections(0)
            .user_agent(concat!("ops-updater/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(self.connect_timeout))
            .timeout_connect(Some(self.connect_timeout))
            .timeout_per_read(Some(self.answer_timeout))
            .timeout_per_write(Some(self.answer_timeout))
            .timeout_recv_response(Some(self.answer_timeout))
            .timeout_global(whole);
        if let Some(proxy) = &self.proxy {
            let proxy = ureq::Proxy::new(proxy).map_err(|error| {
                Fault::new(ErrorCode::Unreachable, format!("the proxy of the configuration is none: {error}"))
            })?;
            config = config.proxy(Some(proxy));
        }
        if secure {
            config = config.tls_config(self.tls(self.roots()?)?);
        } else if redirects_max > 0 {
            // A redirect may lead up to https; without authorities that is refused then.
            let roots = self.roots().unwrap_or_else(|_| RootCerts::new_with_certs(&[]));
            config = config.tls_config(self.tls(roots)?);
        }
        Ok(config.build().new_agent())
    }

    fn tls(&self, roots: RootCerts) -> Result<TlsConfig, Fault> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(provider);
        if let (Some(cert), Some(key)) = (&self.client_cert_file, &self.client_key_file) {
            let pem = read_text(key)?;
            let key = PrivateKey::from_pem(pem.as_bytes()).map_err(|error| unusable(key, &error))?;
            tls = tls.client_cert(Some(ClientCert::new_with_certs(&certificates(cert)?, key)));
        }
        Ok(tls.build())
    }

    fn roots(&self) -> Result<RootCerts, Fault> {
        let system = || SYSTEM_ROOTS.iter().map(PathBuf::from).find(|path| path.exists());
        let path = self.ca_file.clone().or_else(system).ok_or_else(|| {
            let sentence = "no trusted authorities are on this host: install ca-certificates or set `caFile`";
            Fault::new(ErrorCode::TlsFailed, sentence)
        })?;
        Ok(RootCerts::new_with_certs(&certificates(&path)?))
    }

    /// Reads every file that the settings name, so that `check` can say what is wrong with them.
    pub fn check(&self) -> Vec<Fault> {
        let token = self.token_file.as_ref().and_then(|path| read_text(path).err());
        let roots = self.ca_file.as_ref().and_then(|path| certificates(path).err());
        let own = self.tls(RootCerts::new_with_certs(&[])).err();
        token.into_iter().chain(roots).chain(own).collect()
    }
}

/// The same scheme, host and port (RFC 6454, 5). What is no URL has none.
fn is_same_origin(url: &str, other: &str) -> bool {
    let origin = |text: &str| {
        let uri: Uri = text.parse().ok()?;
        let scheme = uri.scheme_str()?.to_owned();
        let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
        Some((scheme, uri.host()?.to_ascii_lowercase(), port))
    };
    origin(url).is_some_and(|it| origin(other) == Some(it))
}

/// Whether a proxy can be reached by this.
pub fn is_proxy(url: &str) -> bool {
    (url.starts_with("http://") || url.starts_with("https://")) && ureq::Proxy::new(url).is_ok()
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, Fault> {
    let pem = read_text(path)?;
    let mut certificates = Vec::new();
    for item in parse_pem(pem.as_bytes()) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| unusable(path, &error))? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err(Fault::new(
            ErrorCode::TlsFailed,
            format!("`{}` holds no PEM certificate", path.display()),
        ));
    }
    Ok(certificates)
}

fn unusable(path: &Path, error: &ureq::Error) -> Fault {
    Fault::new(ErrorCode::TlsFailed, format!("`{}` cannot be used: {error}", path.display()))
}

fn read_text(path: &Path) -> Result<String, Fault> {
    let mut text = String::new();
    let read = fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text));
    read.map(|_| text).map_err(|error| Fault::io("read", path, &error))
}

impl From<Response<ureq::Body>> for Reply {
    fn from(response: Response<ureq::Body>) -> Self {
        let (parts, body) = response.into_parts();
        Self { status: parts.status.as_u16(), headers: parts.headers, body, lacked: None }
    }
}

impl Reply {
    pub fn reader(&mut self) -> impl Read + '_ {
        self.body.as_reader()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Bytes of the body, when the server says so.
    pub fn length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    /// Something by which a later request can ask for the rest of this very file.
    pub fn validator(&self) -> Option<String> {
        let strong = self.header("etag").filter(|etag| !etag.starts_with("W/"));
        strong.or_else(|| self.header("last-modified")).map(str::to_owned)
    }

    /// What a status that is no success means.
    pub fn refusal(&self, url: &str) -> Fault {
        let code = if self.status == 404 { ErrorCode::NotThereYet } else { ErrorCode::HttpStatus };
        let reason =
            StatusCode::from_u16(self.status).ok().and_then(|it| it.canonical_reason()).unwrap_or_default();
        let lacked =
            self.lacked.filter(|_| self.status == 401).map(|it| format!("; {it}")).unwrap_or_default();
        let mut fault =
            Fault::new(code, format!("`{}` answered {} {reason}{lacked}", shown(url), self.status));
        if matches!(self.status, 429 | 503) {
            fault.retry_after_secs = self.header("retry-after").and_then(retry_after_secs);
        }
        fault
    }
}

/// Seconds, or a date (RFC 9110, 10.2.3).
fn retry_after_secs(text: &str) -> Option<u32> {
    let secs = match text.trim().parse::<u64>() {
        Ok(secs) => secs,
        Err(_) => {
            let date = httpdate::parse_http_date(text).ok()?;
            date.duration_since(SystemTime::now()).unwrap_or_default().as_secs()
        }
    };
    u32::try_from(secs.min(RETRY_AFTER_SECS_MAX)).ok()
}

/// A failed exchange in the project's words.
pub fn fault(url: &str, error: ureq::Error) -> Fault {
    use ErrorCode::*;
    let (code, why) = match &error {
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
            (Unreachable, error.to_string())
        }
        ureq::Error::Timeout(_) => (Timeout, error.to_string()),
        ureq::Error::RequireHttpsOnly(_) => (TlsFailed, "it leads from https down to http".to_owned()),
        ureq::Error::TooManyRedirects => {
            (HttpStatus, format!("it redirects more than {REDIRECTS_MAX} times"))
        }
        ureq::Error::Rustls(error) => (TlsFailed, tls_words(error)),
        ureq::Error::Tls(_) | ureq::Error::Pem(_) => (TlsFailed, error.to_string()),
        ureq::Error::Io(error) => io_words(error),
        ureq::Error::Protocol(_) | ureq::Error::Http(_) => {
            let hint = if url.starts_with("http:") { "; should it be https?" } else { "" };
            (HttpStatus, format!("it does not speak HTTP: {error}{hint}"))
        }
        ureq::Error::BadUri(_) => (Unreachable, "it is no URL".to_owned()),
        _ => (Unreachable, error.to_string()),
    };
    Fault::new(code, format!("failed to reach `{}`: {why}", shown(url)))
}

/// A URL for a sentence: bounded, and without what stands before `@`, which may be a password.
pub fn shown(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}{path}").chars().take(300).collect()
}

fn io_words(error: &io::Error) -> (ErrorCode, String) {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match (tls, error.kind()) {
        (Some(tls), _) => (ErrorCode::TlsFailed, tls_words(tls)),
        (None, io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => {
            (ErrorCode::Timeout, "it fell silent".to_owned())
        }
        (None, io::ErrorKind::UnexpectedEof) => {
            (ErrorCode::Unreachable, "it ended before its end".to_owned())
        }
        (None, _) => (ErrorCode::Unreachable, error.to_string()),
    }
}

fn tls_words(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(reason) => certificate_words(reason),
        rustls::Error::AlertReceived(alert) => alert_words(*alert),
        rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => {
            "it does not speak TLS; should it be http?".to_owned()
        }
        other => other.to_string(),
    }
}

/// What the server has against this host.
fn alert_words(alert: rustls::AlertDescription) -> String {
    use rustls::AlertDescription as Alert;
    match alert {
        Alert::CertificateRequired => "it wants a certificate of this host; see `clientCertFile`".to_owned(),
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::DecryptError
        | Alert::UnknownCA => {
            format!("it refuses the certificate of this host ({alert:?}); see `clientCertFile`")
        }
        Alert::ProtocolVersion => "it speaks neither TLS 1.2 nor 1.3, and older ones are not safe".to_owned(),
        other => format!("it refuses to speak TLS: {other:?}"),
    }
}

fn certificate_words(reason: &rustls::CertificateError) -> String {
    use rustls::CertificateError as Certificate;
    match reason {
        Certificate::UnknownIssuer | Certificate::BadSignature => {
            "no trusted authority signed its certificate; see `caFile`".to_owned()
        }
        Certificate::Expired | Certificate::ExpiredContext { .. } => "its certificate has expired".to_owned(),
        Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
            "its certificate is not valid yet; see the clock of this host".to_owned()
        }
        Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
            "its certificate is for another name".to_owned()
        }
        other => format!("its certificate is refused: {other:?}"),
    }
}

/// A static glibc binary would load the host's own NSS modules (`resolve`, `sss`, `ldap`), built for another glibc: names
/// come from `files` and `dns` alone.
pub fn resolve_without_foreign_modules() {
    #[cfg(target_env = "gnu")]
    configure_lookup();
}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "glibc offers this setting as a C function only")]
fn configure_lookup() {
    unsafe extern "C" {
        fn __nss_configure_lookup(
            database: *const core::ffi::c_char,
            services: *const core::ffi::c_char,
        ) -> core::ffi::c_int;
    }
    // SAFETY: both arguments are constants that end in NUL, and no other thread runs yet.
    unsafe {
        __nss_configure_lookup(c"hosts".as_ptr(), c"files dns".as_ptr());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(shown("http://me:secret@host:1/a@b"), "http://host:1/a@b");
        assert_eq!(shown("http://host/a"), "http://host/a");
    }

    #[test]
    fn the_token_is_for_the_origin_of_ops_meta() {
        let server = "http://Meta.example:2000";
        for (url, same) in [
            ("http://meta.example:2000/packages/a-1.tar.gz", true),
            ("http://me:secret@meta.example:2000/a", true),
            ("http://meta.example/a", false),
            ("https://meta.example:2000/a", false),
            ("http://meta.example:2000.evil.example/a", false),
            ("http://meta.example:2000@evil.example/a", false),
            ("http://evil.example/http://meta.example:2000", false),
            ("meta.example:2000", false),
            ("", false),
        ] {
            assert_eq!(is_same_origin(url, server), same, "{url}");
        }
        assert!(
            is_same_origin("https://a/x", "https://A:443")
                && is_same_origin("http://[::1]:80/x", "http://[::1]")
        );
        assert!(!is_same_origin("", ""));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_an_hour_at_most() {
        assert_eq!(retry_after_secs("7"), Some(7));
        assert_eq!(retry_after_secs("999999"), Some(3600));
        assert_eq!(retry_after_secs("Sun, 06 Nov 1994 08:49:37 GMT"), Some(0));
        assert_eq!(retry_after_secs("soon"), None);
    }
}
