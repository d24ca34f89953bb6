//! What a candidate's parts mean in OpenAI's words.
//!
//! A chunk of a stream and a whole reply are the same to Google, so both go through [`Answer::take`]: a whole reply is
//! a stream of one chunk.

use super::NAME;
use super::arguments::Arguments;
use super::wire::{Candidate, LogprobsResult, ReceivedCall, ReceivedPart, TokenCandidate};
use crate::adapter::hub::{
    Delta, ExtraContent, FinishReason, FunctionDelta, Logprobs, TokenLogprob, ToolCallDelta, TopLogprob,
};
use crate::adapter::text::sanitise;
use crate::adapter::{Asked, ProviderError};

/// Reasons for an answer that was withheld, or cut where it would have gone too far (Gemini API reference,
/// "FinishReason").
const FILTERED: &[&str] = &[
    "SAFETY",
    "RECITATION",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "LANGUAGE",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
];

/// Streamed arguments that cannot be put together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// Makes ids for calls: Google gives most of them none.
#[derive(Debug)]
pub(super) struct Ids {
    seed: String,
    made: u32,
}

impl Ids {
    pub(super) fn new(asked: &Asked) -> Self {
        Self { seed: asked.seed.clone(), made: 0 }
    }

    fn next(&mut self) -> String {
        self.made += 1;
        format!("call_{}_{}", self.seed, self.made - 1)
    }
}

/// One candidate, as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// Its number.
    pub index: u32,
    /// Whether text or calls came: what makes an answer one.
    pub has_content: bool,
    /// Whether the app speaks Google's dialect: then whatever a part holds is content.
    pass: bool,
    calls: u32,
    open: Option<Arguments>,
    finish: Option<String>,
    finish_message: Option<String>,
}

/// What one chunk adds to a candidate.
#[derive(Debug, Default)]
pub(super) struct Added {
    pub delta: Delta,
    pub logprobs: Option<Logprobs>,
}

impl Answer {
    pub(super) fn new(index: u32, pass: bool) -> Self {
        Self { index, pass, ..Self::default() }
    }

    /// Takes what a chunk adds.
    pub(super) fn take(&mut self, candidate: Candidate, ids: &mut Ids) -> Result<Added, Unreadable> {
        let mut delta = Delta::default();
        let parts = candidate.content.and_then(|content| content.parts).unwrap_or_default();
        for part in parts {
            self.take_part(part, &mut delta, ids)?;
        }
        if candidate.finish_reason.is_some() {
            self.finish = candidate.finish_reason;
            self.finish_message = candidate.finish_message;
            self.end_call(&mut delta);
        }
        Ok(Added { delta, logprobs: candidate.logprobs_result.map(logprobs) })
    }

    /// Thoughts never get into the content. Google shows them only to those who ask (`includeThoughts`, which Bursar
    /// sends for nobody on its own), and so they are passed on wherever they come.
    fn take_part(&mut self, part: ReceivedPart, delta: &mut Delta, ids: &mut Ids) -> Result<(), Unreadable> {
        self.has_content |= self.pass && part.holds_more();
        if let Some(text) = part.text.filter(|text| !text.is_empty()) {
            let thought = part.thought == Some(true);
            self.has_content |= !thought;
            let place = if thought { &mut delta.reasoning_content } else { &mut delta.content };
            place.get_or_insert_default().push_str(&text);
        }
        match part.function_call {
            Some(call) => self.take_call(call, part.thought_signature, delta, ids),
            None => {
                if let Some(signature) = part.thought_signature {
                    delta.extra_content = Some(ExtraContent::google(signature));
                }
                Ok(())
            }
        }
    }

    /// A name begins a call; a part without one goes on with the call before it, and a part that says nothing of
    /// continuing ends it.
    fn take_call(
        &mut self,
        call: ReceivedCall,
        signature: Option<String>,
        delta: &mut Delta,
        ids: &mut Ids,
    ) -> Result<(), Unreadable> {
        if let Some(name) = call.name {
            self.end_call(delta);
            delta.tool_calls.push(ToolCallDelta {
                index: Some(self.calls),
                id: Some(call.id.filter(|id| !id.is_empty()).unwrap_or_else(|| ids.next())),
                kind: Some("function"),
                function: FunctionDelta { name: Some(name), arguments: String::new() },
                extra_content: signature.map(ExtraContent::google),
            });
            self.calls += 1;
            self.has_content = true;
            self.open = Some(Arguments::begun(call.args.unwrap_or_default()));
        }
        if let Some(open) = &mut self.open {
            for piece in call.partial_args.unwrap_or_default() {
                open.put(piece).ok_or(Unreadable)?;
            }
        }
        if call.will_continue != Some(true) {
            self.end_call(delta);
        }
        Ok(())
    }

    /// Ends the call that is still open, if one is. Where it began in the same chunk, its arguments go with its name.
    pub(super) fn end_call(&mut self, delta: &mut Delta) {
        let Some(arguments) = self.open.take().map(Arguments::into_text) else { return };
        let index = Some(self.calls.saturating_sub(1));
        match delta.tool_calls.last_mut().filter(|last| last.index == index) {
            Some(begun) => begun.function.arguments = arguments,
            None => delta.tool_calls.push(ToolCallDelta {
                index,
                id: None,
                kind: None,
                function: FunctionDelta { name: None, arguments },
                extra_content: None,
            }),
        }
    }

    /// Says that the prompt was refused after all: what has no reason of its own yet ended for that one.
    pub(super) fn withhold(&mut self) {
        self.finish.get_or_insert_with(|| "PROHIBITED_CONTENT".to_owned());
    }

    /// Whether a finish reason has come. Chunks may still follow, and the last reason counts.
    pub(super) fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// Whether it ended in a way that the reference knows as an end, be it with nothing said.
    pub(super) fn is_lawful(&self) -> bool {
        self.lawful().is_some()
    }

    fn lawful(&self) -> Option<FinishReason> {
        match self.finish.as_deref()? {
            "STOP" => Some(FinishReason::Stop),
            "MAX_TOKENS" => Some(FinishReason::Length),
            reason if FILTERED.contains(&reason) => Some(FinishReason::ContentFilter),
            _ => None,
        }
    }

    /// The finish reason in OpenAI's words: Google says `STOP` for calls too. What nobody knows is an ordinary end,
    /// where there is content.
    pub(super) fn finish_reason(&self) -> FinishReason {
        match self.lawful() {
            Some(reason @ (FinishReason::Length | FinishReason::ContentFilter)) => reason,
            _ if self.calls > 0 => FinishReason::ToolCalls,
            _ => FinishReason::Stop,
        }
    }
}

/// Whether nothing came of any candidate: no text, no call, and no reason that is a lawful end.
pub(super) fn all_failed(answers: &[Answer]) -> bool {
    answers.iter().all(|answer| !answer.has_content && !answer.is_lawful())
}

/// The error for an answer that is none. Another try may well bring one.
pub(super) fn nothing(answers: &[Answer]) -> ProviderError {
    let last = answers.first();
    let reason = last.and_then(|answer| answer.finish.as_deref());
    let detail = last.and_then(|answer| answer.finish_message.as_deref()).unwrap_or_default();
    let message = match reason {
        Some(reason) => format!("{NAME} ended without an answer, for the reason {reason} {detail}"),
        None => format!("{NAME} ended without an answer and without a reason"),
    };
    ProviderError { kind: reason.map(sanitise), ..ProviderError::broken(&message) }
}

fn logprobs(result: LogprobsResult) -> Logprobs {
    let mut tops = result.top_candidates.unwrap_or_default().into_iter();
    let content = result.chosen_candidates.unwrap_or_default().into_iter().map(|chosen| TokenLogprob {
        token: token(chosen),
        top_logprobs: tops.next().and_then(|top| top.candidates).unwrap_or_default().into_iter().map(token).collect(),
    });
    Logprobs { content: content.collect(), refusal: None }
}

fn token(candidate: TokenCandidate) -> TopLogprob {
    let token = candidate.token.unwrap_or_default();
    let bytes = token.as_bytes().to_vec();
    // OpenAI's own figure for a token whose probability is not known to be any.
    TopLogprob { token, logprob: candidate.log_probability.unwrap_or(-9999.0), bytes }
}
