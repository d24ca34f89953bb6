//! What can go wrong between here and a provider, before anybody reads a status.

use std::error::Error as _;

use thiserror::Error;

use super::address::AddressError;
use crate::api::Code;

/// A transport error. Its text holds neither URL nor header.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TransportError {
    /// The address guard refused.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The name did not resolve.
    #[error("the provider's host name does not resolve")]
    Dns,
    /// No TCP connection came about.
    #[error("the provider cannot be reached: {0}")]
    Connect(String),
    /// TLS failed.
    #[error("TLS with the provider failed: {0}")]
    Tls(String),
    /// The connection ended before the reply did.
    #[error("the provider closed the connection before its reply was whole")]
    Reset,
    /// The reply is no HTTP.
    #[error("the provider's reply is not valid HTTP: {0}")]
    Protocol(String),
    /// More bytes than are taken.
    #[error("the provider's reply is larger than {max} bytes")]
    TooLarge {
        /// The bound.
        max: usize,
    },
    /// The client for this provider cannot be set up.
    #[error("{0}")]
    Setup(String),
}

impl TransportError {
    /// The stable code that an app sees when nobody else could answer.
    pub fn code(&self) -> Code {
        match self {
            Self::Address(_) | Self::Dns | Self::Connect(_) | Self::Tls(_) | Self::Setup(_) => {
                Code::UpstreamUnreachable
            }
            Self::Reset => Code::UpstreamCut,
            Self::Protocol(_) => Code::UpstreamInvalid,
            Self::TooLarge { .. } => Code::UpstreamTooLarge,
        }
    }

    /// Whether the request may have reached the provider.
    pub fn was_sent(&self) -> bool {
        !matches!(self, Self::Address(_) | Self::Dns | Self::Connect(_) | Self::Tls(_) | Self::Setup(_))
    }

    /// Reads the client's error. Its URL is dropped: a query may hold what no log may.
    pub(super) fn of(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let mut source = error.source();
        let (mut dns, mut tls, mut refused, mut io, mut parse) = (false, None, None, None, None);
        while let Some(cause) = source {
            if let Some(address) = cause.downcast_ref::<AddressError>() {
                refused = Some(*address);
            } else if let Some(inner) = cause.downcast_ref::<rustls::Error>() {
                tls = Some(inner.to_string());
            } else if let Some(inner) = cause.downcast_ref::<hyper::Error>() {
                if inner.is_parse() {
                    parse = Some(inner.to_string());
                }
            } else if let Some(inner) = cause.downcast_ref::<std::io::Error>() {
                // rustls' errors travel inside an I/O error.
                match inner.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                    Some(inner) => tls = Some(inner.to_string()),
                    None => io = Some(inner.kind().to_string()),
                }
            }
            dns |= cause.to_string().contains("dns error");
            source = cause.source();
        }
        match (refused, tls, parse) {
            (Some(address), ..) => Self::Address(address),
            (None, Some(reason), _) => Self::Tls(reason),
            (None, None, Some(reason)) => Self::Protocol(reason),
            _ if error.is_connect() && dns => Self::Dns,
            _ if error.is_connect() && error.is_timeout() => Self::Connect("connecting took too long".into()),
            _ if error.is_connect() => Self::Connect(io.unwrap_or_else(|| "connecting failed".into())),
            _ => Self::Reset,
        }
    }
}
