//! Whom the client believes over TLS, and what it shows of itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use crate::cli::failed::Failed;

/// Where distributions keep the trusted authorities: Debian, Red Hat, SUSE, Alpine.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// `identity`: a certificate and its key.
pub fn tls(ca: Option<&Path>, identity: Option<(&Path, &Path)>) -> Result<TlsConfig, Failed> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = TlsConfig::builder().root_certs(roots(ca)?).unversioned_rustls_crypto_provider(provider);
    if let Some((cert, key)) = identity {
        let found = PrivateKey::from_pem(&read(key)?).map_err(|error| unusable(key, &error.to_string()))?;
        tls = tls.client_cert(Some(ClientCert::new_with_certs(&certificates(cert)?, found)));
    }
    Ok(tls.build())
}

fn roots(ca: Option<&Path>) -> Result<RootCerts, Failed> {
    let system = || SYSTEM_ROOTS.iter().map(PathBuf::from).find(|path| path.exists());
    let missing =
        "no trusted authorities are on this machine: install ca-certificates, or name a file with --ca";
    let path = ca.map(Path::to_owned).or_else(system).ok_or_else(|| Failed::WrongUse(missing.to_owned()))?;
    Ok(RootCerts::new_with_certs(&certificates(&path)?))
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, Failed> {
    let mut certificates = Vec::new();
    for item in parse_pem(&read(path)?) {
        if let PemItem::Certificate(found) = item.map_err(|error| unusable(path, &error.to_string()))? {
            certificates.push(found);
        }
    }
    if certificates.is_empty() {
        return Err(unusable(path, "it holds no PEM certificate"));
    }
    Ok(certificates)
}

fn read(path: &Path) -> Result<Vec<u8>, Failed> {
    fs::read(path).map_err(|error| unusable(path, &error.to_string()))
}

fn unusable(path: &Path, why: &str) -> Failed {
    Failed::WrongUse(format!("failed to use `{}`: {why}", path.display()))
}
