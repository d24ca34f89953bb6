//! What happens to connections and the configuration, as it is watched.

use bursar::api::admin::{Event, EventKind};
use http::Method;
use rustix::process::Signal;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;

use crate::fake::{FakeProvider, openai};
use crate::harness::{Bursar, Call, Setup};
use crate::operators::run;

fn watch(query: &str) -> Call {
    Call::get(&format!("/admin/v1/events{query}"))
}

async fn reload(bursar: &Bursar) {
    let reply = bursar.call(Call::new(Method::POST, "/admin/v1/reload").header("x-bursar-request", "1")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// The events of a stream so far.
fn events(text: &str) -> Vec<Event> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).expect("an event")).collect()
}

async fn kept(bursar: &Bursar, call: Call) -> Vec<Event> {
    let reply = bursar.call(call).await;
    assert_eq!((reply.status, reply.whole), (200, true), "{}", reply.text());
    events(reply.text())
}

#[tokio::test]
async fn a_reload_and_a_rejection_are_seen_as_they_happen_and_afterwards() {
    let fake = FakeProvider::start().await;
    fake.always(openai::error(401));
    let setup = Setup::new().ranked("one", &fake.url(), &["a"]);
    let bursar = setup.start().await;
    let mut stream = bursar.open(watch("")).await;
    assert_eq!(stream.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(bursar.call(Call::chat("one/m")).await.status, 502);
    let text = stream.until("\n\n").await;
    let rejected = &events(&text)[0];
    assert_eq!(
        (rejected.kind, rejected.connection.as_ref().map(ToString::to_string)),
        (EventKind::Rejected, Some("one:a".into()))
    );
    assert!(text.starts_with(&format!("id: {}\nevent: rejected\n", rejected.id)), "{text}");
    assert_eq!(bursar.call(Call::chat("one/m")).await.status, 502, "once rejected is no news the second time");

    let file = bursar.place().providers_file();
    bursar.place().save(&file, "[providers.two]\nknd = \"openai\"\n");
    reload(&bursar).await;
    let text = stream.until("providers.two").await;
    assert!(text.contains("event: reload_failed"), "{text}");
    setup.clone().providers("[routes.fast]\ntargets = [\"one/m\"]\n").write(bursar.place());
    reload(&bursar).await;
    stream.until("event: reloaded").await;

    let all = kept(&bursar, watch("?follow=false")).await;
    let kinds: Vec<_> = all.iter().map(|event| event.kind).filter(|kind| *kind != EventKind::Reloaded).collect();
    assert_eq!((all[0].kind, kinds.first()), (EventKind::Rejected, Some(&EventKind::Rejected)));
    assert_eq!(kinds.iter().filter(|kind| **kind == EventKind::Rejected).count(), 1);
    let again = kept(&bursar, watch("?follow=false").header("last-event-id", &all[0].id.to_string())).await;
    assert_eq!(again, all[1..], "a reader that comes again goes on where it was");
    assert_eq!(kept(&bursar, watch(&format!("?follow=false&after={}", all[0].id))).await, all[1..]);
    assert_eq!(kept(&bursar, watch("?follow=false&since=-1h")).await, all);

    let said = run(bursar.place(), "events --since 1h", "").await;
    for part in ["rejected", "one:a", "reload_failed", "generation"] {
        assert!(said.code == 0 && said.out.contains(part), "{part}: {said:?}");
    }
    let said = run(bursar.place(), "events --format json", "").await;
    let lines: Vec<Event> =
        said.out.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    assert_eq!(lines, all);
    bursar.stop().await;
}

#[tokio::test]
async fn a_stream_of_events_ends_with_the_daemon_and_holds_it_up_for_nobody() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("ok"));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    // One that never reads, whatever happens.
    let mut deaf = UnixStream::connect(bursar.place().socket()).await.expect("the daemon listens");
    deaf.write_all(b"GET /admin/v1/events HTTP/1.1\r\nhost: bursar\r\n\r\n").await.expect("it is sent");
    let over_http2 = bursar.link_http2().await.open(watch("")).await;
    let stream = bursar.open(watch("")).await;
    bursar.place().save(&bursar.place().providers_file(), "[providers.two]\nknd = \"openai\"\n");
    for _ in 0..100 {
        reload(&bursar).await;
    }
    assert_eq!(bursar.call(Call::chat("one/m")).await.status, 200, "calls go on");
    bursar.signal(Signal::TERM);
    let (reply, other) = tokio::join!(stream.rest(), over_http2.rest());
    for reply in [reply, other] {
        let failed = events(reply.text()).iter().filter(|event| event.kind == EventKind::ReloadFailed).count();
        assert!(reply.whole && failed >= 100, "{failed}");
    }
    bursar.until_ended().await;
    drop(deaf);
}
