use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

static AUTHORITIES: AtomicU32 = AtomicU32::new(1);

/// A certificate authority of the test's own, and a certificate that it signed for 127.0.0.1.
pub struct Authority {
    pub ca_pem: String,
    pub cert_pem: String,
    pub key_pem: String,
    ca: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
pub struct Identity {
    pub cert_pem: String,
    pub key_pem: String,
}

/// When a certificate holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Valid {
    Now,
    LongAgo,
    NotYet,
}

impl Authority {
    #[expect(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // As different ones are; else it is a signature that does not fit.
        let name = format!("authority {}", AUTHORITIES.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let Identity { cert_pem, key_pem } = signed(&ca, &["localhost", "127.0.0.1"], Valid::Now);
        Self { ca_pem: ca.pem(), cert_pem, key_pem, ca }
    }

    /// A certificate for a host of this name or address.
    pub fn signs(&self, name: &str, valid: Valid) -> Identity {
        signed(&self.ca, &[name], valid)
    }

    /// Writes what `caFile` names.
    pub fn put_ca(&self, path: &Path) {
        std::fs::write(path, &self.ca_pem).unwrap();
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        let certificate = CertificateDer::from_pem_slice(self.cert_pem.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        Arc::new(config)
    }
}

fn signed(ca: &CertifiedIssuer<'static, KeyPair>, names: &[&str], valid: Valid) -> Identity {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    let years = match valid {
        Valid::Now => None,
        Valid::LongAgo => Some((2015, 2016)),
        Valid::NotYet => Some((2190, 2191)),
    };
    if let Some((from, to)) = years {
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
    }
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, ca).unwrap();
    Identity { cert_pem: certificate.pem(), key_pem: key.serialize_pem() }
}
