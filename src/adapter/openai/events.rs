//! A stream of named events: the Responses API, pictures, speech, transcriptions. All of them pass; usage is in the last.

use std::borrow::Cow;
use std::ops::ControlFlow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::body::text;
use super::{begun, count, in_band, unreadable};
use crate::adapter::hub;
use crate::adapter::{Forward, Seen, Step, StreamReader, sse};
use crate::api::Operation;

/// Reads such a stream.
pub(super) struct Events {
    operation: Operation,
    /// Whether an event has said that something is complete.
    complete: bool,
    /// Pictures that are.
    images: u64,
    done: bool,
}

/// One event; only what Bursar reads.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(default, borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    /// Of the Responses API: the response as far as it has come.
    #[serde(default, borrow)]
    response: Option<Inner<'a>>,
    #[serde(default, borrow)]
    delta: Option<&'a RawValue>,
    #[serde(default, borrow)]
    usage: Option<&'a RawValue>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Inner<'a> {
    #[serde(default, borrow)]
    model: Option<&'a RawValue>,
    #[serde(default, borrow)]
    usage: Option<&'a RawValue>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
}

/// What an event of a name means (API reference, "Streaming events" of each).
enum Means {
    Nothing,
    Content,
    /// What was asked for is there.
    Complete,
    Error,
}

impl Events {
    /// A reader for one stream.
    pub(super) fn new(operation: Operation) -> Self {
        Self { operation, complete: false, images: 0, done: false }
    }

    /// Several pictures end one by one, so their stream ends with its bytes.
    fn terminal(&self) -> bool {
        self.done || (self.complete && self.operation != Operation::Images)
    }
}

fn meaning(kind: &str) -> Means {
    match kind {
        "error" | "response.failed" => Means::Error,
        "response.completed"
        | "response.incomplete"
        | "image_generation.completed"
        | "image_edit.completed"
        | "speech.audio.done"
        | "transcript.text.done" => Means::Complete,
        kind if [".delta", ".done", ".partial_image", ".segment"].iter().any(|end| kind.ends_with(end)) => {
            Means::Content
        }
        _ => Means::Nothing,
    }
}

impl StreamReader for Events {
    fn frame(&mut self, frame: &sse::Frame<'_>) -> Step {
        // OpenAI sends no `[DONE]` here; some who are compatible do.
        let event: Event<'_> = match begun(frame, &mut self.done) {
            ControlFlow::Continue(event) => event,
            ControlFlow::Break(step) => return step,
        };
        let name = String::from_utf8_lossy(frame.event);
        let mut seen = Seen::default();
        let inner = event.response.as_ref();
        let error = event.error.or_else(|| inner.and_then(|inner| inner.error)).filter(|error| error.get() != "null");
        match meaning(event.kind.as_deref().unwrap_or(&name)) {
            // The Responses API says an error's fields beside its type.
            Means::Error => {
                let data = frame.data.as_deref().unwrap_or_default();
                seen.error = Some(error.map_or_else(|| bare(data), in_band));
            }
            Means::Complete => {
                self.complete = true;
                self.images += 1;
                seen.content = true;
            }
            Means::Content => seen.content = true,
            Means::Nothing => seen.error = event.error.filter(|error| error.get() != "null").map(in_band),
        }
        seen.terminal = self.terminal();
        seen.model = inner.and_then(|inner| inner.model).and_then(text);
        count(&mut seen, inner.and_then(|inner| inner.usage).or(event.usage));
        seen.written = hub::written(event.delta);
        if self.operation == Operation::Images && self.complete {
            seen.tokens.images = Some(self.images);
        }
        Step { forward: Forward::AsIs, seen }
    }

    fn end(&mut self) -> Step {
        let terminal = self.done || self.complete;
        Step { forward: Forward::Withhold, seen: Seen { terminal, ..Seen::default() } }
    }
}

/// The error that an event is.
fn bare(data: &[u8]) -> crate::adapter::ProviderError {
    serde_json::from_slice::<&RawValue>(data).map_or_else(|_| unreadable(), in_band)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::Asked;
    use crate::adapter::openai::OPENAI;
    use crate::adapter::{Adapter, ProviderError};

    fn read(operation: Operation, events: &[&str]) -> Vec<Seen> {
        let mut reader = OPENAI.stream(&Asked { operation, ..Asked::for_model("m") });
        let mut frames = sse::Reader::new(1 << 20);
        let mut all = Vec::new();
        for event in events {
            frames.push(format!("data: {event}\n\n").as_bytes());
            all.push(reader.frame(&frames.next_frame().unwrap().unwrap()).seen);
        }
        all.push(reader.end().seen);
        all
    }

    #[test]
    fn a_response_is_over_when_it_is_complete_and_tells_its_usage() {
        let seen = read(
            Operation::Responses,
            &[
                r#"{"type":"response.created","response":{"model":"gpt","usage":null,"error":null}}"#,
                r#"{"type":"response.output_text.delta","delta":"hi"}"#,
                r#"{"type":"response.completed","response":{"model":"gpt","usage":{"input_tokens":9,"input_tokens_details":{"cached_tokens":4},"output_tokens":5,"output_tokens_details":{"reasoning_tokens":2},"total_tokens":14}}}"#,
            ],
        );
        assert_eq!((seen[0].content, seen[0].model.as_deref()), (false, Some("gpt")));
        assert_eq!((seen[1].content, seen[1].terminal), (true, false));
        let tokens = seen[2].tokens;
        assert!(seen[2].terminal && seen[3].terminal);
        assert_eq!((tokens.input, tokens.cached), (Some(9), Some(4)));
        assert_eq!((tokens.output, tokens.reasoning), (Some(5), Some(2)));
    }

    #[test]
    fn a_stream_without_its_last_event_is_cut() {
        let seen = read(Operation::Responses, &[r#"{"type":"response.output_text.delta","delta":"hi"}"#]);
        assert!(!seen[1].terminal);
        let pictures = read(
            Operation::Images,
            &[r#"{"type":"image_generation.completed","usage":{"input_tokens":1,"output_tokens":7}}"#],
        );
        assert_eq!((pictures[0].terminal, pictures[0].tokens.output, pictures[1].terminal), (false, Some(7), true));
        let speech = read(
            Operation::Speech,
            &[r#"{"type":"speech.audio.delta","audio":"AA=="}"#, r#"{"type":"speech.audio.done"}"#],
        );
        assert!(speech[0].content && speech[1].terminal);
    }

    #[test]
    fn errors_are_found_in_each_of_their_shapes() {
        let message = |event: &str| {
            let error: Option<ProviderError> = read(Operation::Responses, &[event])[0].error.clone();
            error.map(|error| error.message)
        };
        for event in [
            r#"{"type":"error","code":"rate_limit_exceeded","message":"slow down","param":null}"#,
            r#"{"type":"error","error":{"message":"slow down"}}"#,
            r#"{"type":"response.failed","response":{"error":{"code":"server_error","message":"slow down"}}}"#,
            r#"{"error":{"message":"slow down"}}"#,
        ] {
            assert_eq!(message(event).as_deref(), Some("slow down"), "{event}");
        }
        assert!(message("[1]").is_some() && message(r#"{"type":"response.queued","error":null}"#).is_none());
    }
}
