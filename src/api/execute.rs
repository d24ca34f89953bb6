//! Bursar's own call, `POST /v1/execute`: one shape for every provider.
//!
//! Messages, tools, calls and finish reasons are OpenAI's; they are passed on, not interpreted.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::ErrorBody;
use super::ids::{ConnectionId, Feature, ProviderSlug, RequestId, RouteName};
use super::money::NanoUsd;
use super::outcome::Outcome;
use super::tokens::Tokens;
use super::{Capability, Code, Failure};

/// The model of a request that leaves the choice to its feature's route, where no route or model has this name.
pub const AUTO: &str = "auto";

/// `POST /v1/execute`. One of `model` and `route` is there, or neither: then the feature's own route is taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecuteRequest {
    /// What the call is for, the label that usage is grouped by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature: Option<Feature>,
    /// `provider/model`, or a listed model's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// A route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<RouteName>,
    /// The provider of `model`, where its id does not begin with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderSlug>,
    /// The only connection that may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// What the model is given.
    pub input: Input,
    /// How it is to answer.
    #[serde(default)]
    pub options: Options,
    /// What the model must be able to do, beyond what the request itself shows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub require: Vec<Capability>,
    /// Whether other connections may be tried after the first.
    #[serde(default = "yes")]
    pub fallback: bool,
}

fn yes() -> bool {
    true
}

/// What a model is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(untagged, expecting = "must be a text or a list of messages")]
pub enum Input {
    /// One message of the user's.
    Text(String),
    /// A conversation, as OpenAI's chat API takes it.
    Messages(Vec<Value>),
}

/// How a model is to answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The most tokens of the reply, reasoning included. Sent as OpenAI's `max_completion_tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    /// How much chance there is in the choice of words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Whether the reply comes in pieces.
    #[serde(default)]
    pub stream: bool,
    /// The time for all of it, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Tools that the model may call, as OpenAI's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    pub tools: Vec<Value>,
    /// Which of them it must call, as OpenAI's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<Value>,
    /// The JSON schema that the reply must keep to, an object. OpenAI takes only schemas of its strict subset here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_schema: Option<Value>,
}

impl ExecuteRequest {
    /// The model as rotation takes it: a route's name, `provider/model`, a bare id, or [`AUTO`] where none is named.
    ///
    /// # Errors
    /// When `model` and `route` are both there, or `provider` stands without a model.
    pub fn wanted_model(&self) -> Result<String, Failure> {
        let wrong = |message, param| Err(Failure::new(Code::InvalidRequest, message).at(param));
        match (&self.model, &self.route, &self.provider) {
            (Some(model), None, None) => Ok(model.clone()),
            (Some(model), None, Some(provider)) => {
                let named = model.split_once('/').is_some_and(|(first, _)| first == provider.as_str());
                Ok(if named { model.clone() } else { format!("{provider}/{model}") })
            }
            (None, Some(route), None) => Ok(route.to_string()),
            (None, Some(_), Some(_)) => wrong("a route names its providers itself: leave provider out", "provider"),
            (Some(_), Some(_), _) => wrong("name either a model or a route, not both", "route"),
            (None, None, Some(_)) => wrong("name a model, such as \"openai/gpt-4.1-mini\", or a route", "model"),
            (None, None, None) => Ok(AUTO.into()),
        }
    }
}

/// The reply to [`ExecuteRequest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ExecuteReply {
    /// The request's id.
    pub id: RequestId,
    /// Who answered.
    pub provider: ProviderSlug,
    /// With which connection.
    pub connection: ConnectionId,
    /// The model that the provider says it used.
    pub model: String,
    /// The answer.
    pub output: Output,
    /// What it used.
    pub usage: ExecuteUsage,
    /// Every upstream call, in order.
    pub attempts: Vec<Attempt>,
    /// Milliseconds from the request's begin to its end.
    pub duration_ms: u64,
}

/// A model's answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Output {
    /// The text; null where the model only called tools.
    pub text: Option<String>,
    /// The calls of tools.
    pub tool_calls: Vec<ToolCall>,
    /// Why the model stopped, as OpenAI says it: `stop`, `length`, `tool_calls`, `content_filter`.
    pub finish_reason: Option<String>,
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ToolCall {
    /// Its id, for the message that answers it.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments: JSON as text.
    pub arguments: String,
}

/// What a call used and cost; null is unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ExecuteUsage {
    /// The tokens.
    #[serde(flatten)]
    pub tokens: Tokens,
    /// The cost in USD.
    #[schema(value_type = Option<f64>)]
    pub cost_usd: Option<NanoUsd>,
    /// Whether a figure is an estimate of Bursar's, because the provider did not tell.
    #[serde(default)]
    pub estimated: bool,
}

/// One upstream call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Attempt {
    /// The connection.
    pub connection: ConnectionId,
    /// How it ended.
    pub outcome: Outcome,
    /// The provider's HTTP status; null where it gave none.
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// One event of a streamed reply. Its name goes into `event:`, its JSON into `data:`.
#[derive(Debug, Clone, PartialEq)]
pub enum ExecuteEvent {
    /// A piece of the text.
    Text(TextDelta),
    /// A piece of a tool's call.
    ToolCall(ToolCallDelta),
    /// The end: the whole reply.
    Done(Box<ExecuteReply>),
    /// The end: why there is no whole reply.
    Error(ErrorBody),
}

/// A piece of the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TextDelta {
    /// What comes next.
    pub delta: String,
}

/// A piece of a tool's call. `id` and `name` come with the first piece of each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ToolCallDelta {
    /// Which call it belongs to, from 0.
    pub index: u32,
    /// The call's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What comes next of the arguments.
    pub arguments_delta: String,
}

impl ExecuteEvent {
    /// The event's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::ToolCall(_) => "tool_call",
            Self::Done(_) => "done",
            Self::Error(_) => "error",
        }
    }

    /// The event's data.
    pub fn to_json(&self) -> Vec<u8> {
        let json = match self {
            Self::Text(data) => serde_json::to_vec(data),
            Self::ToolCall(data) => serde_json::to_vec(data),
            Self::Done(data) => serde_json::to_vec(data),
            Self::Error(data) => serde_json::to_vec(data),
        };
        json.unwrap_or_default()
    }

    /// Reads an event; none of a name that this version does not know.
    ///
    /// # Errors
    /// When the data is not what the name promises.
    pub fn parse(name: &str, data: &[u8]) -> Result<Option<Self>, serde_json::Error> {
        Ok(Some(match name {
            "text" => Self::Text(serde_json::from_slice(data)?),
            "tool_call" => Self::ToolCall(serde_json::from_slice(data)?),
            "done" => Self::Done(serde_json::from_slice(data)?),
            "error" => Self::Error(serde_json::from_slice(data)?),
            _ => return Ok(None),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(json: &str) -> ExecuteRequest {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_text_and_a_model_are_enough() {
        let request = request(r#"{"model": "gpt-4.1-mini", "input": "hello"}"#);
        assert_eq!(request.input, Input::Text("hello".into()));
        assert!(request.fallback && !request.options.stream);
        assert_eq!(request.wanted_model().unwrap(), "gpt-4.1-mini");
    }

    #[test]
    fn model_route_and_provider_name_one_thing() {
        let wanted = |json: &str| request(json).wanted_model().map_err(|failure| failure.param.unwrap());
        assert_eq!(wanted(r#"{"route": "fast", "input": ""}"#).unwrap(), "fast");
        assert_eq!(wanted(r#"{"model": "m", "provider": "p", "input": ""}"#).unwrap(), "p/m");
        assert_eq!(wanted(r#"{"model": "p/m", "provider": "p", "input": ""}"#).unwrap(), "p/m");
        assert_eq!(wanted(r#"{"input": ""}"#).unwrap(), "auto");
        assert_eq!(wanted(r#"{"provider": "p", "input": ""}"#).unwrap_err(), "model");
        assert_eq!(wanted(r#"{"model": "m", "route": "r", "input": ""}"#).unwrap_err(), "route");
        assert_eq!(wanted(r#"{"route": "r", "provider": "p", "input": ""}"#).unwrap_err(), "provider");
    }

    #[test]
    fn a_misspelled_key_is_refused() {
        for json in [r#"{"modle": "m", "input": ""}"#, r#"{"model": "m", "input": "", "options": {"max_tokens": 1}}"#] {
            assert!(serde_json::from_str::<ExecuteRequest>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn every_event_reads_back_as_written() {
        let reply = ExecuteReply {
            id: RequestId::from_parts(1, 2),
            provider: "openai".parse().unwrap(),
            connection: "openai:main".parse().unwrap(),
            model: "m".into(),
            output: Output { text: Some("hi".into()), tool_calls: Vec::new(), finish_reason: Some("stop".into()) },
            usage: ExecuteUsage {
                tokens: Tokens { input: Some(3), ..Tokens::default() },
                cost_usd: Some(NanoUsd(4_400)),
                estimated: false,
            },
            attempts: vec![Attempt {
                connection: "openai:main".parse().unwrap(),
                outcome: Outcome::Ok,
                status: Some(200),
                ms: 5,
            }],
            duration_ms: 6,
        };
        let call = ToolCallDelta { index: 0, id: Some("c".into()), name: None, arguments_delta: "{".into() };
        let error = ErrorBody::of(&Failure::new(Code::UpstreamCut, "cut"));
        let text = TextDelta { delta: "h".into() };
        let events = [
            ExecuteEvent::Text(text),
            ExecuteEvent::ToolCall(call),
            ExecuteEvent::Done(Box::new(reply)),
            ExecuteEvent::Error(error),
        ];
        for event in events {
            assert_eq!(ExecuteEvent::parse(event.name(), &event.to_json()).unwrap(), Some(event));
        }
        assert_eq!(ExecuteEvent::parse("later", b"{}").unwrap(), None);
    }
}
