//! The store and its keys on the admin plane.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Either, StreamBody};
use tokio::sync::mpsc;

use super::{answer, object, off};
use crate::admin::{self, backup_key};
use crate::api::admin::{BackupRequest, KeyInfo, KeysRotated, RotateKeys, StoreInfo, StoreVerified};
use crate::api::error::Problem;
use crate::bounds;
use crate::server::admitted::Admitted;
use crate::server::reply::{self, Reply};

/// `GET /admin/v1/store`: what the state directory holds.
#[utoipa::path(
    get, path = "/admin/v1/store", tag = "store",
    responses((status = 200, body = StoreInfo), (status = "4XX", body = Problem))
)]
pub(in crate::server) async fn show(admitted: Admitted) -> Reply {
    answer(off(&admitted, |admin| admin.store_info()).await)
}

/// `POST /admin/v1/store/verify`: reads everything that the store holds, and tells what is wrong with it.
#[utoipa::path(
    post, path = "/admin/v1/store/verify", tag = "store",
    responses((status = 200, body = StoreVerified), (status = "4XX", body = Problem))
)]
pub(in crate::server) async fn verify(admitted: Admitted) -> Reply {
    answer(off(&admitted, |admin| admin.verify_store()).await)
}

/// `POST /admin/v1/store/backup`: everything that the store holds, as one sealed file, while it is in use. A backup that
/// does not come whole does not open.
#[utoipa::path(
    post, path = "/admin/v1/store/backup", tag = "store",
    request_body = BackupRequest,
    responses(
        (status = 200, content_type = "application/octet-stream", description = "the backup"),
        (status = "4XX", body = Problem)
    )
)]
pub(in crate::server) async fn backup(admitted: Admitted) -> Reply {
    let Admitted { context, request, .. } = admitted;
    let asked = object::<BackupRequest>(request).await.and_then(|asked| backup_key(&asked));
    let key = match asked {
        Ok(key) => key,
        Err(failure) => return reply::problem(&failure),
    };
    let (pieces, receiver) = mpsc::channel(bounds::BACKUP_CHUNKS_WAITING_MAX);
    let admin = Arc::clone(&context.admin);
    tokio::task::spawn_blocking(move || {
        let mut out = Outlet { pieces: pieces.clone(), gathered: BytesMut::new() };
        if let Err(error) = admin.back_up(&key, &mut out) {
            tracing::warn!(%error, "a backup was not brought to its end");
            // The connection ends in the middle of the reply.
            let _ = pieces.blocking_send(Err(io::Error::other("the backup failed")));
        }
    });
    let pieces = stream::unfold(receiver, |mut receiver| async move {
        let piece: io::Result<Bytes> = receiver.recv().await?;
        Some((piece.map(Frame::data), receiver))
    });
    let mut reply = Response::new(Either::Right(StreamBody::new(pieces).boxed_unsync()));
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    reply
}

/// Hands what is written on to the reply, as fast as that is read.
struct Outlet {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    gathered: BytesMut,
}

impl io::Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= bounds::BACKUP_CHUNK_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = self.gathered.split().freeze();
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "whoever asked for the backup is gone");
        self.pieces.blocking_send(Ok(piece)).map_err(gone)
    }
}

/// `GET /admin/v1/keys`: which key seals what.
#[utoipa::path(
    get, path = "/admin/v1/keys", tag = "keys",
    responses((status = 200, body = KeyInfo), (status = "4XX", body = Problem))
)]
pub(in crate::server) async fn keys(admitted: Admitted) -> Reply {
    answer(off(&admitted, |admin| admin.key_info()).await)
}

/// `POST /admin/v1/keys/rotate`: wraps the data keys under the next master key, and replaces them where that is asked
/// for. Everything goes on meanwhile.
#[utoipa::path(
    post, path = "/admin/v1/keys/rotate", tag = "keys",
    request_body = RotateKeys,
    responses((status = 200, body = KeysRotated), (status = "4XX", body = Problem), (status = 507, body = Problem))
)]
pub(in crate::server) async fn rotate(admitted: Admitted) -> Reply {
    let Admitted { context, request, .. } = admitted;
    let rotated = async {
        let asked: RotateKeys = object(request).await?;
        admin::off_the_worker(move || context.admin.rotate_keys(asked)).await
    };
    answer(rotated.await)
}
