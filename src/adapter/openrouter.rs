//! OpenRouter: OpenAI's family with its own extras, all of which pass through.
//!
//! Usage, with the cost of the call, comes in every reply and stream without being asked for (openrouter.ai, "Usage
//! accounting"), and is read where OpenAI's is.

use super::openai::OpenAi;
use super::{Auth, Dialect, Facts, KindFacts, headers};
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
    dialect: Some(Dialect::OpenAi),
    auth: Auth::Bearer,
    forward: &[&headers::IDEMPOTENCY_KEY],
    give_back: &[],
    request_id: &headers::OPENROUTER_GENERATION_ID,
    operations: &[Operation::Chat, Operation::Embeddings, Operation::Models, Operation::Responses],
    headers: &[],
    setting_headers: &[("referer", "http-referer"), ("title", "x-openrouter-title")],
    in_process: false,
});

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;
    use serde_json::{Value, json};

    use super::*;
    use crate::adapter::{Adapter, Asked, Forward, Step, body, sse};
    use crate::api::{NanoUsd, Outcome};

    fn class(status: u16, error: &Value) -> Outcome {
        OPENROUTER.error(status, &HeaderMap::new(), json!({"error": error}).to_string().as_bytes()).outcome
    }

    fn chat() -> Asked {
        Asked { operation: Operation::Chat, ..Asked::for_model("m") }
    }

    fn steps(stream: &str) -> Vec<Step> {
        let mut reader = OPENROUTER.stream(&chat());
        let mut frames = sse::Reader::new(1 << 20);
        frames.push(stream.as_bytes());
        let mut steps = Vec::new();
        while let Some(frame) = frames.next_frame().unwrap() {
            steps.push(reader.frame(&frame));
        }
        steps
    }

    #[test]
    fn its_own_request_fields_pass_untouched() {
        let sent = r#"{"provider":{"order":["a"],"max_price":{"prompt":1e-7}},"models":["a/b","c/d"],"transforms":["middle-out"],
            "usage":{"include":true},"reasoning":{"max_tokens":9},"model":"MODEL","stream":true,"messages":[{}]}"#;
        let said = Bytes::from(sent.replace("MODEL", "fast"));
        let scan = body::scan(Dialect::OpenAi, Operation::Chat, None, &said).unwrap();
        // Usage comes in every stream: nothing is added to the body to ask for it.
        assert_eq!(OPENROUTER.facts().kind.stream_usage, StreamUsage::Always);
        let out = scan.splice(&said, "a/b:free", false).to_vec();
        assert_eq!(String::from_utf8(out).unwrap(), sent.replace("MODEL", "a/b:free"));
    }

    #[test]
    fn an_error_says_when_the_model_is_there_again() {
        let after = |retry_after: Value, header: Option<&'static str>| {
            let error =
                json!({"code": 503, "message": "busy", "availability": {"code": "x", "retry_after": retry_after}});
            let headers = header.map(|value| (http::header::RETRY_AFTER, http::HeaderValue::from_static(value)));
            let headers = headers.into_iter().collect();
            OPENROUTER.error(503, &headers, json!({"error": error}).to_string().as_bytes()).retry_after
        };
        let s = std::time::Duration::from_secs_f32;
        assert_eq!(after(json!(7.5), None), Some(s(7.5)));
        assert_eq!(after(json!(7), Some("3")), Some(s(3.0)), "the header is the older word");
        for odd in [json!(null), json!("soon"), json!(-1), json!(1e300), json!({})] {
            assert_eq!(after(odd.clone(), None), None, "{odd}");
        }
        let framed = json!({"error": {"code": 429, "message": "x", "availability": {"retry_after": 9}}});
        let steps = steps(&format!("data: {framed}\n\n"));
        let error = steps[0].seen.error.as_ref().unwrap();
        assert_eq!((error.outcome, error.retry_after), (Outcome::RateShort, Some(s(9.0))));
    }

    #[test]
    fn the_cost_is_its_own_account_of_it() {
        let usage = json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "cost": 1.95e-5, "is_byok": false,
            "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 2}});
        let reply = json!({"model": "a/b", "provider": "A", "usage": usage,
            "choices": [{"message": {"content": "x"}, "finish_reason": "stop", "native_finish_reason": "end"}]});
        let seen = OPENROUTER.reply(&chat(), &Bytes::from(reply.to_string())).unwrap().seen;
        assert_eq!((seen.cost, seen.tokens.cached, seen.tokens.reasoning), (Some(NanoUsd(19_500)), Some(4), Some(2)));
        // In a stream it comes with a choice that says nothing.
        let last = json!({"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": null}], "usage": usage});
        let steps = steps(&format!("data: {last}\n\n"));
        assert_eq!((&steps[0].forward, steps[0].seen.cost), (&Forward::AsIs, Some(NanoUsd(19_500))));
        assert!(!steps[0].seen.content);
    }

    #[test]
    fn comments_pass_and_are_no_content() {
        for step in steps(": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\r\n\r\n") {
            assert_eq!((step.forward, step.seen), (Forward::AsIs, crate::adapter::Seen::default()));
        }
    }

    #[test]
    fn an_error_in_the_middle_of_a_stream_is_one_of_the_class_that_it_names() {
        let error = json!({"code": 429, "message": "slow down", "metadata": {"provider_name": "A"}});
        let at_top =
            json!({"error": error, "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]});
        let in_choice = json!({"choices": [{"index": 0, "delta": {}, "error": error, "finish_reason": "error"}]});
        for chunk in [&at_top, &in_choice] {
            let steps =
                steps(&format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"x\"}}}}]}}\n\ndata: {chunk}\n\n"));
            assert!(steps[0].seen.error.is_none() && steps[0].seen.content);
            let error = steps[1].seen.error.as_ref().unwrap();
            assert_eq!((error.outcome, &*error.message), (Outcome::RateShort, "slow down"), "{chunk}");
        }
        let bare = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "error"}]});
        let steps = steps(&format!("data: {bare}\n\n"));
        assert_eq!(steps[0].seen.error.as_ref().unwrap().outcome, Outcome::Transient);
    }

    #[test]
    fn an_answer_that_failed_is_an_error_unless_another_came_through() {
        let failed =
            json!({"message": {"content": ""}, "finish_reason": "error", "error": {"code": 502, "message": "down"}});
        let fine = json!({"message": {"content": "x"}, "finish_reason": "stop"});
        let error = |choices: Value| {
            OPENROUTER.reply(&chat(), &Bytes::from(json!({"choices": choices}).to_string())).unwrap().seen.error
        };
        assert_eq!(error(json!([failed])).map(|error| error.outcome), Some(Outcome::Transient));
        assert_eq!(error(json!([fine, failed])), None);
        // A whole body may be an error too, under a 200.
        let body = Bytes::from(r#"{"error":{"code":402,"message":"no credits"}}"#);
        let seen = OPENROUTER.reply(&chat(), &body).unwrap().seen;
        assert_eq!(seen.error.map(|error| error.outcome), Some(Outcome::Quota));
    }

    #[test]
    fn credits_are_quota_and_a_flagged_prompt_is_the_callers() {
        assert_eq!(class(402, &json!({"code": 402, "message": "insufficient credits"})), Outcome::Quota);
        for source in ["openrouter_credits", "openrouter_key_limit"] {
            let limited = json!({"code": 403, "message": "limit", "metadata": {"limit_source": source}});
            assert_eq!(class(403, &limited), Outcome::Quota, "{source}");
        }
        let flagged = json!({"reasons": ["violence"], "flagged_input": "…", "provider_name": "A"});
        assert_eq!(class(403, &json!({"code": 403, "message": "m", "metadata": flagged})), Outcome::Caller);
        assert_eq!(
            class(403, &json!({"code": 403, "message": "m", "metadata": {"provider_name": "A"}})),
            Outcome::NotForKey
        );
        for (status, outcome) in [
            (400, Outcome::Caller),
            (401, Outcome::Credential),
            (408, Outcome::Timeout),
            (413, Outcome::TooLarge),
            (429, Outcome::RateShort),
            (502, Outcome::Transient),
            (503, Outcome::Transient),
            (524, Outcome::Timeout),
            (529, Outcome::Transient),
        ] {
            assert_eq!(class(status, &json!({"code": status, "message": "m"})), outcome, "{status}");
        }
    }

    #[test]
    fn attribution_is_the_connections_setting() {
        let headers = OPENROUTER.facts().setting_headers;
        assert!(headers.contains(&("referer", "http-referer")) && headers.contains(&("title", "x-openrouter-title")));
        assert!(headers.iter().all(|(setting, _)| OPENROUTER.facts().kind.settings.contains(setting)));
    }
}
