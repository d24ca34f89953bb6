//! Streamed replies over HTTP/2 that nobody reads.
//!
//! hyper asks a body for more only while the client has room for it, so a body whose client opens no window never comes
//! to look at a deadline. Its connection does, and takes it away.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::reply::Held;
use crate::bounds;

/// How long a streamed reply may take. It goes with the reply to the connection.
#[derive(Debug, Clone)]
pub(super) struct Patience {
    /// The request's deadline.
    pub(super) until: Instant,
    /// Where the stream is told that it ends because nobody reads it.
    pub(super) unread: Arc<AtomicBool>,
}

/// The streamed replies of one connection. Clones are one.
pub(super) struct Streams<T>(Arc<Open<T>>);

struct Open<T> {
    streams: Mutex<Vec<Weak<Mutex<Stream<T>>>>>,
    begun: Notify,
}

struct Stream<T> {
    body: Option<Held<T>>,
    /// Since when the client has taken nothing, though it may have.
    waits: Option<Instant>,
    patience: Patience,
}

/// A body that its connection can take away.
pub(super) struct Watched<T>(Arc<Mutex<Stream<T>>>);

impl<T> Clone for Streams<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Streams<T> {
    /// None yet.
    pub(super) fn new() -> Self {
        Self(Arc::new(Open { streams: Mutex::new(Vec::new()), begun: Notify::new() }))
    }

    /// Keeps watch on a body.
    pub(super) fn watch(&self, body: Held<T>, patience: Patience) -> Watched<T> {
        let stream = Stream { body: Some(body), waits: Some(Instant::now()), patience };
        let stream = Arc::new(Mutex::new(stream));
        let mut streams = lock(&self.0.streams);
        if streams.is_empty() {
            self.0.begun.notify_one();
        }
        streams.push(Arc::downgrade(&stream));
        Watched(stream)
    }

    /// Waits for the first one to watch.
    pub(super) async fn begun(&self) {
        self.0.begun.notified().await;
    }

    /// Whether there are any to watch.
    pub(super) fn any(&self) -> bool {
        !lock(&self.0.streams).is_empty()
    }

    /// Gives up those whose client reads nothing, or whose time is over: their provider is hung up on.
    pub(super) fn look(&self) {
        let mut given_up = Vec::new();
        lock(&self.0.streams).retain(|stream| {
            let Some(stream) = stream.upgrade() else { return false };
            let mut stream = lock(&stream);
            if stream.is_overdue() {
                stream.patience.unread.store(true, Ordering::Relaxed);
                given_up.push(stream.body.take());
            }
            stream.body.is_some()
        });
        // Dropped here, and no lock is held.
    }
}

impl<T> Stream<T> {
    fn is_overdue(&self) -> bool {
        // A stream that is read ends by itself at its deadline, and says so.
        let over = self.patience.until.elapsed() >= bounds::UNREAD_CHECK_INTERVAL;
        over || self.waits.is_some_and(|since| since.elapsed() >= bounds::WRITE_IDLE_TIMEOUT)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Unpin> Body for Watched<T> {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let mut stream = lock(&self.0);
        let Some(body) = &mut stream.body else {
            return Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::TimedOut).into())));
        };
        let polled = Pin::new(body).poll_frame(cx);
        stream.waits = polled.is_ready().then(Instant::now);
        polled
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::{FutureExt as _, StreamExt as _, stream};
    use http_body_util::{BodyExt as _, Either, StreamBody};

    use super::*;

    /// A body that gives one piece and then none for ever.
    fn watched(streams: &Streams<Arc<()>>, held: &Arc<()>, patience: &Patience) -> Watched<Arc<()>> {
        let piece = stream::iter([Ok(Frame::data(Bytes::from_static(b"x")))]);
        let body = StreamBody::new(piece.chain(stream::pending())).boxed_unsync();
        streams.watch(Held::new(Either::Right(body), Arc::clone(held)), patience.clone())
    }

    fn patience(time: Duration) -> Patience {
        Patience { until: Instant::now() + time, unread: Arc::default() }
    }

    async fn pass(streams: &Streams<Arc<()>>, time: Duration) {
        tokio::time::advance(time).await;
        streams.look();
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_nobody_reads_is_given_up() {
        let (streams, held, patience) = (Streams::new(), Arc::new(()), patience(Duration::from_secs(3600)));
        let mut body = watched(&streams, &held, &patience);
        streams.begun().await;
        pass(&streams, bounds::WRITE_IDLE_TIMEOUT / 2).await;
        assert!(body.frame().await.unwrap().is_ok() && Arc::strong_count(&held) == 2);
        pass(&streams, bounds::WRITE_IDLE_TIMEOUT).await;
        assert!(patience.unread.load(Ordering::Relaxed) && Arc::strong_count(&held) == 1);
        assert!(body.frame().await.unwrap().is_err() && !streams.any());
    }

    #[tokio::test(start_paused = true)]
    async fn a_provider_that_pauses_is_no_client_that_does_not_read() {
        let (streams, held, patience) = (Streams::new(), Arc::new(()), patience(Duration::from_secs(3600)));
        let mut body = watched(&streams, &held, &patience);
        assert!(body.frame().await.unwrap().is_ok());
        assert!(body.frame().now_or_never().is_none());
        pass(&streams, bounds::WRITE_IDLE_TIMEOUT * 10).await;
        assert!(!patience.unread.load(Ordering::Relaxed) && Arc::strong_count(&held) == 2);
        drop(body);
        streams.look();
        assert!(!streams.any());
    }

    #[tokio::test(start_paused = true)]
    async fn no_stream_outlives_its_deadline_unread() {
        let (streams, held, patience) = (Streams::new(), Arc::new(()), patience(Duration::from_secs(5)));
        let _body = watched(&streams, &held, &patience);
        pass(&streams, Duration::from_secs(5)).await;
        assert_eq!(Arc::strong_count(&held), 2, "one that is read says itself why it ends");
        pass(&streams, bounds::UNREAD_CHECK_INTERVAL).await;
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
