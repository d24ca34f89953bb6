//! What operators are told when something cannot be done.

use super::control::StartError;
use crate::api::{Code, Failure, Outcome};
use crate::config::Report;
use crate::credential::VaultError;
use crate::store::StoreError;

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Full { .. } => Code::StorageFull,
            StoreError::TooLarge { .. } => Code::BodyTooLarge,
            StoreError::Record(_) | StoreError::Damaged { .. } | StoreError::Failed { .. } => Code::Internal,
        };
        Self::new(code, error.to_string())
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Store(error) => error.into(),
            StartError::Config(_) | StartError::Provider(_) => Self::new(Code::Internal, error.to_string()),
        }
    }
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        Self::new(Code::Internal, error.to_string())
    }
}

/// The first error of what an operator sent, at its key.
pub(super) fn invalid(report: &Report) -> Failure {
    let first = report.errors.first();
    let (key, message) = first.map_or(("", "cannot be taken"), |error| (error.key.as_str(), error.message.as_str()));
    if key.is_empty() { Failure::new(Code::InvalidRequest, message) } else { at(key, message) }
}

/// A field that cannot be taken.
pub(super) fn at(field: &str, message: &str) -> Failure {
    Failure::new(Code::InvalidRequest, format!("{field}: {message}")).at(field)
}

/// A test that was not passed.
pub(super) fn untested(outcome: Outcome, message: impl Into<String>) -> Failure {
    let code = match outcome {
        Outcome::Credential => Code::UpstreamAuth,
        Outcome::Quota => Code::UpstreamQuota,
        Outcome::NotForKey => Code::UpstreamRefused,
        Outcome::Timeout => Code::UpstreamTimeout,
        Outcome::Transient => Code::UpstreamUnreachable,
        Outcome::RateShort | Outcome::RateDay => Code::RateLimited,
        _ => Code::UpstreamError,
    };
    Failure::new(code, message)
}
