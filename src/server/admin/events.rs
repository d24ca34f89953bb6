//! `GET /admin/v1/events`: what happened, and what happens, as server-sent events.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Request};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout};

use crate::admin;
use crate::api::admin::Event;
use crate::api::error::Problem;
use crate::api::{Code, Failure};
use crate::bounds;
use crate::events::{Events, Live};
use crate::server::admitted::Admitted;
use crate::server::answer::event_stream;
use crate::server::reply::{self, Reply};
use crate::server::unread::Patience;

/// The deadline of a stream that has none: whoever reads may stay.
const NO_DEADLINE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// `GET /admin/v1/events`: the kept events, and then each as it happens. A reader that falls behind by more than are kept
/// is told so by an event named `behind`, and its stream ends.
#[utoipa::path(
    get, path = "/admin/v1/events", tag = "events",
    params(
        ("after" = Option<u64>, Query, description = "only events after the one with this id; the header Last-Event-ID says the same"),
        ("since" = Option<String>, Query, description = "only events at or after this time: RFC 3339, a date, or so long ago: `-24h`"),
        ("follow" = Option<bool>, Query, description = "false: the stream ends after the kept events"),
    ),
    responses(
        (status = 200, body = Event, content_type = "text/event-stream", description = "each as a server-sent event: id, its kind as the event's name, and the object as data"),
        (status = "4XX", body = Problem)
    )
)]
pub(in crate::server) async fn watch(admitted: Admitted) -> Reply {
    let engine = admitted.context.engine();
    match Asked::read(&admitted.request, engine.clock.wall_ms()) {
        Ok(asked) => begin(&engine.events, &asked),
        Err(failure) => reply::problem(&failure),
    }
}

/// What a reader wants.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    after: u64,
    since_ms: i64,
    follow: bool,
}

impl Asked {
    fn read<T>(request: &Request<T>, now_ms: i64) -> Result<Self, Failure> {
        let wrong =
            |key: &str, known: &str| Failure::new(Code::InvalidRequest, format!("{key}: write {known}")).at(key);
        let mut asked = Self { after: last_event(request.headers()), since_ms: i64::MIN, follow: true };
        for (key, value) in url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()) {
            match key.as_ref() {
                "after" => asked.after = value.parse().map_err(|_| wrong(&key, "the id of an event"))?,
                "since" => asked.since_ms = admin::time(&key, &value, now_ms)?,
                "follow" => asked.follow = value.parse().map_err(|_| wrong(&key, "true or false"))?,
                _ => return Err(wrong(&key, "after, since or follow")),
            }
        }
        Ok(asked)
    }

    fn wants(&self, event: &Event) -> bool {
        event.id > self.after && event.at.0 >= self.since_ms
    }
}

/// What a reader that comes again has seen. What is no id of ours, such as another service's, says nothing.
fn last_event(headers: &HeaderMap) -> u64 {
    let id = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    id.and_then(|id| id.parse().ok()).unwrap_or_default()
}

/// A reader's place.
struct Reader {
    kept: VecDeque<Arc<Event>>,
    live: Live,
}

fn begin(events: &Events, asked: &Asked) -> Reply {
    let (kept, live) = events.follow();
    let kept = kept.into_iter().filter(|event| asked.wants(event)).collect();
    let reader = Reader { kept, live: live.filter(|_| asked.follow) };
    let frames = stream::unfold(reader, |mut reader| async move {
        let bytes = reader.next().await?;
        Some((Ok(Frame::data(bytes)), reader))
    });
    let mut reply = event_stream(StreamBody::new(frames).boxed_unsync());
    let patience = Patience { until: Instant::now() + NO_DEADLINE, unread: Arc::default() };
    reply.extensions_mut().insert(patience);
    reply
}

impl Reader {
    /// What is sent next; none at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(event) = self.kept.pop_front() {
            return Some(frame(&event));
        }
        let live = self.live.as_mut()?;
        match timeout(bounds::EVENTS_PING_INTERVAL, live.recv()).await {
            Err(_) => Some(Bytes::from_static(b": nothing new\n\n")),
            Ok(Ok(event)) => Some(frame(&event)),
            Ok(Err(RecvError::Closed)) => None,
            Ok(Err(RecvError::Lagged(missed))) => {
                self.live = None;
                Some(format!("event: behind\ndata: {{\"missed\":{missed}}}\n\n").into())
            }
        }
    }
}

fn frame(event: &Event) -> Bytes {
    let json = serde_json::to_string(event).unwrap_or_default();
    format!("id: {}\nevent: {}\ndata: {json}\n\n", event.id, event.kind.name()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::admin::EventKind;
    use crate::clock::Clock;

    fn asked(query: &str) -> Result<Asked, Failure> {
        let request = Request::builder().uri(format!("/admin/v1/events?{query}")).header("last-event-id", "7");
        Asked::read(&request.body(()).unwrap(), 5_000)
    }

    #[test]
    fn a_readers_wish_is_read_or_refused() {
        assert_eq!(asked("").unwrap(), Asked { after: 7, since_ms: i64::MIN, follow: true });
        assert_eq!(asked("since=-2s").unwrap().since_ms, 3_000);
        let read = asked("after=9&since=1970-01-01T00:00:01Z&follow=false").unwrap();
        assert_eq!(read, Asked { after: 9, since_ms: 1_000, follow: false });
        for bad in ["after=x", "since=yesterday", "follow=1", "colour=red"] {
            assert_eq!(asked(bad).unwrap_err().param.as_deref(), bad.split('=').next(), "{bad}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_who_fell_behind_is_told_and_dismissed() {
        let events = Events::new(Clock::fixed(1_000));
        let tell = || events.emit(Event::new(EventKind::Back, "b"));
        tell();
        let (kept, live) = events.follow();
        let mut reader = Reader { kept: kept.into(), live };
        assert!(reader.next().await.unwrap().starts_with(b"id: 1000001\nevent: back\ndata: {"));
        assert_eq!(reader.next().await.unwrap(), &b": nothing new\n\n"[..], "a quiet stream shows that it is alive");
        (0..=bounds::EVENTS_MAX).for_each(|_| tell());
        assert_eq!(reader.next().await.unwrap(), &b"event: behind\ndata: {\"missed\":1}\n\n"[..]);
        assert!(reader.next().await.is_none());
    }
}
