use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::time::Instant;

use super::*;

fn request(path: &str, body: &Value) -> Request {
    let method = if body.is_null() { Method::GET } else { Method::POST };
    let url = url::Url::parse(&format!("https://sandbox.invalid/v1{path}")).unwrap();
    // In two pieces, as a body comes that had its model replaced.
    let mut begin = Bytes::from(body.to_string());
    let end = begin.split_off(begin.len() / 2);
    let body = if method == Method::GET { Vec::new() } else { vec![begin, end] };
    Request { method, url, headers: HeaderMap::new(), body }
}

fn chat(mut body: Value) -> Request {
    put_default(&mut body, "model", json!("echo"));
    put_default(&mut body, "messages", json!([{"role": "user", "content": "one two three"}]));
    request("/chat/completions", &body)
}

fn put_default(body: &mut Value, name: &str, value: Value) {
    body.as_object_mut().unwrap().entry(name).or_insert(value);
}

fn asking(words: &str, mut request: Request) -> Request {
    request.headers.insert(HEADER, words.parse().unwrap());
    request
}

async fn answer(request: Request) -> Reply {
    send(&request, &Fault::default()).await.unwrap()
}

async fn json(mut reply: Reply) -> Value {
    serde_json::from_slice(&reply.whole(1 << 20).await.unwrap()).unwrap()
}

async fn ok(request: Request) -> Value {
    let reply = answer(request).await;
    assert_eq!(reply.status, StatusCode::OK);
    json(reply).await
}

#[track_caller]
fn label(reply: &Reply) -> &str {
    reply.headers.get(HEADER).unwrap().to_str().unwrap()
}

/// The chunks of a stream, each a frame, and how it ended.
async fn chunks(mut reply: Reply) -> (Vec<String>, Result<(), TransportError>) {
    let mut all = Vec::new();
    loop {
        match reply.chunk().await {
            Ok(Some(chunk)) => {
                let text = String::from_utf8(chunk.to_vec()).unwrap();
                all.push(text.strip_prefix("data: ").unwrap().strip_suffix("\n\n").unwrap().to_owned());
            }
            Ok(None) => return (all, Ok(())),
            Err(error) => return (all, Err(error)),
        }
    }
}

fn parse(chunks: &[String]) -> Vec<Value> {
    chunks.iter().filter(|chunk| *chunk != "[DONE]").map(|chunk| serde_json::from_str(chunk).unwrap()).collect()
}

fn joined(chunks: &[Value], pointer: &str) -> String {
    chunks.iter().filter_map(|chunk| chunk.pointer(pointer)?.as_str()).collect()
}

#[tokio::test]
async fn echo_says_what_the_user_said_last_and_counts_it() {
    let messages = json!([
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "first"},
        {"role": "user", "content": [
            {"type": "text", "text": "what is this?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            {"type": "file", "file": {}}
        ]}
    ]);
    let reply = answer(chat(json!({"messages": messages}))).await;
    assert_eq!(label(&reply), "echo");
    let body = json(reply).await;
    assert_eq!(body["choices"][0]["message"]["content"], "what is this? [image] [file]");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(body["system_fingerprint"], "bursar-sandbox");
    assert_eq!(body["usage"], json!({"prompt_tokens": 29, "completion_tokens": 7, "total_tokens": 36}));
}

#[tokio::test]
async fn ids_differ_where_requests_do_not() {
    let request_id = async |request| answer(request).await.headers[REQUEST_ID].clone();
    assert_ne!(request_id(chat(json!({}))).await, request_id(chat(json!({}))).await);
    let first = ok(chat(json!({}))).await["id"].clone();
    assert_ne!(first, ok(chat(json!({}))).await["id"]);
}

#[tokio::test]
async fn a_stream_comes_word_by_word_with_usage_only_if_asked_for() {
    let reply = answer(chat(json!({"stream": true, "stream_options": {"include_usage": true}}))).await;
    assert_eq!(reply.headers[header::CONTENT_TYPE], "text/event-stream; charset=utf-8");
    let (raw, end) = chunks(reply).await;
    assert_eq!(end, Ok(()));
    assert_eq!(raw.last().unwrap(), "[DONE]");
    let all = parse(&raw);
    let said: Vec<_> = all.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta/content")).collect();
    assert_eq!(said, ["", "one ", "two ", "three"]);
    assert_eq!(all[4]["choices"][0]["finish_reason"], "stop");
    assert_eq!(all[4]["usage"], Value::Null);
    assert_eq!(all[5]["choices"], json!([]));
    assert_eq!(all[5]["usage"]["total_tokens"], 12);
    assert_eq!(all.len(), 6);

    let (raw, _) = chunks(answer(chat(json!({"stream": true}))).await).await;
    assert!(parse(&raw).iter().all(|chunk| chunk.get("usage").is_none()));
}

#[tokio::test]
async fn text_without_spaces_streams_in_pieces_too() {
    let text = "漢字".repeat(30);
    let body = json!({"stream": true, "messages": [{"role": "user", "content": text}]});
    let (raw, _) = chunks(answer(chat(body)).await).await;
    let all = parse(&raw);
    assert!(all.len() > 4);
    assert_eq!(joined(&all, "/choices/0/delta/content"), text);
}

#[tokio::test]
async fn a_limit_cuts_what_is_said() {
    for name in ["max_tokens", "max_completion_tokens"] {
        let body = ok(chat(json!({name: 2}))).await;
        assert_eq!(body["choices"][0]["message"]["content"], "one two ");
        assert_eq!(body["choices"][0]["finish_reason"], "length");
        assert_eq!(body["usage"]["completion_tokens"], 2);
    }
    let body = ok(chat(json!({"max_tokens": 100}))).await;
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
}

fn tools() -> Value {
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let tool = |name, parameters| json!({"type": "function", "function": {"name": name, "parameters": parameters}});
    json!([tool("now", Value::Null), tool("weather", parameters)])
}

#[tokio::test]
async fn tools_are_called_when_they_must_or_when_told_to() {
    let told = json!([{"role": "user", "content": "/tool weather please"}]);
    let by_name = json!({"type": "function", "function": {"name": "weather"}});
    let cases = [
        (json!({"tools": tools(), "tool_choice": "required"}), "now", "{}"),
        (json!({"tools": tools(), "tool_choice": by_name}), "weather", r#"{"city":"sandbox"}"#),
        (json!({"tools": tools(), "messages": told}), "weather", r#"{"city":"sandbox"}"#),
        (json!({"tools": tools(), "tool_choice": "required", "messages": told}), "weather", r#"{"city":"sandbox"}"#),
    ];
    for (mut body, name, arguments) in cases {
        let whole = ok(chat(body.clone())).await;
        let choice = &whole["choices"][0];
        assert_eq!(choice["finish_reason"], "tool_calls");
        assert_eq!(choice["message"]["content"], Value::Null);
        assert_eq!(choice["message"]["tool_calls"][0]["function"], json!({"name": name, "arguments": arguments}));

        put_default(&mut body, "stream", json!(true));
        let (raw, _) = chunks(answer(chat(body)).await).await;
        let all = parse(&raw);
        assert_eq!(joined(&all, "/choices/0/delta/tool_calls/0/function/name"), name);
        assert_eq!(joined(&all, "/choices/0/delta/tool_calls/0/function/arguments"), arguments);
        assert_eq!(joined(&all, "/choices/0/finish_reason"), "tool_calls");
    }
}

#[tokio::test]
async fn tools_are_left_alone_otherwise() {
    let told = json!({"role": "user", "content": "/tool weather"});
    let answered = json!([told, {"role": "assistant", "tool_calls": []}, {"role": "tool", "content": "sunny"}]);
    for (body, text) in [
        (json!({"tools": tools()}), "one two three"),
        (json!({"tools": tools(), "tool_choice": "none", "messages": [told]}), "/tool weather"),
        (json!({"messages": [told]}), "/tool weather"),
        (json!({"tools": tools(), "messages": answered}), "/tool weather"),
    ] {
        assert_eq!(ok(chat(body)).await["choices"][0]["message"]["content"], text);
    }
}

#[tokio::test]
async fn formats_are_kept() {
    let schema = json!({"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]});
    let format = json!({"type": "json_schema", "json_schema": {"name": "x", "strict": true, "schema": schema}});
    for (format, text) in [
        (json!({"type": "text"}), "one two three"),
        (json!({"type": "json_object"}), r#"{"echo":"one two three"}"#),
        (format, r#"{"ok":false}"#),
    ] {
        assert_eq!(ok(chat(json!({"response_format": format}))).await["choices"][0]["message"]["content"], text);
    }
}

#[tokio::test]
async fn what_it_cannot_serve_it_refuses_by_name() {
    for (request, status, param) in [
        (chat(json!({"model": "gpt-4.1"})), 404, json!("model")),
        (chat(json!({"messages": []})), 400, json!("messages")),
        (chat(json!({"n": 2})), 400, json!("n")),
        (chat(json!({"max_tokens": 0})), 400, json!("max_tokens")),
        (chat(json!({"tool_choice": "required"})), 400, json!("tool_choice")),
        (chat(json!({"tool_choice": {"type": "function", "function": {"name": "x"}}})), 400, json!("tools")),
        (chat(json!({"response_format": {"type": "xml"}})), 400, json!("response_format")),
        (embed(json!({"model": "echo", "input": "x"})), 404, json!("model")),
        (embed(json!({"input": ""})), 400, json!("input")),
        (embed(json!({"input": []})), 400, json!("input")),
        (embed(json!({"input": "x", "dimensions": 1 << 30})), 400, json!("dimensions")),
        (embed(json!({"input": "x", "encoding_format": "hex"})), 400, json!("encoding_format")),
        (request("/responses", &json!({})), 404, Value::Null),
        (request("/chat/completions", &Value::Null), 404, Value::Null),
    ] {
        let reply = answer(request).await;
        assert_eq!((reply.status.as_u16(), label(&reply)), (status, "refused"));
        let body = json(reply).await;
        assert_eq!(body["error"]["param"], param);
        assert_eq!(body["error"]["type"], "invalid_request_error");
    }
    let mut broken = chat(json!({}));
    broken.body.pop();
    assert_eq!(answer(broken).await.status, StatusCode::BAD_REQUEST);
}

fn embed(mut body: Value) -> Request {
    put_default(&mut body, "model", json!("embed"));
    request("/embeddings", &body)
}

fn numbers(embedding: &Value) -> Vec<f64> {
    embedding.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

#[tokio::test]
async fn embeddings_are_unit_vectors_of_their_text() {
    let reply = answer(embed(json!({"input": ["a", "b", "a"], "dimensions": 8}))).await;
    assert_eq!(label(&reply), "embed");
    let body = json(reply).await;
    let vectors: Vec<_> = (0..3).map(|index| numbers(&body["data"][index]["embedding"])).collect();
    assert_eq!(vectors[0], vectors[2]);
    assert_ne!(vectors[0], vectors[1]);
    for vector in vectors {
        assert_eq!(vector.len(), 8);
        assert!((vector.iter().map(|number| number * number).sum::<f64>() - 1.0).abs() < 1e-4);
    }
    assert_eq!(body["usage"], json!({"prompt_tokens": 3, "total_tokens": 3}));
    assert_eq!(numbers(&ok(embed(json!({"input": "a"}))).await["data"][0]["embedding"]).len(), 256);
}

#[tokio::test]
async fn embeddings_in_base64_are_the_same_numbers() {
    let ask = |format| embed(json!({"input": [[1, 2], [3]], "dimensions": 4, "encoding_format": format}));
    let (plain, encoded) = (ok(ask("float")).await, ok(ask("base64")).await);
    for index in 0..2 {
        let bytes = BASE64_STANDARD.decode(encoded["data"][index]["embedding"].as_str().unwrap()).unwrap();
        let decoded = bytes.chunks(4).map(|number| f32::from_le_bytes(number.try_into().unwrap()));
        let expected = numbers(&plain["data"][index]["embedding"]);
        assert!(decoded.zip(expected).all(|(a, b)| (f64::from(a) - b).abs() < 1e-7));
    }
    assert_eq!(plain["usage"]["prompt_tokens"], 3);
}

#[tokio::test]
async fn models_are_listed() {
    let body = ok(request("/models", &Value::Null)).await;
    assert_eq!((&body["data"][0]["id"], &body["data"][1]["id"]), (&json!("echo"), &json!("embed")));
}

#[tokio::test]
async fn every_status_can_be_asked_for_with_the_error_that_goes_with_it() {
    for (status, kind, code) in [
        (400, "invalid_request_error", Value::Null),
        (401, "invalid_request_error", json!("invalid_api_key")),
        (402, "insufficient_quota", json!("insufficient_quota")),
        (404, "invalid_request_error", json!("model_not_found")),
        (429, "requests", json!("rate_limit_exceeded")),
        (500, "server_error", Value::Null),
        (529, "server_error", json!("overloaded")),
    ] {
        let reply = answer(asking(&format!("status={status}; Retry-After=3"), chat(json!({})))).await;
        assert_eq!((reply.status.as_u16(), label(&reply)), (status, "fault"));
        assert_eq!(reply.headers["retry-after"], "3");
        let body = json(reply).await;
        assert_eq!((&body["error"]["type"], &body["error"]["code"]), (&json!(kind), &code));
    }
}

#[tokio::test]
async fn the_header_replaces_the_connections_fault() {
    let broken = Fault { status: Some(500), retry_after_s: Some(9), ..Fault::default() };
    let plain = send(&chat(json!({})), &broken).await.unwrap();
    assert_eq!((plain.status.as_u16(), plain.headers["retry-after"].to_str().unwrap()), (500, "9"));
    let other = send(&asking("status=429", chat(json!({}))), &broken).await.unwrap();
    assert_eq!((other.status.as_u16(), other.headers.get("retry-after")), (429, None));
    let none = send(&asking("", chat(json!({}))), &broken).await.unwrap();
    assert_eq!(none.status, StatusCode::OK);
}

#[tokio::test]
async fn words_that_do_not_exist_are_refused_with_those_that_do() {
    for words in ["stauts=429", "status", "status=200", "status=abc", "latency-ms=-1", "hang=5", "hang; nope"] {
        let reply = answer(asking(words, chat(json!({})))).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{words}");
        let message = json(reply).await["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("`cut-after=2`"), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn latency_comes_before_the_head() {
    let started = Instant::now();
    answer(asking("latency-ms=1500", chat(json!({})))).await;
    assert_eq!(started.elapsed(), Duration::from_millis(1500));
}

#[tokio::test(start_paused = true)]
async fn a_hang_is_for_ever() {
    let request = asking("hang", chat(json!({})));
    let hanging = answer(request);
    assert!(tokio::time::timeout(Duration::from_secs(86_400), hanging).await.is_err());
}

#[tokio::test]
async fn a_stream_is_cut_after_so_much_content() {
    for (after, text) in [(0, ""), (2, "one two "), (100, "one two three")] {
        let reply = answer(asking(&format!("cut-after={after}"), chat(json!({"stream": true})))).await;
        let (raw, end) = chunks(reply).await;
        assert_eq!(end, Err(TransportError::Reset));
        let all = parse(&raw);
        assert_eq!(joined(&all, "/choices/0/delta/content"), text);
        assert!(all.iter().all(|chunk| chunk["choices"][0]["finish_reason"].is_null()));
    }
}

#[tokio::test]
async fn a_whole_body_is_cut_in_its_middle() {
    for request in [chat(json!({})), embed(json!({"input": "x"})), request("/models", &Value::Null)] {
        let mut reply = answer(asking("cut-after=2", request)).await;
        assert!(!reply.chunk().await.unwrap().unwrap().is_empty());
        assert_eq!(reply.chunk().await, Err(TransportError::Reset));
    }
}
