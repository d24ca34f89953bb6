//! Faults of the way to a provider: names, addresses, TLS.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use bursar::api::Outcome::Transient;
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::case::Stage::{Before, Whole};
use super::case::{At, Case, Fault, Stage, Then};
use crate::fake::Refusing;

const BYTES_MAX: usize = 12 * 1024 * 1024;

/// The cases; whatever they need stays until the process ends.
pub fn cases() -> Vec<Case> {
    let unreachable = Then::Fails(Transient, 502, "upstream_unreachable");
    let refusing: &Refusing = Box::leak(Box::new(Refusing::bind()));
    // No resolver is asked for a label that no name may have.
    let nowhere = format!("http://{}.invalid/v1", "x".repeat(64));
    let authority = Authority::new();
    let mut all = Vec::new();
    for stage in [Whole, Before] {
        all.push(fault("refused", stage, format!("{}/v1", refusing.url()), "", unreachable));
        all.push(fault("dns", stage, nowhere.clone(), "", unreachable));
        let hurried = "timeouts = { connect = \"300ms\" }";
        all.push(fault("connect", stage, saturated(), hurried, unreachable));
        for (name, tls, trusted) in [
            ("tls-expired", authority.server("127.0.0.1", (2001, 2002)), true),
            ("tls-name", authority.server("elsewhere.example", (2001, 2999)), true),
            ("tls-unknown", authority.server("127.0.0.1", (2001, 2999)), false),
        ] {
            let lines = if trusted { authority.trusted() } else { String::new() };
            all.push(fault(name, stage, listen(tls), &lines, unreachable));
        }
        all.push(fault("tls-old", stage, old_tls(), &authority.trusted(), unreachable));
        // HTTP/2 is not offered to providers, so that none of its faults can come: one that speaks it unasked says nothing.
        let unasked = listen(authority.server("127.0.0.1", (2001, 2999)));
        let invalid = Then::Fails(Transient, 502, "upstream_invalid");
        all.push(fault("h2-unasked", stage, unasked, &authority.trusted(), invalid));
    }
    all.into_iter().flat_map(|fault| [1, 2].map(|connections| Case { fault: fault.clone(), connections })).collect()
}

fn fault(name: &'static str, stage: Stage, url: String, lines: &str, then: Then) -> Fault {
    Fault { name, stage, at: At::Elsewhere(url), then, lines: lines.to_owned(), bytes_max: BYTES_MAX }
}

/// An authority of certificates that only these tests trust.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        let file = tempfile::Builder::new().suffix(".pem").tempfile().expect("a file").into_temp_path();
        std::fs::write(&file, issuer.pem()).expect("the certificate is written");
        Self { issuer, file: file.keep().expect("the file stays") }
    }

    /// A provider's line that trusts it.
    fn trusted(&self) -> String {
        format!("ca_file = \"{}\"", self.file.display())
    }

    /// A server whose certificate is for this name, and these years.
    fn server(&self, name: &str, (from, to): (i32, i32)) -> Arc<ServerConfig> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(to, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS");
        let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key);
        Arc::new(config.expect("the certificate fits its key"))
    }
}

/// A TCP port of our own.
fn port() -> (TcpListener, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port of the loopback");
    listener.set_nonblocking(true).expect("a listener");
    let port = listener.local_addr().expect("the port that it got").port();
    (listener, port)
}

/// An address where connections never come about: the queue of those that nobody accepts is full.
fn saturated() -> String {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port of the loopback");
    listener.listen(0).expect("a listener");
    let address = listener.local_addr().expect("the port that it got");
    for _ in 0..4 {
        let caller = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        caller.set_nonblocking(true).expect("a socket that does not wait");
        let _ = caller.connect(&address);
        std::mem::forget(caller);
    }
    std::mem::forget(listener);
    format!("http://{}/v1", address.as_socket().expect("an address"))
}

/// A server that answers every request as one of HTTP/2 would: with SETTINGS, and GOAWAY (RFC 9113, section 6).
fn listen(tls: Arc<ServerConfig>) -> String {
    const SAID: [u8; 26] = [0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let (listener, port) = port();
    tokio::spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        let acceptor = TlsAcceptor::from(tls);
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(&SAID).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    format!("https://127.0.0.1:{port}/v1")
}

/// A server that knows no TLS newer than 1.1: it says so and hangs up (RFC 8446, section 6.2: protocol_version).
fn old_tls() -> String {
    let (listener, port) = port();
    tokio::spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(&[21, 3, 2, 0, 2, 2, 70]).await;
        }
    });
    format!("https://127.0.0.1:{port}/v1")
}
