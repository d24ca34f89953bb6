//! Providers and their models, as operators see them.

use serde::{Deserialize, Serialize};

use super::{Change, Object, present};
use crate::api::money::{UsdEach, UsdPerMillion};
use crate::api::{Capability, ConnectionName, Moment, Operation, Outcome, ProviderSlug};

/// `GET /admin/v1/providers`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProviderList {
    /// All providers, by slug.
    pub providers: Vec<Provider>,
}

/// An AI vendor or endpoint: what the file says it is, and what operators switched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Provider {
    /// Its slug.
    pub slug: ProviderSlug,
    /// Which adapter speaks to it.
    pub kind: String,
    /// The preset that it was made of.
    pub preset: Option<String>,
    /// The kinds of calls that apps may make.
    pub operations: Vec<Operation>,
    /// Whether it may be used: the file and the operator's switch both say so.
    pub enabled: bool,
    /// Whether the file says so.
    pub declared_enabled: bool,
    /// Whether it comes with the program.
    pub builtin: bool,
    /// Whether it only plays a provider, inside the process.
    pub sandbox: bool,
    /// Whether it is enabled and has a connection that can be used now.
    pub available: bool,
    /// Where its API begins.
    pub base_url: String,
    /// The connection that is tried first among equals, and that checks use.
    pub default_connection: Option<ConnectionName>,
    /// What a user interface keeps with it.
    #[schema(value_type = Object)]
    pub ui_preferences: Object,
    /// What one of its models can do, or another: those that are listed with their capabilities.
    #[serde(default)]
    pub capabilities: Vec<Capability>,
    /// How many requests ended at it, of all whose records are kept; null in lists.
    #[serde(default)]
    pub usage_count: Option<u64>,
    /// How its last check went; null if it was never checked.
    #[serde(default)]
    pub last_health_check: Option<HealthCheck>,
    /// How many connections it has, disabled ones included.
    pub connections: u64,
    /// When the provider's own list of models was last fetched.
    pub models_fetched_at: Option<Moment>,
    /// Its models, by id: first those that TOML lists, then those that only the provider itself does.
    pub models: Vec<Model>,
}

/// How a provider's last check went: it was asked for its list of models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HealthCheck {
    /// When.
    pub at: Moment,
    /// With which connection.
    pub connection: ConnectionName,
    /// How it ended.
    pub outcome: Outcome,
    /// The provider's HTTP status; null where it gave none.
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// Why it failed, sanitised.
    pub error: Option<String>,
}

/// `DELETE /admin/v1/providers/{slug}`: what the store kept of the provider, and does no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RemovedProvider {
    /// The provider.
    pub slug: ProviderSlug,
    /// Where a file still declares it; null: nowhere.
    pub declared: Option<String>,
    /// What is gone.
    pub removed: Vec<Change>,
}

/// A model of a provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Model {
    /// Its id at the provider.
    pub id: String,
    /// What it can do; null: unknown, and nothing is refused for it.
    pub capabilities: Option<Vec<Capability>>,
    /// Tokens of input and output together.
    pub context_window: Option<u64>,
    /// Tokens of output.
    pub max_output_tokens: Option<u64>,
    /// What it costs; null: unknown.
    pub price: Option<Price>,
}

/// What a model costs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Price {
    /// The rates of an ordinary request.
    #[serde(flatten)]
    pub rates: PriceRates,
    /// USD for each request, whatever its tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<UsdEach>,
    /// USD for each image made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<UsdEach>,
    /// USD for each search of the web that the provider made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<UsdEach>,
    /// USD per million characters read aloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub characters: Option<UsdPerMillion>,
    /// USD for each minute of sound written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_minute: Option<UsdEach>,
    /// Rates of requests with a long input, rising.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<PriceTier>,
}

/// USD per million tokens, by what the token is. What is absent is unknown, or costs what the field's text says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PriceRates {
    /// Input.
    pub input: Option<UsdPerMillion>,
    /// Input that the provider had cached; absent: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<UsdPerMillion>,
    /// Input that is written to the provider's cache; absent: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<UsdPerMillion>,
    /// Input that is kept in the cache for an hour; absent: unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<UsdPerMillion>,
    /// Output.
    pub output: Option<UsdPerMillion>,
    /// Reasoning; absent: as `output`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<UsdPerMillion>,
    /// Sound in; absent: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_input: Option<UsdPerMillion>,
    /// Sound out; absent: as `output`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_output: Option<UsdPerMillion>,
    /// Pictures in; absent: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_input: Option<UsdPerMillion>,
    /// Pictures out; absent: as `output`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_output: Option<UsdPerMillion>,
}

/// Rates that hold for the whole of a request whose input is longer than so many tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PriceTier {
    /// The rates hold when the input has more tokens than this.
    pub above_input_tokens: u64,
    /// The rates.
    #[serde(flatten)]
    pub rates: PriceRates,
}

/// `PATCH /admin/v1/providers/{slug}`: what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchProvider {
    /// The operator's switch; null leaves the file's word in force.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<bool>)]
    pub enabled: Option<Option<bool>>,
    /// The connection that is tried first among equals; null for none.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ConnectionName>)]
    pub default_connection: Option<Option<ConnectionName>>,
    /// What a user interface keeps with it, in place of what was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub ui_preferences: Option<Object>,
}
