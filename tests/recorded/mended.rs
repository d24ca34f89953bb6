//! What the recordings have brought to light, said again without them: these tests need no folder.

use bytes::Bytes;
use http::Request;
use serde_json::json;

use crate::common::{Answer, Daemon};
use crate::fake::{FakeProvider, openai};

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
async fn a_host_of_ones_own_is_called_without_a_credential() {
    let fake = FakeProvider::start().await;
    fake.always(openai::stream(&["Hel", "lo"]));
    assert_eq!(stream(&fake, "openai").await.status, 200);
    assert_eq!(fake.seen()[0].key(), None);
}
