//! A stream of chat chunks.

use std::ops::ControlFlow;

use super::body::{Body, Choice, Delta, failed, is_something, text};
use super::{begun, count, in_band};
use crate::adapter::{Asked, Forward, ProviderError, Seen, Step, StreamReader, sse};
use crate::bounds;

/// Reads a stream of chunks.
#[derive(Default)]
pub(super) struct Chunks {
    usage_added: bool,
    /// Choices that have begun, and of them those that have a finish reason.
    begun: Vec<u32>,
    finished: Vec<u32>,
    done: bool,
}

impl Chunks {
    /// A reader for one stream.
    pub(super) fn new(asked: &Asked) -> Self {
        Self { usage_added: asked.usage_added, ..Self::default() }
    }

    /// Notes how far its answers are. Whether there is content; none where there are more answers than can be asked for.
    fn note(&mut self, choices: &[Choice<'_>]) -> Option<bool> {
        let mut content = false;
        for (position, choice) in choices.iter().enumerate() {
            let index = choice.index.unwrap_or_else(|| u32::try_from(position).unwrap_or(u32::MAX));
            put(&mut self.begun, index)?;
            if is_something(choice.finish_reason) {
                put(&mut self.finished, index)?;
                content = true;
            }
            content |= choice.delta.as_ref().is_some_and(Delta::has_content);
        }
        Some(content)
    }

    fn terminal(&self) -> bool {
        self.done || (!self.begun.is_empty() && self.begun.len() == self.finished.len())
    }
}

fn put(all: &mut Vec<u32>, index: u32) -> Option<()> {
    if !all.contains(&index) {
        (all.len() < bounds::STREAM_ANSWERS_MAX).then(|| all.push(index))?;
    }
    Some(())
}

impl StreamReader for Chunks {
    fn frame(&mut self, frame: &sse::Frame<'_>) -> Step {
        let chunk: Body<'_> = match begun(frame, &mut self.done) {
            ControlFlow::Continue(chunk) => chunk,
            ControlFlow::Break(step) => return step,
        };
        let choices = chunk.choices.unwrap_or_default();
        let before = self.terminal();
        let written = choices.iter().filter_map(|choice| Some(choice.delta.as_ref()?.written())).sum();
        let Some(content) = self.note(&choices) else {
            let error = Some(ProviderError::broken("the stream holds more answers than can be asked for"));
            return Step { forward: Forward::Withhold, seen: Seen { error, ..Seen::default() } };
        };
        let mut seen = Seen { content, written, ..Seen::default() };
        seen.terminal = self.terminal();
        // Some servers give the answers (`n`) one after the other.
        seen.reopened = before && !seen.terminal;
        seen.model = chunk.model.and_then(text);
        count(&mut seen, chunk.usage.or_else(|| chunk.x_groq.and_then(|groq| groq.usage)));
        seen.error = chunk.error.filter(|raw| raw.get() != "null").map(in_band).or_else(|| failed(&choices));
        let ours = self.usage_added && choices.is_empty() && chunk.usage.is_some();
        Step { forward: if ours { Forward::Withhold } else { Forward::AsIs }, seen }
    }

    fn end(&mut self) -> Step {
        let terminal = self.terminal();
        let forward =
            if terminal && !self.done { Forward::Replace(b"data: [DONE]\n\n".to_vec()) } else { Forward::Withhold };
        Step { forward, seen: Seen { terminal, ..Seen::default() } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::Adapter;
    use crate::adapter::openai::OPENAI;
    use crate::api::Operation;

    /// What each of these chunks says of the stream's end: (terminal, reopened).
    fn ends(chunks: &[&str]) -> Vec<(bool, bool)> {
        let mut reader = OPENAI.stream(&Asked { operation: Operation::Chat, ..Asked::for_model("m") });
        let mut frames = sse::Reader::new(1 << 20);
        let mut ends = Vec::new();
        for chunk in chunks {
            frames.push(format!("data: {chunk}\n\n").as_bytes());
            let seen = reader.frame(&frames.next_frame().unwrap().unwrap()).seen;
            ends.push((seen.terminal, seen.reopened));
        }
        ends
    }

    /// Each is looked up among all that have begun: a frame of ever more of them must not hold everybody else up.
    #[test]
    fn more_answers_than_can_be_asked_for_break_the_stream() {
        let answers = |count: usize| {
            let choices: Vec<_> = (0..count).map(|index| format!(r#"{{"index":{index},"delta":{{}}}}"#)).collect();
            let mut reader = OPENAI.stream(&Asked { operation: Operation::Chat, ..Asked::for_model("m") });
            let mut frames = sse::Reader::new(1 << 20);
            frames.push(format!("data: {{\"choices\":[{}]}}\n\n", choices.join(",")).as_bytes());
            reader.frame(&frames.next_frame().unwrap().unwrap()).seen.error
        };
        assert!(answers(bounds::STREAM_ANSWERS_MAX).is_none());
        assert!(answers(bounds::STREAM_ANSWERS_MAX + 1).unwrap().message.contains("more answers"));
    }

    #[test]
    fn a_stream_of_answers_one_after_the_other_is_over_after_the_last() {
        let piece = |index| format!(r#"{{"choices":[{{"index":{index},"delta":{{"content":"x"}}}}]}}"#);
        let end = |index| format!(r#"{{"choices":[{{"index":{index},"delta":{{}},"finish_reason":"stop"}}]}}"#);
        let ends = ends(&[&piece(0), &end(0), &piece(1), &piece(1), &end(1), "[DONE]"]);
        let (open, over) = ((false, false), (true, false));
        assert_eq!(ends, [open, over, (false, true), open, over, over]);
    }
}
