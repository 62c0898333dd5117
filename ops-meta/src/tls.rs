//! Certificates from PEM files to what a connection needs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::config::TlsFiles;

/// Why there is no TLS.
#[derive(Debug)]
pub enum TlsError {
    Pem(PathBuf, pem::Error),
    NoCertificate(PathBuf),
    ClientCa(PathBuf, String),
    /// The certificate and the key, and why they are of no use together.
    Pair(PathBuf, PathBuf, rustls::Error),
    Refused(rustls::Error),
}

/// Reads the files. With a client CA every client has to show a certificate of it.
pub fn load(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Refused)?;
    let builder = match &files.client_ca {
        Some(path) => builder.with_client_cert_verifier(client_verifier(path, provider)?),
        None => builder.with_no_client_auth(),
    };
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| TlsError::Pem(files.key.clone(), e))?;
    let mut config = builder
        .with_single_cert(certificates(&files.cert)?, key)
        .map_err(|e| TlsError::Pair(files.cert.clone(), files.key.clone(), e))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |error| TlsError::Pem(path.to_owned(), error);
    let certificates = CertificateDer::pem_file_iter(path).map_err(failed)?;
    let certificates = certificates.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate(path.to_owned()));
    }
    Ok(certificates)
}

fn client_verifier(
    path: &Path,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let failed = |why: String| TlsError::ClientCa(path.to_owned(), why);
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    verifier.build().map_err(|error| failed(error.to_string()))
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pem(path, error) => write!(f, "failed to read `{}`: {error}", path.display()),
            Self::NoCertificate(path) => {
                write!(f, "failed to read `{}`: there is no certificate in it", path.display())
            }
            Self::ClientCa(path, why) => write!(f, "failed to trust `{}`: {why}", path.display()),
            Self::Pair(cert, key, error) => {
                write!(f, "failed to use `{}` with `{}`: {error}", cert.display(), key.display())
            }
            Self::Refused(error) => write!(f, "failed to set up TLS: {error}"),
        }
    }
}

impl std::error::Error for TlsError {}
