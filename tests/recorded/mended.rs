//! What the recordings have brought to light, said again without them: these tests need no folder.

use bytes::Bytes;
use http::Request;
use serde_json::json;

use crate::common::{Answer, Daemon};
use crate::fake::{Events, FakeProvider, gemini, openai};

/// Asks for a stream over one provider of this kind.
async fn stream(fake: &FakeProvider, kind: &str) -> Answer {
    let daemon = Daemon::start(&format!(
        "[providers.own]\nkind = {kind:?}\nbase_url = \"{}/v1\"\nallow_private = true\n\
         [[connections]]\nprovider = \"own\"\nname = \"main\"\n",
        fake.url(),
    ));
    let body = json!({"model": "own/some-model", "messages": [{"role": "user", "content": "x"}], "stream": true});
    let request = Request::post("/v1/chat/completions").header("host", "bursar");
    daemon.call(request.body(Bytes::from(body.to_string())).unwrap()).await
}

#[tokio::test]
async fn a_stream_that_ends_with_its_first_content_is_ended_once() {
    let blocked = json!({"promptFeedback": {"blockReason": "SAFETY"}});
    let whole = gemini::piece("all of it", Some("STOP"));
    for (kind, only) in [("gemini", blocked), ("gemini", whole), ("openai", openai::finish())] {
        let fake = FakeProvider::start().await;
        // Without a last blank line, the frame is whole only when the bytes end.
        fake.always(Events::new().raw(format!("data: {only}\n")));
        let answer = stream(&fake, kind).await;
        let text = std::str::from_utf8(&answer.body).unwrap();
        assert_eq!(text.matches(openai::DONE).count(), 1, "{text}");
        assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    }
}

#[tokio::test]
async fn a_host_of_ones_own_is_called_without_a_credential() {
    let fake = FakeProvider::start().await;
    fake.always(openai::stream(&["Hel", "lo"]));
    assert_eq!(stream(&fake, "openai").await.status, 200);
    assert_eq!(fake.seen()[0].key(), None);
}
