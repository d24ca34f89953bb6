//! Google's counts as Bursar's.
//!
//! Google leaves zeros out, and shows running totals in every chunk of a stream: the last chunk that counts anything
//! says it all. Thoughts are not among the candidates' tokens, but are written and billed; what tools put into the
//! prompt is not among the prompt's.

use super::wire::UsageMetadata;
use crate::api::Tokens;

/// What a reply with an answer says it used; none where it counts nothing. A count of candidates that is missing comes
/// from the total, or is unknown.
pub(super) fn tokens(usage: &UsageMetadata) -> Option<Tokens> {
    let counts = [
        usage.prompt_token_count,
        usage.candidates_token_count,
        usage.thoughts_token_count,
        usage.tool_use_prompt_token_count,
        usage.cached_content_token_count,
        usage.total_token_count,
    ];
    if counts.iter().all(Option::is_none) {
        return None;
    }
    let thoughts = usage.thoughts_token_count.unwrap_or(0);
    let input =
        usage.prompt_token_count.map(|prompt| prompt.saturating_add(usage.tool_use_prompt_token_count.unwrap_or(0)));
    let from_total = usage.total_token_count.zip(input).and_then(|(total, input)| total.checked_sub(input));
    let output = match usage.candidates_token_count {
        Some(candidates) => Some(candidates.saturating_add(thoughts)),
        None => from_total,
    };
    Some(Tokens {
        input,
        output,
        cached: usage.cached_content_token_count,
        reasoning: usage.thoughts_token_count,
        audio_input: usage.prompt_tokens_details.audio,
        audio_output: usage.candidates_tokens_details.audio,
        image_input: usage.prompt_tokens_details.image,
        image_output: usage.candidates_tokens_details.image,
        ..Tokens::default()
    })
}

/// What a reply with neither text nor calls says it used: there a count of candidates that is missing is zero.
pub(super) fn of_nothing(usage: &UsageMetadata) -> Option<Tokens> {
    let tokens = tokens(usage)?;
    Some(Tokens { output: tokens.output.or(Some(usage.thoughts_token_count.unwrap_or(0))), ..tokens })
}

/// A later chunk's counts, so that they stand even where figures are put over one another one by one: what an earlier
/// chunk counted and this one leaves out is zero by now.
pub(super) fn over(earlier: Tokens, later: Tokens) -> Tokens {
    Tokens {
        cached: later.cached.or(earlier.cached.map(|_| 0)),
        reasoning: later.reasoning.or(earlier.reasoning.map(|_| 0)),
        ..later
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(read: fn(&UsageMetadata) -> Option<Tokens>, json: &str) -> Option<(Option<u64>, Option<u64>)> {
        read(&serde_json::from_str(json).unwrap()).map(|tokens| (tokens.input, tokens.output))
    }

    #[test]
    fn thoughts_are_output_and_tools_results_are_input() {
        let usage =
            r#"{"promptTokenCount":10,"toolUsePromptTokenCount":5,"candidatesTokenCount":3,"thoughtsTokenCount":7}"#;
        assert_eq!(counted(tokens, usage), Some((Some(15), Some(10))));
    }

    #[test]
    fn a_missing_count_comes_from_the_total_or_is_zero_only_for_an_empty_answer() {
        let from_total = r#"{"promptTokenCount":10,"thoughtsTokenCount":7,"totalTokenCount":19}"#;
        assert_eq!(counted(tokens, from_total), Some((Some(10), Some(9))));
        assert_eq!(counted(of_nothing, from_total), Some((Some(10), Some(9))));
        assert_eq!(counted(tokens, r#"{"promptTokenCount":6}"#), Some((Some(6), None)));
        assert_eq!(counted(of_nothing, r#"{"promptTokenCount":6}"#), Some((Some(6), Some(0))));
        assert_eq!(counted(of_nothing, r#"{"promptTokenCount":6,"thoughtsTokenCount":2}"#), Some((Some(6), Some(2))));
        assert_eq!(counted(of_nothing, r#"{"trafficType":"PROVISIONED_THROUGHPUT"}"#), None);
    }

    #[test]
    fn what_a_later_chunk_leaves_out_is_zero_by_then() {
        let earlier = Tokens { cached: Some(5), reasoning: Some(9), ..Tokens::default() };
        let later = Tokens { reasoning: Some(10), ..Tokens::default() };
        assert_eq!(over(earlier, later), Tokens { cached: Some(0), ..later });
    }
}
