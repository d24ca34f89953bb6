//! One connection to the fake: reads requests, plays behaviours, notices when the client hangs up.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;

use super::State;
use super::behaviour::{Behaviour, Step};
use super::request::{self, SeenRequest};

/// What became of one behaviour.
enum Played {
    /// It is over, and the connection may take another request.
    Whole,
    /// It closed the connection.
    Closed,
    /// It broke the connection.
    Reset,
    /// The client hung up before it was over.
    Aborted,
}

pub(super) async fn serve(mut stream: TcpStream, state: Arc<watch::Sender<State>>) {
    let _counted = Counted::new(&state);
    // Every write is to be seen by itself, as far as TCP can promise that.
    let _ = stream.set_nodelay(true);
    let mut buffer = BytesMut::new();
    loop {
        let (mut reader, mut writer) = stream.split();
        let Some(request) = request::read(&mut reader, &mut buffer).await else { return };
        let behaviour = answer(&state, request);
        let played = tokio::select! {
            played = play(&mut writer, behaviour) => played.unwrap_or(Played::Aborted),
            () = hung_up(&mut reader, &mut buffer) => Played::Aborted,
        };
        match played {
            Played::Whole => {}
            Played::Closed => return,
            Played::Reset => {
                let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
                return;
            }
            Played::Aborted => {
                state.send_modify(|state| state.aborted += 1);
                return;
            }
        }
    }
}

fn answer(state: &watch::Sender<State>, request: SeenRequest) -> Behaviour {
    let mut behaviour = None;
    state.send_modify(|state| {
        behaviour = Some(state.scripts.answer(&request));
        state.seen.push(request);
    });
    behaviour.expect("the closure has run")
}

async fn play(writer: &mut WriteHalf<'_>, behaviour: Behaviour) -> io::Result<Played> {
    for step in behaviour.steps {
        match step {
            Step::Write(bytes) => writer.write_all(&bytes).await?,
            Step::Pause(pause) => tokio::time::sleep(pause).await,
            Step::Wait(gate) => gate.pass().await,
            Step::Hang => std::future::pending().await,
            Step::Close => {
                writer.shutdown().await?;
                return Ok(Played::Closed);
            }
            Step::Reset => return Ok(Played::Reset),
        }
    }
    Ok(Played::Whole)
}

/// Ends when the client has. What it sends meanwhile is kept for the next request.
async fn hung_up(reader: &mut ReadHalf<'_>, buffer: &mut BytesMut) {
    while reader.read_buf(buffer).await.is_ok_and(|read| read > 0) {}
}

/// Counts a connection for as long as it is open.
struct Counted<'a>(&'a watch::Sender<State>);

impl<'a> Counted<'a> {
    fn new(state: &'a watch::Sender<State>) -> Self {
        state.send_modify(|state| state.open_connections += 1);
        Self(state)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|state| state.open_connections -= 1);
    }
}
