//! What the fake does with one request, as steps on the wire.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::{Events, Reply};

/// One step.
#[derive(Debug, Clone)]
pub enum Step {
    /// Writes these bytes in one call, and sends them at once.
    Write(Bytes),
    /// Lets time pass.
    Pause(Duration),
    /// Waits until the test lets it go on.
    Wait(Gate),
    /// Does nothing more; ends only when the client hangs up.
    Hang,
    /// Closes the connection in order (FIN).
    Close,
    /// Breaks the connection (RST).
    Reset,
}

/// What the fake does with one request. Unless a step closes it, the connection then waits for the next request.
#[derive(Debug, Clone)]
pub struct Behaviour {
    pub steps: Vec<Step>,
}

impl Behaviour {
    /// Says nothing, ever.
    pub fn hang() -> Self {
        Self { steps: vec![Step::Hang] }
    }

    /// Closes the connection without a word.
    pub fn close() -> Self {
        Self { steps: vec![Step::Close] }
    }

    /// Breaks the connection without a word.
    pub fn reset() -> Self {
        Self { steps: vec![Step::Reset] }
    }

    /// These bytes, whatever they are, and the end.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self { steps: vec![Step::Write(bytes.into()), Step::Close] }
    }

    /// All bytes, those of the head too, one at a time.
    pub fn drip(self) -> Self {
        self.rewritten(|bytes, steps| {
            steps.extend((0..bytes.len()).map(|at| Step::Write(bytes.slice(at..=at))));
        })
    }

    /// A pause before every write but the first.
    pub fn pace(self, pause: Duration) -> Self {
        self.between_writes(&Step::Pause(pause))
    }

    /// A gate before every write but the first: the test decides when each part of a body comes.
    pub fn gated(self, gate: &Gate) -> Self {
        self.between_writes(&Step::Wait(gate.clone()))
    }

    /// A gate before everything.
    pub fn held_by(mut self, gate: &Gate) -> Self {
        self.steps.insert(0, Step::Wait(gate.clone()));
        self
    }

    fn between_writes(self, step: &Step) -> Self {
        let mut first = true;
        self.rewritten(|bytes, steps| {
            if !std::mem::replace(&mut first, false) {
                steps.push(step.clone());
            }
            steps.push(Step::Write(bytes));
        })
    }

    fn rewritten(self, mut write: impl FnMut(Bytes, &mut Vec<Step>)) -> Self {
        let mut steps = Vec::new();
        for step in self.steps {
            match step {
                Step::Write(bytes) => write(bytes, &mut steps),
                other => steps.push(other),
            }
        }
        Self { steps }
    }
}

impl From<Reply> for Behaviour {
    fn from(reply: Reply) -> Self {
        reply.whole()
    }
}

impl From<Events> for Behaviour {
    fn from(events: Events) -> Self {
        events.reply().whole()
    }
}

/// Lets steps through when the test says so. Clones are one gate.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    /// A shut one.
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets so many steps through, now or when they come.
    pub fn open(&self, steps: usize) {
        self.0.add_permits(steps);
    }

    pub(super) async fn pass(&self) {
        self.0.acquire().await.expect("a gate is never taken down").forget();
    }
}
