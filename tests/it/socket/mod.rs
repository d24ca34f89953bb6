//! The socket: whose it is, who is let in, which protocols it speaks, and how long it bears with whom.

mod files;
mod patience;
mod refused;
mod spoken;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::fake::{FakeProvider, openai};
use crate::harness::{Bursar, Setup, soon};

async fn started() -> (FakeProvider, Bursar) {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("ok"));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    (fake, bursar)
}

/// Writes bytes to the socket and reads all that comes back until the daemon closes, or has answered so often.
async fn raw(bursar: &Bursar, bytes: &[u8], answers: usize) -> String {
    let mut stream = UnixStream::connect(bursar.place().socket()).await.unwrap();
    // The daemon may answer and close before it has read all.
    let _ = stream.write_all(bytes).await;
    let mut all = Vec::new();
    let reading = async {
        loop {
            let text = String::from_utf8_lossy(&all);
            let answered = text.matches("HTTP/1.1 ").count() >= answers && text.ends_with('}');
            let mut piece = [0; 4096];
            if answered || answers == 0 && !text.is_empty() {
                break;
            }
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => break,
                Ok(read) => all.extend_from_slice(&piece[..read]),
            }
        }
    };
    soon("an answer", reading).await;
    String::from_utf8_lossy(&all).into_owned()
}
