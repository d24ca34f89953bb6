//! The three dialects, as tests speak them: what an app asks and reads, and what a provider answers and is asked.

use serde_json::{Value, json};

use crate::fake::{Behaviour, Events, FakeProvider, Reply as Answer, anthropic, gemini, openai};
use crate::harness::canary::prompt;
use crate::harness::{Call, Reply, Setup};

/// The arguments of every call, and what its tool says.
pub const CITY: &str = "Graz";
pub const WEATHER: &str = "rain";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    OpenAi,
    Anthropic,
    Gemini,
}

use Dialect::{Anthropic, Gemini, OpenAi};

pub const ALL: [Dialect; 3] = [OpenAi, Anthropic, Gemini];

/// Every dialect of an app with every dialect of a provider.
pub fn pairs() -> impl Iterator<Item = (Dialect, Dialect)> {
    ALL.into_iter().flat_map(|app| ALL.into_iter().map(move |provider| (app, provider)))
}

/// A provider of each dialect at the same fake.
pub fn setup(fake: &FakeProvider) -> Setup {
    ALL.into_iter().fold(Setup::new(), |setup, dialect| {
        let base_url = format!("{}{}", fake.url(), if dialect == Gemini { "/v1beta" } else { "/v1" });
        let (kind, name) = (dialect.kind(), dialect.provider());
        setup.provider_of(kind, name, &base_url, "").connection(&format!("{name}:main"), "")
    })
}

impl Dialect {
    fn kind(self) -> &'static str {
        match self {
            OpenAi => "openai",
            Anthropic => "anthropic",
            Gemini => "gemini",
        }
    }

    /// The name of its provider.
    pub fn provider(self) -> &'static str {
        match self {
            OpenAi => "o",
            Anthropic => "a",
            Gemini => "g",
        }
    }

    /// The model of its provider.
    pub fn model(self) -> String {
        format!("{}/m", self.provider())
    }

    /// Where a chat is asked.
    pub fn path(self, model: &str, stream: bool) -> String {
        match self {
            OpenAi => "/v1/chat/completions".into(),
            Anthropic => "/v1/messages".into(),
            Gemini if stream => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
            Gemini => format!("/v1beta/models/{model}:generateContent"),
        }
    }

    /// A body that asks for a chat. What the path says is not in it.
    pub fn body(self, model: &str, stream: bool, turns: &Value) -> Value {
        match self {
            OpenAi => json!({"model": model, "messages": turns, "stream": stream}),
            Anthropic => json!({"model": model, "messages": turns, "stream": stream, "max_tokens": 64}),
            Gemini => json!({"contents": turns}),
        }
    }

    /// A person's turn.
    pub fn said(self, text: &str) -> Value {
        match self {
            OpenAi | Anthropic => json!({"role": "user", "content": text}),
            Gemini => json!({"role": "user", "parts": [{"text": text}]}),
        }
    }

    pub fn post(self, model: &str, stream: bool, body: &Value) -> Call {
        Call::post(&self.path(model, stream), body)
    }

    /// A chat of one turn.
    pub fn chat(self, model: &str, stream: bool) -> Call {
        self.post(model, stream, &self.body(model, stream, &json!([self.said(&prompt())])))
    }

    /// A chat with a tool, after these turns.
    pub fn with_tool(self, model: &str, stream: bool, turns: &Value) -> Call {
        let mut body = self.body(model, stream, turns);
        let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
        body["tools"] = match self {
            OpenAi => json!([{"type": "function", "function": {"name": "weather", "parameters": schema}}]),
            Anthropic => json!([{"name": "weather", "input_schema": schema}]),
            Gemini => json!([{"functionDeclarations": [{"name": "weather", "parameters": schema}]}]),
        };
        self.post(model, stream, &body)
    }

    /// The turn that a reply is, as apps hand it back, and the tool's result behind it.
    pub fn handed_back(self, reply: &Value) -> [Value; 2] {
        match self {
            OpenAi => {
                let turn = &reply["choices"][0]["message"];
                [turn.clone(), json!({"role": "tool", "tool_call_id": turn["tool_calls"][0]["id"], "content": WEATHER})]
            }
            Anthropic => {
                let blocks = reply["content"].as_array().unwrap();
                let call = blocks.iter().find(|block| block["type"] == "tool_use").unwrap();
                let result = json!({"type": "tool_result", "tool_use_id": call["id"], "content": WEATHER});
                [json!({"role": "assistant", "content": blocks}), json!({"role": "user", "content": [result]})]
            }
            Gemini => {
                let result = json!({"functionResponse": {"name": "weather", "response": {"result": WEATHER}}});
                [reply["candidates"][0]["content"].clone(), json!({"role": "user", "parts": [result]})]
            }
        }
    }

    /// The text that a reply holds.
    pub fn text(self, reply: &Reply, stream: bool) -> String {
        let pointers: &[&str] = match (self, stream) {
            (OpenAi, false) => &["/choices/0/message/content"],
            (OpenAi, true) => &["/choices/0/delta/content"],
            (Anthropic, false) => &["/content/0/text"],
            (Anthropic, true) => &["/delta/text"],
            (Gemini, _) => &["/candidates/0/content/parts/0/text"],
        };
        self.found(reply, stream, pointers)
    }

    /// The city in the call that a reply holds.
    pub fn city(self, reply: &Reply, stream: bool) -> String {
        let arguments = match (self, stream) {
            (OpenAi, false) => self.found(reply, stream, &["/choices/0/message/tool_calls/0/function/arguments"]),
            (OpenAi, true) => self.found(reply, stream, &["/choices/0/delta/tool_calls/0/function/arguments"]),
            (Anthropic, true) => self.found(reply, stream, &["/delta/partial_json"]),
            (Anthropic, false) => {
                let blocks = reply.json()["content"].clone();
                let call = blocks.as_array().unwrap().iter().find(|block| block["type"] == "tool_use").cloned();
                return call.unwrap()["input"]["city"].as_str().unwrap().to_owned();
            }
            (Gemini, _) => return self.found(reply, stream, &["/candidates/0/content/parts/0/functionCall/args/city"]),
        };
        let arguments: Value = serde_json::from_str(&arguments).unwrap();
        arguments["city"].as_str().unwrap().to_owned()
    }

    fn found(self, reply: &Reply, stream: bool, pointers: &[&str]) -> String {
        let all = if stream { events(reply.text()) } else { vec![reply.json()] };
        let found = |value: &Value| pointers.iter().find_map(|at| Some(value.pointer(at)?.as_str()?.to_owned()));
        all.iter().filter_map(found).collect()
    }

    /// The error that a body is, as its kind and its text.
    pub fn error(self, body: &Value) -> (String, String) {
        let error = &body["error"];
        let kind = match self {
            OpenAi => &error["code"],
            Anthropic => {
                assert_eq!(body["type"], "error", "{body}");
                &error["type"]
            }
            Gemini => {
                assert!(error["code"].is_u64(), "{body}");
                &error["status"]
            }
        };
        (kind.as_str().unwrap_or_default().to_owned(), error["message"].as_str().unwrap().to_owned())
    }

    /// What its provider answers a chat.
    pub fn answer(self, texts: &[&str], stream: bool) -> Behaviour {
        match (self, stream) {
            (OpenAi, true) => openai::stream(texts).into(),
            (OpenAi, false) => openai::chat(&texts.concat()).into(),
            (Anthropic, true) => anthropic::stream(texts).into(),
            (Anthropic, false) => anthropic::chat(&texts.concat()).into(),
            (Gemini, true) => gemini::stream(texts).into(),
            (Gemini, false) => gemini::chat(&texts.concat()).into(),
        }
    }

    /// The beginning of a stream, and no end.
    pub fn opening(self, texts: &[&str]) -> Events {
        match self {
            OpenAi => openai::opening(texts),
            Anthropic => anthropic::beginning(texts),
            Gemini => texts.iter().fold(Events::new(), |events, text| events.json(&gemini::piece(text, None))),
        }
    }

    /// What its provider answers where it wants the tool.
    pub fn calls(self, stream: bool) -> Behaviour {
        let arguments = json!({"city": CITY});
        let text = arguments.to_string();
        match (self, stream) {
            (OpenAi, false) => {
                let function = json!({"name": "weather", "arguments": text});
                let call = json!({"id": "call_1", "type": "function", "function": function});
                let message = json!({"role": "assistant", "content": null, "tool_calls": [call]});
                let choice = json!({"index": 0, "message": message, "finish_reason": "tool_calls"});
                Answer::json(
                    200,
                    &json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m",
                    "choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}}),
                )
                .into()
            }
            (OpenAi, true) => {
                let function = json!({"name": "weather", "arguments": text});
                let call = json!({"index": 0, "id": "call_1", "type": "function", "function": function});
                let chunk = |delta: Value, reason: Value| {
                    json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
                        "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
                };
                let events =
                    Events::new().json(&chunk(json!({"role": "assistant", "tool_calls": [call]}), Value::Null));
                let events = events.json(&chunk(json!({}), json!("tool_calls")));
                events.json(&openai::usage(openai::USAGE)).data(openai::DONE).into()
            }
            (Anthropic, false) => {
                let block = json!({"type": "tool_use", "id": "toolu_1", "name": "weather", "input": arguments});
                anthropic::message(&json!([block]), "tool_use").into()
            }
            (Anthropic, true) => {
                let (first, second) = text.split_at(5);
                anthropic::stream_of_call("toolu_1", "weather", [first, second]).into()
            }
            (Gemini, _) => {
                let mut piece = gemini::piece("", Some("STOP"));
                let call =
                    json!({"functionCall": {"name": "weather", "args": arguments}, "thoughtSignature": "c2lnbmVk"});
                piece["candidates"][0]["content"]["parts"] = json!([call]);
                if stream { Events::new().crlf().json(&piece).into() } else { Answer::json(200, &piece).into() }
            }
        }
    }

    /// What its provider says to a request that is wrong.
    pub fn refuses(self, text: &str) -> Answer {
        match self {
            OpenAi => {
                let mut error = openai::error_object("invalid_request_error", &Value::Null);
                error["error"]["message"] = json!(text);
                Answer::json(400, &error)
            }
            Anthropic => anthropic::error_of(400, "invalid_request_error", text),
            Gemini => {
                Answer::json(400, &json!({"error": {"code": 400, "message": text, "status": "INVALID_ARGUMENT"}}))
            }
        }
    }
}

/// The data of a stream's events.
pub fn events(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != openai::DONE);
    data.map(|data| serde_json::from_str(data).unwrap_or_else(|error| panic!("{error} in {data:?}"))).collect()
}
