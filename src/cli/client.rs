//! The one way to the daemon: HTTP over its Unix socket.
//!
//! The only file of the command line that knows hyper. Errors come out as sentences that say what to do next.

mod error;

use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use hyperlocal::UnixConnector;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

pub(super) use error::{ClientError, exit_of};

use crate::adapter::sse;
use crate::api::Code;
use crate::api::error::{ErrorBody, Problem};
use crate::bounds;

/// What admin routes want to see of whoever changes something: no page of a browser can send it unasked.
const CHANGES: &str = "x-bursar-request";

/// A client of one daemon.
pub(super) struct Client {
    http: legacy::Client<UnixConnector, Full<Bytes>>,
    socket: PathBuf,
    patience: Patience,
}

/// How long a reply may take to begin.
#[derive(Debug, Clone, Copy)]
enum Patience {
    /// The daemon answers out of what it has.
    Reply,
    /// It has work to do first, and knows itself when that has taken too long.
    Work,
}

impl Client {
    /// A client of the daemon behind a socket. Nothing is connected yet.
    pub(super) fn new(socket: &Path) -> Self {
        let http = legacy::Client::builder(TokioExecutor::new()).build(UnixConnector);
        Self { http, socket: socket.to_owned(), patience: Patience::Reply }
    }

    /// The same client for what may take long: calls of providers, and work on the whole store.
    pub(super) fn at_work(&self) -> Self {
        Self { http: self.http.clone(), socket: self.socket.clone(), patience: Patience::Work }
    }

    /// Reads an object.
    ///
    /// # Errors
    /// When the daemon cannot be reached, refuses, or answers with something else.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        read(self.send(Method::GET, path, None).await?).await
    }

    /// Sends an object, and reads what comes back.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        read(self.send(Method::POST, path, Some(json(body)?)).await?).await
    }

    /// Asks for something to be done that needs no body.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(super) async fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        read(self.send(Method::POST, path, None).await?).await
    }

    /// Changes parts of an object.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(super) async fn patch<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        read(self.send(Method::PATCH, path, Some(json(body)?)).await?).await
    }

    /// Puts something in place of what was there.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(super) async fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        read(self.send(Method::PUT, path, Some(json(body)?)).await?).await
    }

    /// Takes something away.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(super) async fn delete(&self, path: &str) -> Result<(), ClientError> {
        whole(self.send(Method::DELETE, path, None).await?).await.map(drop)
    }

    /// Takes something away, and gives what is said of that.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(super) async fn take<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        read(self.send(Method::DELETE, path, None).await?).await
    }

    /// Sends an object, and reads a stream of events.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(super) async fn events(&self, path: &str, body: &impl Serialize) -> Result<Events, ClientError> {
        Ok(Events::of(self.send(Method::POST, path, Some(json(body)?)).await?))
    }

    /// Reads a stream of events.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(super) async fn watch(&self, path: &str) -> Result<Events, ClientError> {
        Ok(Events::of(self.send(Method::GET, path, None).await?))
    }

    /// Sends an object, and writes what comes back as it comes.
    ///
    /// # Errors
    /// As [`Client::get`], and when it cannot be written.
    pub(super) async fn download(
        &self,
        path: &str,
        body: &impl Serialize,
        to: &mut impl io::Write,
    ) -> Result<(), ClientError> {
        let mut reply = self.send(Method::POST, path, Some(json(body)?)).await?.into_body();
        while let Some(frame) = reply.frame().await {
            let frame = frame.map_err(ClientError::broken)?;
            if let Some(bytes) = frame.data_ref() {
                to.write_all(bytes).map_err(ClientError::Unwritten)?;
            }
        }
        Ok(())
    }

    /// Sends a request; what is not a success comes back as an error.
    async fn send(&self, method: Method, path: &str, body: Option<Bytes>) -> Result<Response<Incoming>, ClientError> {
        let mut request = self.request(&method, path).header(header::ACCEPT, "application/json");
        if method != Method::GET {
            request = request.header(CHANGES, "1");
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::from(body.unwrap_or_default())).map_err(ClientError::broken)?;
        let reply = match self.patience {
            Patience::Reply => self.soon(request).await?,
            Patience::Work => {
                // What has to be waited for is the work, and not a daemon that hangs.
                let alive =
                    self.request(&Method::GET, "/healthz").body(Full::default()).map_err(ClientError::broken)?;
                whole(self.soon(alive).await?).await?;
                self.reply(request).await?
            }
        };
        if reply.status().is_success() {
            return Ok(reply);
        }
        let status = reply.status();
        Err(refusal(status, &whole(reply).await?))
    }

    fn request(&self, method: &Method, path: &str) -> http::request::Builder {
        let uri: http::Uri = hyperlocal::Uri::new(&self.socket, path).into();
        Request::builder().method(method).uri(uri)
    }

    /// A reply that begins within [`bounds::ANSWER_TIMEOUT`].
    async fn soon(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, ClientError> {
        let silent = |_| ClientError::Silent { socket: self.socket.clone() };
        timeout(bounds::ANSWER_TIMEOUT, self.reply(request)).await.map_err(silent)?
    }

    async fn reply(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, ClientError> {
        self.http.request(request).await.map_err(|error| self.not_connected(&error))
    }

    fn not_connected(&self, error: &legacy::Error) -> ClientError {
        let socket = self.socket.clone();
        match io_error(error) {
            Some(io) if io.kind() == io::ErrorKind::PermissionDenied => {
                ClientError::Denied { advice: advice(&socket), socket }
            }
            Some(io) => ClientError::Unreachable { reason: plain(io, &socket), socket },
            None if error.is_connect() => ClientError::broken(error),
            None => ClientError::Gone,
        }
    }
}

/// The system's own error under one of hyper's.
fn io_error(error: &legacy::Error) -> Option<&io::Error> {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return error.is_connect().then_some(io);
        }
        source = inner.source();
    }
    None
}

fn plain(error: &io::Error, socket: &Path) -> String {
    let other = || std::fs::metadata(socket).ok().map(|meta| meta.file_type()).filter(|kind| !kind.is_socket());
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such socket".into(),
        // The system says the same of everything that is no socket.
        io::ErrorKind::ConnectionRefused if other().is_some_and(|kind| kind.is_dir()) => {
            "that is a directory, and no socket".into()
        }
        io::ErrorKind::ConnectionRefused if other().is_some() => "that is a file, and no socket".into(),
        io::ErrorKind::ConnectionRefused => "the socket is there, and nobody listens".into(),
        _ => error.to_string(),
    }
}

/// How a user comes to open a socket: by its group.
fn advice(socket: &Path) -> String {
    use std::os::unix::fs::MetadataExt;
    let group = std::fs::metadata(socket)
        .ok()
        .and_then(|meta| nix::unistd::Group::from_gid(meta.gid().into()).ok().flatten())
        .filter(|group| group.gid.as_raw() != 0);
    match group {
        Some(group) => {
            let name = group.name;
            format!("its group is {name}: `sudo usermod -aG {name} $USER`, then log in anew; or run this with sudo")
        }
        None => "run this with sudo, or as the user that the daemon runs as".into(),
    }
}

fn json(body: &impl Serialize) -> Result<Bytes, ClientError> {
    serde_json::to_vec(body).map(Bytes::from).map_err(ClientError::broken)
}

async fn whole(reply: Response<Incoming>) -> Result<Bytes, ClientError> {
    let body = Limited::new(reply.into_body(), bounds::REPLY_BODY_BYTES_MAX);
    Ok(body.collect().await.map_err(ClientError::broken)?.to_bytes())
}

async fn read<T: DeserializeOwned>(reply: Response<Incoming>) -> Result<T, ClientError> {
    serde_json::from_slice(&whole(reply).await?).map_err(ClientError::broken)
}

/// What a reply with an error says, in whichever dialect.
fn refusal(status: StatusCode, body: &[u8]) -> ClientError {
    let (code, message) = if let Ok(problem) = serde_json::from_slice::<Problem>(body) {
        (Some(problem.code), problem.detail)
    } else if let Ok(ErrorBody { error }) = serde_json::from_slice(body) {
        let known = |code: &String| Code::ALL.iter().copied().find(|one| one.name() == code);
        (error.code.as_ref().and_then(known), error.message)
    } else {
        (None, format!("the daemon answered {status}"))
    };
    ClientError::Refused { code, status: status.as_u16(), message }
}

/// A running stream of events.
pub(super) struct Events {
    body: Incoming,
    reader: sse::Reader,
    ended: bool,
}

impl Events {
    fn of(reply: Response<Incoming>) -> Self {
        Self { body: reply.into_body(), reader: sse::Reader::new(bounds::STREAM_FRAME_BYTES_MAX), ended: false }
    }

    /// The next event, by name and data; none at the end.
    ///
    /// # Errors
    /// When the connection breaks, or an event is too long.
    pub(super) async fn next(&mut self) -> Result<Option<(String, Vec<u8>)>, ClientError> {
        loop {
            let frame = match self.reader.next_frame().map_err(ClientError::broken)? {
                None if self.ended => return Ok(None),
                frame => frame,
            };
            if let Some(frame) = frame {
                if let Some(data) = frame.data {
                    return Ok(Some((String::from_utf8_lossy(frame.event).into_owned(), data.into_owned())));
                }
                continue;
            }
            match self.body.frame().await {
                None => self.ended = true,
                Some(frame) => {
                    if let Ok(data) = frame.map_err(ClientError::broken)?.into_data() {
                        self.reader.push(&data);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::exit::{Exit, Failed};
    use super::*;
    use crate::api::Failure;

    #[test]
    fn a_refusal_is_read_in_either_dialect() {
        let failure = Failure::new(Code::NotFound, "there is no connection openai:x");
        let problem = serde_json::to_vec(&Problem::of(&failure)).unwrap();
        for body in [problem, ErrorBody::of(&failure).to_json()] {
            let error = refusal(StatusCode::NOT_FOUND, &body);
            assert_eq!((error.code(), error.to_string().as_str()), (Some(Code::NotFound), failure.message.as_str()));
            assert_eq!(Failed::from(error).exit, Exit::Data);
        }
        assert_eq!(Failed::from(refusal(StatusCode::BAD_GATEWAY, b"<html>")).exit, Exit::Upstream);
    }

    #[tokio::test]
    async fn a_missing_daemon_is_told_with_its_socket() {
        let client = Client::new(Path::new("/nonexistent/bursar.sock"));
        let error = client.get::<serde_json::Value>("/healthz").await.unwrap_err();
        let failed = Failed::from(error);
        assert_eq!(failed.exit, Exit::Unreachable);
        for part in ["/nonexistent/bursar.sock", "there is no such socket", "systemctl status bursar", "bursar serve"] {
            assert!(failed.message.contains(part), "{failed}");
        }
    }

    #[tokio::test]
    async fn what_is_no_socket_is_told_as_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        for (path, told) in [(file.as_path(), "a file, and no socket"), (dir.path(), "a directory, and no socket")] {
            let error = Client::new(path).get::<serde_json::Value>("/healthz").await.unwrap_err();
            assert!(error.to_string().contains(told), "{error}");
        }
    }

    /// Nobody takes what comes in here; the system does. Time passes as soon as nothing else can happen.
    #[tokio::test(start_paused = true)]
    async fn a_daemon_that_hangs_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("b.sock");
        let _deaf = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let client = Client::new(&socket);
        for client in [client.at_work(), client] {
            let error = client.get::<serde_json::Value>("/admin/v1/status").await.unwrap_err();
            assert!(matches!(error, ClientError::Silent { .. }), "{error}");
            let failed = Failed::from(error);
            assert!(failed.exit == Exit::Unreachable && failed.message.contains("systemctl restart"), "{failed}");
        }
    }

    #[test]
    fn every_code_has_an_exit_code() {
        for &code in Code::ALL {
            assert_ne!(exit_of(code), Exit::Ok, "{code:?}");
        }
        assert_eq!(exit_of(Code::UpstreamAuth), Exit::Upstream);
        assert_eq!(exit_of(Code::Unavailable), Exit::Upstream);
        assert_eq!(exit_of(Code::RateLimited), Exit::Busy);
    }
}
