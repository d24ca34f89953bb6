//! Connections, their health and their tests, as operators see them.

use serde::{Deserialize, Serialize};

use super::{Object, Quota, SecretText, present};
use crate::api::moment::Moment;
use crate::api::{ConnectionId, ConnectionName, LimitGroup, Outcome, ProviderSlug};

/// `GET /admin/v1/connections`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ConnectionList {
    /// The connections that were asked for.
    pub connections: Vec<Connection>,
}

/// One account or key at a provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Connection {
    /// `provider:name`.
    pub id: ConnectionId,
    /// The provider.
    pub provider: ProviderSlug,
    /// Its name there.
    pub name: ConnectionName,
    /// The operator's switch.
    pub status: ConnectionStatus,
    /// Whether its provider may be used.
    pub provider_enabled: bool,
    /// What is observed of it.
    pub health: Health,
    /// What can be told of its secret.
    pub secret: SecretInfo,
    /// Lower goes first.
    pub priority: u32,
    /// Its share among equals of its priority.
    pub weight: u32,
    /// Its quotas.
    pub limits: Limits,
    /// What is used of all that count for it, its limit group's too.
    pub quotas: Vec<Quota>,
    /// The account whose quota it shares.
    pub limit_group: Option<LimitGroup>,
    /// Settings of its kind, and `headers` and `timeouts`.
    #[schema(value_type = Object)]
    pub settings: Object,
    /// What a user interface keeps with it.
    #[schema(value_type = Object)]
    pub ui_metadata: Object,
    /// When its secret ends, as its owner knows.
    pub expires_at: Option<Moment>,
    /// Who may change it.
    pub managed_by: ManagedBy,
}

/// The operator's switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionStatus {
    /// It may be used.
    Enabled,
    /// It may not.
    Disabled,
}

impl ConnectionStatus {
    /// The status of a switch.
    pub const fn of(enabled: bool) -> Self {
        if enabled { Self::Enabled } else { Self::Disabled }
    }

    /// Whether it may be used.
    pub const fn is_enabled(self) -> bool {
        matches!(self, Self::Enabled)
    }

    /// The word in replies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }
}

/// Who may change a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ManagedBy {
    /// The file that declares it.
    Toml,
    /// The store: the command line and this API.
    Store,
}

impl ManagedBy {
    /// The word in replies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Toml => "toml",
            Self::Store => "store",
        }
    }
}

/// What is observed of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthState {
    /// Nothing speaks against it.
    Ok,
    /// It waits for a rate limit to pass.
    Cooling,
    /// Its account is out of money or quota.
    Parked,
    /// The provider refused its secret.
    Rejected,
    /// It failed too often of late, and is left alone for a while.
    Open,
    /// It is tried with one request.
    HalfOpen,
    /// It has no secret, and needs one.
    NeedsSecret,
}

impl HealthState {
    /// All of them.
    pub const ALL: &'static [Self] =
        &[Self::Ok, Self::Cooling, Self::Parked, Self::Rejected, Self::Open, Self::HalfOpen, Self::NeedsSecret];

    /// The word in replies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Cooling => "cooling",
            Self::Parked => "parked",
            Self::Rejected => "rejected",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::NeedsSecret => "needs_secret",
        }
    }
}

/// How a connection has fared since the daemon began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Health {
    /// The state.
    pub state: HealthState,
    /// Why it is so.
    pub reason: Option<String>,
    /// When it ends by itself.
    pub until: Option<Moment>,
    /// When an attempt last began.
    pub last_used_at: Option<Moment>,
    /// When an attempt last failed.
    pub last_error_at: Option<Moment>,
    /// Why, sanitised.
    pub last_error: Option<String>,
    /// Attempts that were answered.
    pub successes: u64,
    /// Attempts that failed through the provider or the way to it.
    pub errors: u64,
    /// Failures since the last success.
    pub consecutive_failures: u32,
    /// Attempts that run now.
    pub in_flight: u32,
}

/// What can be told of a secret. Never the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SecretInfo {
    /// Whether there is one.
    pub set: bool,
    /// `…` and its last four characters; null of a short one.
    pub hint: Option<String>,
}

/// Quotas; null is no limit of that sort. A figure is never zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Requests in any 60 seconds.
    #[schema(minimum = 1)]
    pub requests_per_minute: Option<u64>,
    /// Requests in a calendar day.
    #[schema(minimum = 1)]
    pub requests_per_day: Option<u64>,
    /// Tokens in any 60 seconds, in and out.
    #[schema(minimum = 1)]
    pub tokens_per_minute: Option<u64>,
    /// Tokens in a calendar day, in and out.
    #[schema(minimum = 1)]
    pub tokens_per_day: Option<u64>,
    /// Requests under way at once.
    #[schema(minimum = 1)]
    pub concurrent: Option<u64>,
}

impl Limits {
    /// Each figure with its name, in the order in which they are shown.
    pub fn figures(&self) -> [(&'static str, Option<u64>); 5] {
        [
            ("requests_per_minute", self.requests_per_minute),
            ("requests_per_day", self.requests_per_day),
            ("tokens_per_minute", self.tokens_per_minute),
            ("tokens_per_day", self.tokens_per_day),
            ("concurrent", self.concurrent),
        ]
    }
}

/// `POST /admin/v1/connections`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateConnection {
    /// The provider.
    pub provider: ProviderSlug,
    /// Its name there.
    pub name: ConnectionName,
    /// The secret; needed unless the provider's kind takes none.
    #[serde(default, serialize_with = "SecretText::send_some", skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretText>,
    /// Lower goes first; 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
    /// Its share among equals of its priority; 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000)]
    pub weight: Option<u32>,
    /// Its quotas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// The account whose quota it shares: a limit group that `providers.toml` declares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_group: Option<LimitGroup>,
    /// Settings of its kind, and `headers` and `timeouts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub settings: Option<Object>,
    /// What a user interface keeps with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub ui_metadata: Option<Object>,
    /// When its secret ends, as its owner knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Moment>,
}

impl CreateConnection {
    /// A connection with nothing but its name.
    pub fn new(provider: ProviderSlug, name: ConnectionName) -> Self {
        Self {
            provider,
            name,
            secret: None,
            priority: None,
            weight: None,
            limits: None,
            limit_group: None,
            settings: None,
            ui_metadata: None,
            expires_at: None,
        }
    }
}

/// `PATCH /admin/v1/connections/{id}`: what is absent stays as it is. `limits`, `settings` and `ui_metadata` take the
/// whole place of what was there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchConnection {
    /// The operator's switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ConnectionStatus>,
    /// Lower goes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
    /// Its share among equals of its priority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000)]
    pub weight: Option<u32>,
    /// Its quotas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// The account whose quota it shares; null for none.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<LimitGroup>)]
    pub limit_group: Option<Option<LimitGroup>>,
    /// Settings of its kind, and `headers` and `timeouts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub settings: Option<Object>,
    /// What a user interface keeps with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub ui_metadata: Option<Object>,
    /// When its secret ends; null for never.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Moment>)]
    pub expires_at: Option<Option<Moment>>,
}

impl PatchConnection {
    /// Whether it changes anything besides the switch: only that may be changed on what a file declares.
    pub fn edits(&self) -> bool {
        *self != Self { status: self.status, ..Self::default() }
    }
}

/// `PUT /admin/v1/connections/{id}/secret`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutSecret {
    /// The new secret.
    #[serde(serialize_with = "SecretText::send")]
    pub secret: SecretText,
    /// Whether to ask the provider first: a secret that fails is not taken, and the old one stays.
    #[serde(default)]
    pub test: bool,
}

/// What a test of a connection found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TestResult {
    /// The connection.
    pub connection: ConnectionId,
    /// How it ended.
    pub outcome: Outcome,
    /// The provider's HTTP status; null where it gave none.
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// Why it failed, sanitised.
    pub error: Option<String>,
    /// The models that the provider lists for this connection.
    pub models: Vec<String>,
}

/// What a check of several connections found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CheckReport {
    /// One test a connection.
    pub results: Vec<TestResult>,
}

/// `GET /admin/v1/health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HealthList {
    /// All connections, by id.
    pub connections: Vec<ConnectionHealth>,
}

/// The health of one connection, beside the switches that concern it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ConnectionHealth {
    /// `provider:name`.
    pub id: ConnectionId,
    /// The operator's switch.
    pub status: ConnectionStatus,
    /// Whether its provider may be used.
    pub provider_enabled: bool,
    /// Whether a request could go to it now.
    pub usable: bool,
    /// What is observed of it.
    pub health: Health,
}
