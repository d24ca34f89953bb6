//! Connections: one account or key at a provider, what the operator set for it, and how it has fared.

pub mod admission;
pub mod budget;
pub mod day;
pub mod health;
pub mod pace;

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderMap;
use jiff::tz::TimeZone;

pub use admission::Quotas;
pub use budget::Budgets;
pub use health::{Account, Against, Ended, Generation, Health, HealthState, News, Stand};
pub use pace::Pace;

use crate::api::{ConnectionId, LimitGroup};
use crate::config::{Limits, TimeoutOverrides};
use crate::credential::SealedSecret;
use crate::provider::Provider;
use crate::upstream::sandbox::Fault;

/// Who may change a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManagedBy {
    /// The file that declares it.
    Toml,
    /// The store: the command line and the admin API change it.
    Store,
}

/// One account or key at a provider, as a snapshot holds it.
#[doc(alias = "AiConnection")]
#[doc(alias = "AICredential")]
#[derive(Debug, Clone)]
pub struct Connection {
    /// `provider:name`.
    pub id: ConnectionId,
    /// The credential, sealed for this connection and its provider's origin.
    pub secret: Option<SealedSecret>,
    /// Why there is no credential, where one is needed.
    pub secret_problem: Option<String>,
    /// The operator's switch.
    pub enabled: bool,
    /// Lower goes first.
    pub priority: u32,
    /// Its share among equals of its priority.
    pub weight: u32,
    /// Its quotas.
    pub limits: Limits,
    /// The account whose quota it shares.
    pub limit_group: Option<LimitGroup>,
    /// Those quotas, and the account's, with what is used of them. Shared by all snapshots, so that no reload resets it.
    pub quotas: Quotas,
    /// What stands against that account; none: against the connection's own. Shared by all snapshots too.
    pub account: Option<Arc<Account>>,
    /// Where the account's days begin.
    pub day_resets: TimeZone,
    /// Headers that its settings ask for.
    pub headers: HeaderMap,
    /// Timeouts of its own.
    pub timeouts: TimeoutOverrides,
    /// Misbehaviour of the sandbox.
    pub fault: Fault,
    /// The words of its kind among its settings.
    pub words: BTreeMap<String, String>,
    /// Settings as the operator wrote them, a JSON object.
    pub settings: String,
    /// The dashboard's own notes, a JSON object.
    pub ui_metadata: String,
    /// When the credential expires, in milliseconds since 1970.
    pub expires_ms: Option<i64>,
    /// Who may change it.
    pub managed_by: ManagedBy,
    /// How it has fared. Shared by all snapshots, so that no reload resets it.
    pub health: Arc<Health>,
    /// How fast it answers. Shared as well.
    pub pace: Arc<Pace>,
    /// Which of the connection's credentials this one is, for what is observed with it.
    pub generation: Generation,
}

impl Connection {
    /// Whether it cannot be used for want of its secret. One that was declared and cannot be had counts, even where the
    /// provider would take a call without any: the call would go out as somebody else.
    pub fn lacks_secret(&self, provider: &Provider) -> bool {
        self.secret.is_none() && (provider.needs_secret() || self.secret_problem.is_some())
    }

    /// The end of the secret, for operators.
    pub fn secret_hint(&self) -> Option<&str> {
        self.secret.as_ref()?.hint.as_deref()
    }
}
