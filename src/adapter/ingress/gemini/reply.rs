//! A whole chat completion as a reply of `generateContent`.

use super::answer::{self, End};
use crate::adapter::hub::{Answer, Said};
use crate::adapter::{Asked, Invalid};

/// The reply that says the same.
pub(super) fn write(asked: &Asked, body: &[u8]) -> Result<Vec<u8>, Invalid> {
    let said = Said::read(body)?;
    if said.answers.is_empty() {
        return Err(Invalid("it has no answers".into()));
    }
    let one = |answer: Answer| {
        let mut parts = answer::said(&answer);
        let (calls, unreadable) = answer::calls(answer.calls);
        parts.extend(calls);
        let end = End::of(answer.finish_reason.as_deref(), unreadable);
        answer::candidate(answer.index, answer::or_empty(parts), answer.logprobs.as_ref(), Some(end))
    };
    let (id, model) = (said.id.as_deref().unwrap_or(&asked.seed), said.model.as_deref().unwrap_or(&asked.model));
    let usage = said.used.and_then(|used| answer::usage(used.tokens));
    let reply = answer::response(id, model, said.answers.into_iter().map(one).collect(), usage);
    Ok(reply.to_string().into_bytes())
}
