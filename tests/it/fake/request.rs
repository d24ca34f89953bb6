//! Requests as they came, read byte by byte.

use bytes::{Bytes, BytesMut};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// A request that the fake has read whole.
#[derive(Debug, Clone)]
pub struct SeenRequest {
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// In the order in which they came, names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl SeenRequest {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The credential, in whichever header providers look for it.
    pub fn key(&self) -> Option<&str> {
        let bearer = self.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        bearer.or_else(|| self.header("x-goog-api-key")).or_else(|| self.header("x-api-key"))
    }

    /// The path without its query.
    pub fn bare_path(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the request's body is JSON")
    }
}

/// Reads the next request; none where the connection ends before one is whole.
pub(super) async fn read(from: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut) -> Option<SeenRequest> {
    let mut incoming = Incoming { from, buffer };
    let first = incoming.line().await?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let line = incoming.line().await?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = SeenRequest { method, path, headers, body: Bytes::new() };
    request.body = match request.header("content-length") {
        Some(length) => incoming.exactly(length.parse().ok()?).await?,
        None if request.header("transfer-encoding").is_some() => incoming.chunks().await?,
        None => Bytes::new(),
    };
    Some(request)
}

struct Incoming<'a, R> {
    from: &'a mut R,
    buffer: &'a mut BytesMut,
}

impl<R: AsyncRead + Unpin> Incoming<'_, R> {
    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                let line = self.buffer.split_to(end + 2);
                return String::from_utf8(line[..end].to_vec()).ok();
            }
            self.fill().await?;
        }
    }

    async fn exactly(&mut self, length: usize) -> Option<Bytes> {
        while self.buffer.len() < length {
            self.fill().await?;
        }
        Some(self.buffer.split_to(length).freeze())
    }

    async fn chunks(&mut self) -> Option<Bytes> {
        let mut body = BytesMut::new();
        loop {
            let length = usize::from_str_radix(&self.line().await?, 16).ok()?;
            body.extend_from_slice(&self.exactly(length).await?);
            self.line().await?;
            if length == 0 {
                return Some(body.freeze());
            }
        }
    }

    async fn fill(&mut self) -> Option<()> {
        let read = self.from.read_buf(self.buffer).await.ok()?;
        (read > 0).then_some(())
    }
}
