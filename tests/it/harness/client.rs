//! An app: speaks HTTP over the socket, and remembers every byte that it was given.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use super::{canary, soon};

/// All that apps were given, heads and bodies.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    pub fn add(&self, bytes: &[u8]) {
        self.0.lock().expect("nobody panics here").extend_from_slice(bytes);
    }

    pub fn all(&self) -> Vec<u8> {
        self.0.lock().expect("nobody panics here").clone()
    }
}

/// A request in the making.
#[derive(Debug, Clone)]
pub struct Call {
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Call {
    pub fn new(method: Method, path: &str) -> Self {
        Self { method, path: path.to_owned(), headers: Vec::new(), body: Bytes::new() }
    }

    pub fn get(path: &str) -> Self {
        Self::new(Method::GET, path)
    }

    pub fn post(path: &str, body: &Value) -> Self {
        Self::new(Method::POST, path).body(body.to_string()).header("content-type", "application/json")
    }

    /// A chat with this model.
    pub fn chat(model: &str) -> Self {
        Self::post("/v1/chat/completions", &chat(model))
    }

    /// A chat with this model, streamed.
    pub fn stream(model: &str) -> Self {
        let mut body = chat(model);
        body["stream"] = json!(true);
        Self::post("/v1/chat/completions", &body)
    }

    /// A chat, streamed or not.
    pub fn chat_as(model: &str, stream: bool) -> Self {
        if stream { Self::stream(model) } else { Self::chat(model) }
    }

    pub fn embed(model: &str) -> Self {
        Self::post("/v1/embeddings", &json!({"model": model, "input": canary::prompt()}))
    }

    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn request(self, http2: bool) -> Request<Full<Bytes>> {
        let uri = if http2 { format!("http://bursar{}", self.path) } else { self.path };
        let mut request = Request::builder().method(self.method).uri(uri);
        if !http2 {
            request = request.header("host", "bursar");
        }
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        request.body(Full::new(self.body)).expect("a request")
    }
}

/// The body of a chat, whose prompt is the canary.
pub fn chat(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": canary::prompt()}]})
}

/// A whole reply.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Whether the body ended as its head had promised.
    pub whole: bool,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        text(&self.headers, name)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    /// The text of a chat's only choice.
    pub fn content(&self) -> String {
        self.json()["choices"][0]["message"]["content"].as_str().expect("a message").to_owned()
    }

    /// The stable code of an error in OpenAI's shape, whose four keys must all be there.
    pub fn code(&self) -> String {
        error_code(&self.json())
    }

    /// What a stream says.
    pub fn events(&self) -> Vec<Event> {
        events(self.text())
    }
}

/// The stable code of OpenAI's error object.
pub fn error_code(body: &Value) -> String {
    let error = body["error"].as_object().unwrap_or_else(|| panic!("no error object in {body}"));
    for key in ["message", "type", "param", "code"] {
        assert!(error.contains_key(key), "{key} is missing in {body}");
    }
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "no message in {body}");
    error["code"].as_str().unwrap_or_else(|| panic!("no code in {body}")).to_owned()
}

/// One event of a stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Json(Value),
    Done,
}

impl Event {
    /// The text that it carries.
    pub fn content(&self) -> Option<&str> {
        match self {
            Self::Json(chunk) => chunk.pointer("/choices/0/delta/content").and_then(Value::as_str),
            Self::Done => None,
        }
    }
}

/// The events of a stream of OpenAI's.
pub fn events(text: &str) -> Vec<Event> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| match data {
        "[DONE]" => Event::Done,
        json => Event::Json(serde_json::from_str(json).unwrap_or_else(|error| panic!("{error} in {json:?}"))),
    })
    .collect()
}

/// All text of a stream.
pub fn said(events: &[Event]) -> String {
    events.iter().filter_map(Event::content).collect()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().expect("a text header"))
}

/// A reply whose body is read as it comes. Dropping it hangs up.
pub struct Streamed {
    pub status: u16,
    pub headers: HeaderMap,
    /// When its head came.
    pub head_at: Instant,
    body: Incoming,
    heard: Heard,
    link: Option<Link>,
}

impl Streamed {
    pub fn header(&self, name: &str) -> Option<&str> {
        text(&self.headers, name)
    }

    /// The next bytes; none at the end, an error where the connection broke.
    pub async fn next(&mut self) -> Option<Result<Bytes, hyper::Error>> {
        loop {
            match soon("the next bytes of a reply", self.body.frame()).await? {
                Err(error) => return Some(Err(error)),
                Ok(frame) => {
                    if let Ok(bytes) = frame.into_data() {
                        self.heard.add(&bytes);
                        return Some(Ok(bytes));
                    }
                }
            }
        }
    }

    /// Reads until the text so far holds something, and gives all of it.
    pub async fn until(&mut self, wanted: &str) -> String {
        let mut all = String::new();
        while !all.contains(wanted) {
            let bytes = self.next().await.unwrap_or_else(|| panic!("the stream ended before {wanted:?}: {all}"));
            all += std::str::from_utf8(&bytes.expect("the stream goes on")).expect("text");
        }
        all
    }

    /// The rest.
    pub async fn rest(mut self) -> Reply {
        let (mut body, mut whole) = (Vec::new(), true);
        while let Some(next) = self.next().await {
            match next {
                Ok(bytes) => body.extend_from_slice(&bytes),
                Err(_) => {
                    whole = false;
                    break;
                }
            }
        }
        Reply { status: self.status, headers: self.headers, body: body.into(), whole }
    }

    /// Hangs up in the middle: the whole connection goes.
    pub fn hang_up(self) {
        if let Some(link) = &self.link {
            link.connection.abort();
        }
    }
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// A connection to the daemon. It ends with its value.
pub struct Link {
    sender: Sender,
    connection: JoinHandle<()>,
    heard: Heard,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Link {
    pub async fn http1(socket: &Path, heard: Heard) -> Self {
        let stream = UnixStream::connect(socket).await.expect("the daemon listens");
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("a connection");
        let connection = tokio::spawn(async move { drop(connection.await) });
        Self { sender: Sender::Http1(sender), connection, heard }
    }

    pub async fn http2(socket: &Path, heard: Heard) -> Self {
        let stream = UnixStream::connect(socket).await.expect("the daemon listens");
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (sender, connection) = handshake.await.expect("a connection");
        let connection = tokio::spawn(async move { drop(connection.await) });
        Self { sender: Sender::Http2(sender), connection, heard }
    }

    /// Sends a request and waits for the reply's head.
    pub async fn send(&mut self, call: Call) -> Result<Streamed, hyper::Error> {
        let response = match &mut self.sender {
            Sender::Http1(sender) => {
                soon("room on a connection", sender.ready()).await?;
                soon("a reply's head", sender.send_request(call.request(false))).await?
            }
            Sender::Http2(sender) => {
                // Streams of one connection run beside each other.
                let mut sender = sender.clone();
                soon("a reply's head", sender.send_request(call.request(true))).await?
            }
        };
        let (head, body) = response.into_parts();
        for (name, value) in &head.headers {
            self.heard.add(name.as_str().as_bytes());
            self.heard.add(value.as_bytes());
        }
        Ok(Streamed {
            status: head.status.as_u16(),
            headers: head.headers,
            head_at: Instant::now(),
            body,
            heard: self.heard.clone(),
            link: None,
        })
    }

    /// One call of several on this connection.
    pub async fn ask(&mut self, call: Call) -> Reply {
        self.send(call).await.expect("a reply").rest().await
    }

    /// The only call on this connection.
    pub async fn call(self, call: Call) -> Reply {
        self.open(call).await.rest().await
    }

    /// The only call on this connection, whose reply keeps it.
    pub async fn open(mut self, call: Call) -> Streamed {
        let streamed = self.send(call).await.expect("a reply");
        Streamed { link: Some(self), ..streamed }
    }

    /// Whether another call can be made on it.
    pub fn is_open(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => !sender.is_closed(),
            Sender::Http2(sender) => !sender.is_closed(),
        }
    }
}

/// Asserts the status and the stable code of a refusal in OpenAI's shape.
#[track_caller]
pub fn assert_refused(reply: &Reply, status: StatusCode, code: &str) {
    assert_eq!((reply.status, reply.code().as_str()), (status.as_u16(), code), "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/json"));
}
