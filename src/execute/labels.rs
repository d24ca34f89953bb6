//! What all records of a request share.

use super::Call;
use super::trace_context::TraceContext;
use crate::api::{AppName, Feature, Operation, RequestId};

/// What all records of a request share.
#[derive(Debug, Clone)]
pub struct Labels {
    /// The request.
    pub request_id: RequestId,
    /// The calling program.
    pub app: AppName,
    /// What it does with the call.
    pub feature: Feature,
    /// The model as asked for.
    pub model: String,
    /// The kind of call.
    pub operation: Operation,
    /// Whether the reply is streamed.
    pub stream: bool,
    /// The tokens that the request is taken for, where nobody says what it had.
    pub input_estimate: u64,
    /// The characters that are to be read aloud.
    pub characters: Option<u64>,
    /// The trace that the app says the request belongs to.
    pub trace: Option<TraceContext>,
}

impl Labels {
    /// What is known of a call before its first attempt.
    pub(super) fn of(call: &Call) -> Self {
        Self {
            request_id: call.id,
            app: call.app.clone(),
            feature: call.feature.clone(),
            model: call.said.scan.model.clone(),
            operation: call.operation,
            stream: call.said.scan.stream,
            input_estimate: call.said.input_estimate(),
            characters: call.said.scan.characters,
            trace: TraceContext::read(&call.headers),
        }
    }
}
