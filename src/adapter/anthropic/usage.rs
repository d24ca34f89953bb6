//! Anthropic's counts as Bursar's.
//!
//! Its input leaves out what was read from the cache or written to it. The counts at a stream's end are of all of it,
//! and stand in place of those at its beginning, of the input too: tools that run at Anthropic add to it.

use super::wire::Usage;
use crate::api::Tokens;

impl Usage {
    /// What is known now, with what a later event said put over it.
    pub(super) fn updated_by(self, later: Self) -> Self {
        Self {
            input_tokens: later.input_tokens.or(self.input_tokens),
            output_tokens: later.output_tokens.or(self.output_tokens),
            cache_creation_input_tokens: later.cache_creation_input_tokens.or(self.cache_creation_input_tokens),
            cache_read_input_tokens: later.cache_read_input_tokens.or(self.cache_read_input_tokens),
            cache_creation: later.cache_creation.or(self.cache_creation),
            output_tokens_details: later.output_tokens_details.or(self.output_tokens_details),
            server_tool_use: later.server_tool_use.or(self.server_tool_use),
        }
    }

    /// As it stands at a stream's beginning: what is said there of the output is a beginning too, and no count.
    pub(super) fn of_input(self) -> Self {
        Self { output_tokens: None, output_tokens_details: None, ..self }
    }

    /// The figures of a usage record.
    pub(super) fn tokens(self) -> Tokens {
        let cache = [self.cache_creation_input_tokens, self.cache_read_input_tokens];
        let cache = cache.into_iter().flatten().fold(0, u64::saturating_add);
        Tokens {
            input: self.input_tokens.map(|input| input.saturating_add(cache)),
            output: self.output_tokens,
            cached: self.cache_read_input_tokens,
            reasoning: self.output_tokens_details.and_then(|details| details.thinking_tokens),
            cache_write: self.cache_creation_input_tokens,
            cache_write_1h: self.cache_creation.and_then(|written| written.ephemeral_1h_input_tokens),
            searches: self.server_tool_use.and_then(|tools| tools.web_search_requests),
            ..Tokens::default()
        }
    }
}
