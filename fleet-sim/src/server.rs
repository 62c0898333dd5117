//! The server that is loaded: its address, how it is spoken to, and by which TLS.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// Where beats go.
pub struct Server {
    pub address: SocketAddr,
    pub tls: Option<Tls>,
    /// The head of a request up to the length of its body.
    head: Vec<u8>,
}

#[derive(Clone)]
pub struct Tls {
    pub config: Arc<ClientConfig>,
    pub name: ServerName<'static>,
}

/// Why a server cannot be spoken to.
#[derive(Debug)]
pub enum NoServer {
    Url(String),
    Unresolved(String, io::Error),
    NoAddress(String),
    Authorities(PathBuf, pem::Error),
    Tls(rustls::Error),
    Token,
}

/// Whose certificates are believed.
#[derive(Debug, Clone, Copy)]
pub enum Trust<'a> {
    /// None is looked at: a load generator has nothing to lose, and checking signatures would cost it more than the
    /// handshake costs the server.
    Anybody,
    Authorities(&'a Path),
}

/// Parts of `[http[s]://]HOST[:PORT][/PATH]`.
struct Url<'a> {
    secure: bool,
    host: &'a str,
    port: u16,
    path: &'a str,
}

impl Server {
    pub fn new(url: &str, tls: bool, trust: Trust<'_>, token: Option<&str>) -> Result<Self, NoServer> {
        let parts = Url::parse(url, tls).ok_or_else(|| NoServer::Url(url.to_owned()))?;
        let unresolved = |error| NoServer::Unresolved(parts.host.to_owned(), error);
        let mut addresses = (parts.host, parts.port).to_socket_addrs().map_err(unresolved)?;
        let address = addresses.next().ok_or_else(|| NoServer::NoAddress(parts.host.to_owned()))?;
        let tls = if parts.secure { Some(parts.tls(trust)?) } else { None };
        Ok(Self { address, tls, head: head(&parts, token)? })
    }

    /// A whole request, into the emptied `out`.
    pub fn request(&self, body: &[u8], out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.head);
        out.extend_from_slice(body.len().to_string().as_bytes());
        out.extend_from_slice(b"\r\n\r\n");
        out.extend_from_slice(body);
    }
}

/// The headers are those that the updater sends.
fn head(url: &Url<'_>, token: Option<&str>) -> Result<Vec<u8>, NoServer> {
    let authorization = match token {
        Some(token) if token.bytes().any(|it| !it.is_ascii_graphic()) => return Err(NoServer::Token),
        Some(token) => format!("authorization: Bearer {token}\r\n"),
        None => String::new(),
    };
    let (host, version) = (url.shown_host(), env!("CARGO_PKG_VERSION"));
    let head = format!(
        "POST {}/heartbeat HTTP/1.1\r\nuser-agent: ops-updater/{version}\r\naccept: */*\r\nhost: {host}:{}\r\n\
         content-type: application/json\r\n{authorization}content-length: ",
        url.path, url.port
    );
    Ok(head.into_bytes())
}

impl<'a> Url<'a> {
    fn parse(url: &'a str, tls: bool) -> Option<Self> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let secure = match scheme {
            "http" => tls,
            "https" => true,
            _ => return None,
        };
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let is_visible = |text: &str| text.bytes().all(|it| it.is_ascii_graphic());
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (authority, if secure { 443 } else { 80 }),
        };
        let host = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
        let sound = !host.is_empty() && is_visible(authority) && is_visible(path);
        sound.then(|| Self { secure, host, port, path: path.trim_end_matches('/') })
    }

    fn shown_host(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.to_owned() }
    }

    fn tls(&self, trust: Trust<'_>) -> Result<Tls, NoServer> {
        let bad_name = |_| NoServer::Url(self.host.to_owned());
        let name = ServerName::try_from(self.host.to_owned()).map_err(bad_name)?;
        Ok(Tls { config: Arc::new(client_config(trust)?), name })
    }
}

/// TLS 1.3 with one cipher, so that two servers are asked for the same; each handshake is a whole one.
fn client_config(trust: Trust<'_>) -> Result<ClientConfig, NoServer> {
    let mut provider = ring::default_provider();
    provider.cipher_suites = vec![ring::cipher_suite::TLS13_AES_128_GCM_SHA256];
    let provider = Arc::new(provider);
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(NoServer::Tls)?;
    let mut config = match trust {
        Trust::Anybody => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Believer(provider)))
            .with_no_client_auth(),
        Trust::Authorities(path) => builder.with_root_certificates(authorities(path)?).with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn authorities(path: &Path) -> Result<RootCertStore, NoServer> {
    let failed = |error| NoServer::Authorities(path.to_owned(), error);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(failed)? {
        roots.add(certificate.map_err(failed)?).map_err(NoServer::Tls)?;
    }
    if roots.is_empty() {
        return Err(failed(pem::Error::NoItemsFound));
    }
    Ok(roots)
}

/// Believes every certificate.
#[derive(Debug)]
struct Believer(Arc<CryptoProvider>);

impl ServerCertVerifier for Believer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

impl fmt::Display for NoServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => {
                write!(f, "`{url}` is no address of a server; say [http://|https://]HOST[:PORT][/PATH]")
            }
            Self::Unresolved(host, error) => write!(f, "failed to resolve `{host}`: {error}"),
            Self::NoAddress(host) => write!(f, "failed to resolve `{host}`: it has no address"),
            Self::Authorities(path, error) => {
                write!(f, "failed to read authorities from `{}`: {error}; it has to be PEM", path.display())
            }
            Self::Tls(error) => write!(f, "failed to set up TLS: {error}"),
            Self::Token => {
                f.write_str("the token has characters in it that no header may have; is it a token?")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(url: &str, tls: bool) -> Option<(bool, String, u16, String)> {
        Url::parse(url, tls).map(|it| (it.secure, it.host.to_owned(), it.port, it.path.to_owned()))
    }

    #[test]
    fn a_server_is_written_in_several_ways() {
        let of =
            |secure, host: &str, port, path: &str| Some((secure, host.to_owned(), port, path.to_owned()));
        assert_eq!(parts("127.0.0.1:2000", false), of(false, "127.0.0.1", 2000, ""));
        assert_eq!(parts("127.0.0.1:2000", true), of(true, "127.0.0.1", 2000, ""));
        assert_eq!(parts("https://meta.example/", false), of(true, "meta.example", 443, ""));
        assert_eq!(parts("http://[::1]:2000/api", false), of(false, "::1", 2000, "/api"));
        assert_eq!(parts("ftp://x", false), None);
        assert_eq!(parts("http://:80", false), None);
        assert_eq!(parts("http://a b", false), None);
    }
}
