//! The daemon starts, serves and ends.

use crate::fake::{FakeProvider, openai};
use crate::harness::{Call, Setup};

#[tokio::test]
async fn a_call_is_answered_and_recorded() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("hello"));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    let reply = bursar.call(Call::chat("one/m")).await;
    assert_eq!((reply.status, reply.content().as_str()), (200, "hello"));
    let remains = bursar.stop().await;
    assert_eq!(remains.records().len(), 1);
}
