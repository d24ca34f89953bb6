//! TLS roots: from the distribution's fixed places, or a provider's own `ca_file`. Environment variables are ignored.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::error::TransportError;

/// Where distributions keep the roots as one file: Debian and Arch, Fedora, openSUSE, Alpine.
const ROOT_FILES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The TLS settings for the distribution's roots, or for one file's. The first are read once a process. Where TLS is not
/// needed they trust nobody.
///
/// # Errors
/// When no root can be read.
pub(super) fn config(needed: bool, ca_file: Option<&Path>) -> Result<ClientConfig, TransportError> {
    static SYSTEM: OnceLock<Result<ClientConfig, TransportError>> = OnceLock::new();
    if !needed {
        return with_roots(RootCertStore::empty());
    }
    match ca_file {
        Some(file) => build(file),
        None => SYSTEM
            .get_or_init(|| {
                let file = ROOT_FILES.iter().map(Path::new).find(|file| file.exists());
                let missing = || {
                    TransportError::Setup(String::from(
                        "no TLS roots found: install the package ca-certificates, or set ca_file for the provider",
                    ))
                };
                build(file.ok_or_else(missing)?)
            })
            .clone(),
    }
}

/// Whether there are roots to trust: the distribution's, or one file's.
///
/// # Errors
/// When no root can be read.
pub fn check(ca_file: Option<&Path>) -> Result<(), TransportError> {
    config(true, ca_file).map(drop)
}

fn build(file: &Path) -> Result<ClientConfig, TransportError> {
    let failed =
        |reason: String| TransportError::Setup(format!("cannot read TLS roots from {}: {reason}", file.display()));
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| failed(error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        // One root that rustls does not like is no reason to trust none of the others.
        let _ = roots.add(certificate);
    }
    if roots.is_empty() {
        return Err(failed("it holds no usable certificate".into()));
    }
    with_roots(roots)
}

fn with_roots(roots: RootCertStore) -> Result<ClientConfig, TransportError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TransportError::Setup(format!("cannot set up TLS: {error}")))
        .map(|builder| builder.with_root_certificates(roots).with_no_client_auth())
}
