//! OpenRouter: OpenAI's family with its own extras, all of which pass through.
//!
//! Usage, with the cost of the call, comes in every reply and stream without being asked for (openrouter.ai, "Usage
//! accounting"), and is read where OpenAI's is.

use super::openai::OpenAi;
use super::{Auth, Dialect, Facts, KindFacts};
use crate::api::Operation;
use crate::config::StreamUsage;

/// The adapter of OpenRouter.
pub static OPENROUTER: OpenAi = OpenAi(&Facts {
    kind: KindFacts {
        name: "openrouter",
        default_base_url: Some("https://openrouter.ai/api/v1"),
        needs_secret: true,
        settings: &["referer", "title"],
        stream_usage: StreamUsage::Always,
        bare_models: true,
    },
    dialect: Dialect::OpenAi,
    auth: Auth::Bearer,
    forward: &["idempotency-key"],
    give_back: &[],
    request_id: "x-generation-id",
    operations: &[Operation::Chat, Operation::Embeddings, Operation::Models, Operation::Responses],
    headers: &[],
    setting_headers: &[("referer", "http-referer"), ("title", "x-openrouter-title")],
    in_process: false,
});
