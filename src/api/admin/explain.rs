//! Why a request went where it went, or would go.

use serde::{Deserialize, Serialize};

use crate::api::Operation;
use crate::api::capability::Capability;
use crate::api::ids::{AppName, ConnectionId, Feature, RequestId, RouteName};
use crate::api::moment::Moment;
use crate::api::outcome::Outcome;

/// `GET /admin/v1/requests/{id}`, and an app's own under `/v1/bursar/requests/{id}`: the way of a request through its
/// candidates. Those that stood behind the one that answered were not looked at, and are not named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ExplainedRequest {
    /// The request.
    pub id: RequestId,
    /// When it began.
    pub at: Moment,
    /// The calling program.
    pub app: AppName,
    /// What it did with the call.
    pub feature: Feature,
    /// The model as asked for: a route's name, or a model.
    pub model: String,
    /// What kind of call it was.
    pub operation: Operation,
    /// Whether the reply was streamed.
    pub stream: bool,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it failed, sanitised; null if it did not, and for an app where it is about the operator's account.
    pub error: Option<String>,
    /// How long it took, in milliseconds; null where only its attempts are known.
    pub duration_ms: Option<u64>,
    /// How long of it was waited for room and before retries, in milliseconds; null where that is not known any more.
    pub waited_ms: Option<u64>,
    /// Where this is known from.
    pub source: ExplainSource,
    /// Its candidates, in order.
    pub candidates: Vec<ExplainedCandidate>,
    /// How many more were passed over, unnamed; null where that is not known any more.
    pub skipped_more: Option<u64>,
    /// What a reader should know of this account of it.
    pub note: Option<String>,
}

/// Where an explanation comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExplainSource {
    /// The daemon's memory of its last requests: complete.
    Memory,
    /// The stored usage records: attempts alone.
    Records,
}

/// One candidate of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ExplainedCandidate {
    /// The connection.
    pub connection: ConnectionId,
    /// What came of it.
    pub action: ExplainAction,
    /// The model that its provider is asked for; null for one that was passed over.
    pub model: Option<String>,
    /// Why it was passed over, as a word; null for one that was tried.
    pub reason: Option<String>,
    /// When that ends by itself; null where it does not.
    pub until: Option<Moment>,
    /// A sentence for people.
    pub message: String,
    /// When the attempt began.
    pub at: Option<Moment>,
    /// How long the request had waited right before the attempt, in milliseconds.
    pub waited_ms: Option<u64>,
    /// How the attempt ended; null for one that runs, or was not made.
    pub outcome: Option<Outcome>,
    /// The provider's status.
    pub status: Option<u16>,
    /// How long the attempt took, in milliseconds.
    pub duration_ms: Option<u64>,
    /// Why the attempt failed, sanitised; null for an app where it is about the operator's account.
    pub error: Option<String>,
}

impl ExplainedCandidate {
    /// A candidate of which nothing more is known.
    pub fn new(connection: &ConnectionId, action: ExplainAction, message: &str) -> Self {
        Self {
            connection: connection.clone(),
            action,
            model: None,
            reason: None,
            until: None,
            message: message.into(),
            at: None,
            waited_ms: None,
            outcome: None,
            status: None,
            duration_ms: None,
            error: None,
        }
    }
}

/// What comes of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExplainAction {
    /// It was passed over, or would be.
    Skipped,
    /// It was tried.
    Tried,
    /// It would be tried, if none before it answers.
    WouldTry,
}

impl ExplainAction {
    /// The word in replies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Tried => "tried",
            Self::WouldTry => "would_try",
        }
    }
}

/// `POST /admin/v1/explain`: a request that is not sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainRequest {
    /// A route's name, `provider/model`, or a listed model's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// A route's name, in place of a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<RouteName>,
    /// What the model must be able to do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub require: Vec<Capability>,
    /// The app that would ask, for its budgets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// What the call would be for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature: Option<Feature>,
    /// The only connection that might be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// Tokens that the request and its reply would need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
}

/// The candidates of a request that is not sent, as they are now. Nothing was changed by asking: no turn was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DryRun {
    /// When this held.
    pub at: Moment,
    /// The model as asked for: a route's name, or a model.
    pub model: String,
    /// What the call would be for.
    pub feature: Option<Feature>,
    /// What would come of it, in a sentence.
    pub message: String,
    /// The candidates, in the order in which they would be looked at.
    pub candidates: Vec<ExplainedCandidate>,
    /// How many more would be passed over, unnamed.
    pub skipped_more: u64,
}
