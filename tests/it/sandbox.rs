//! The sandbox as the rest of Bursar sees it: what its adapter reads in its replies.

use bursar::adapter::openai::SANDBOX;
use bursar::adapter::{Adapter as _, Asked, Forward, Seen, sse};
use bursar::api::{Operation, Outcome, Tokens};
use bursar::upstream::sandbox::Fault;
use bursar::upstream::{Reply, Request, TransportError, Upstream, Via};
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::{Value, json};

const MAX: usize = 1 << 20;

fn asked(operation: Operation) -> Asked {
    Asked {
        operation,
        model: "echo".into(),
        stream: false,
        endpoint: None,
        pass: false,
        single: false,
        max_output_tokens: None,
        include_usage: true,
        usage_added: false,
        vectors_base64: false,
        seed: "seed".into(),
        created_s: 0,
    }
}

async fn send(fault: &Fault, asked: &Asked, body: &Value) -> Reply {
    let base = SANDBOX.facts().kind.default_base_url.unwrap();
    let url = format!("{base}{}", SANDBOX.path(asked)).parse().unwrap();
    let (method, body) = match asked.operation {
        Operation::Models => (Method::GET, Vec::new()),
        _ => (Method::POST, vec![Bytes::from(body.to_string())]),
    };
    let request = Request { method, url, headers: HeaderMap::new(), body };
    Upstream::new().send(Via::Sandbox(fault), request).await.unwrap()
}

fn prompt(text: &str) -> Value {
    json!({
        "model": "echo",
        "messages": [{"role": "user", "content": text}],
        "stream": true,
        "stream_options": {"include_usage": true},
    })
}

/// What a stream says, frame by frame, the text of each, and how its bytes ended.
async fn read(fault: &Fault, body: &Value) -> (Vec<Seen>, String, Result<(), TransportError>) {
    let asked = asked(Operation::Chat);
    let mut reply = send(fault, &asked, body).await;
    let (mut frames, mut chunks) = (sse::Reader::new(MAX), SANDBOX.stream(&asked));
    let (mut seen, mut text) = (Vec::new(), String::new());
    let end = loop {
        match reply.chunk().await {
            Ok(Some(bytes)) => frames.push(&bytes),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
        while let Some(frame) = frames.next_frame().unwrap() {
            let step = chunks.frame(&frame);
            assert_eq!(step.forward, Forward::AsIs);
            seen.push(step.seen);
            let data = frame.data.as_deref().unwrap();
            let chunk: Value = serde_json::from_slice(data).unwrap_or_default();
            text += chunk.pointer("/choices/0/delta/content").and_then(Value::as_str).unwrap_or_default();
        }
    };
    (seen, text, end)
}

#[tokio::test]
async fn a_whole_reply_is_read() {
    let asked = asked(Operation::Chat);
    let mut body = prompt("twelve chars");
    body["stream"] = json!(false);
    let bytes = send(&Fault::default(), &asked, &body).await.whole(MAX).await.unwrap();
    let seen = SANDBOX.reply(&asked, &bytes).unwrap().seen;
    assert_eq!(seen.tokens, Tokens { input: Some(7), output: Some(3), ..Tokens::default() });
    assert_eq!(seen.model.as_deref(), Some("echo"));
    assert!(seen.content && seen.terminal && seen.error.is_none());
}

#[tokio::test]
async fn a_stream_is_read_with_its_content_its_usage_and_its_end() {
    let (seen, text, end) = read(&Fault::default(), &prompt("one two three")).await;
    assert_eq!((text.as_str(), end), ("one two three", Ok(())));
    assert!(!seen[0].content, "the role alone is no content");
    assert!(seen[1].content);
    assert!(seen.last().unwrap().terminal);
    let tokens: Vec<_> = seen.iter().map(|seen| seen.tokens).filter(|tokens| *tokens != Tokens::default()).collect();
    assert_eq!(tokens, [Tokens { input: Some(8), output: Some(4), ..Tokens::default() }]);
}

#[tokio::test]
async fn a_tool_call_and_an_empty_text_are_content_too() {
    let tool = json!({"type": "function", "function": {"name": "now"}});
    let mut call = prompt("x");
    call["tools"] = json!([tool]);
    call["tool_choice"] = json!("required");
    for body in [call, prompt("")] {
        let (seen, ..) = read(&Fault::default(), &body).await;
        assert!(seen.iter().any(|seen| seen.content) && seen.last().unwrap().terminal);
    }
}

#[tokio::test]
async fn a_cut_stream_never_says_that_it_is_over() {
    for (after, content) in [(0, false), (1, true)] {
        let fault = Fault { cut_after: Some(after), ..Fault::default() };
        let (seen, _, end) = read(&fault, &prompt("one two three")).await;
        assert_eq!(end, Err(TransportError::Reset));
        assert_eq!(seen.iter().any(|seen| seen.content), content);
        assert!(!seen.iter().any(|seen| seen.terminal));
    }
}

#[tokio::test]
async fn faults_are_classed_as_what_they_stand_for() {
    for (status, outcome) in [
        (400, Outcome::Caller),
        (401, Outcome::Credential),
        (402, Outcome::Quota),
        (403, Outcome::NotForKey),
        (404, Outcome::NotForKey),
        (408, Outcome::Timeout),
        (413, Outcome::TooLarge),
        (422, Outcome::Caller),
        (429, Outcome::RateShort),
        (500, Outcome::Transient),
        (503, Outcome::Transient),
        (529, Outcome::Transient),
    ] {
        let fault = Fault { status: Some(status), retry_after_s: Some(3), ..Fault::default() };
        let mut reply = send(&fault, &asked(Operation::Chat), &prompt("x")).await;
        let body = reply.whole(MAX).await.unwrap();
        let error = SANDBOX.error(reply.status.as_u16(), &reply.headers, &body);
        assert_eq!((error.status, error.outcome), (status, outcome));
        assert_eq!(error.retry_after.unwrap().as_secs(), 3);
    }
}

#[tokio::test]
async fn embeddings_and_models_are_read() {
    let embeddings = asked(Operation::Embeddings);
    let body = json!({"model": "embed", "input": ["one two three"]});
    let bytes = send(&Fault::default(), &embeddings, &body).await.whole(MAX).await.unwrap();
    assert_eq!(SANDBOX.reply(&embeddings, &bytes).unwrap().seen.tokens.input, Some(4));

    let bytes = send(&Fault::default(), &asked(Operation::Models), &Value::Null).await.whole(MAX).await.unwrap();
    assert_eq!(SANDBOX.models(&bytes).unwrap(), ["echo", "embed"]);
}
