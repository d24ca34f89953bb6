//! One cell of the matrix: a fault, when it comes, and what must follow.

use bursar::api::Outcome;

use crate::fake::Behaviour;

/// When a fault comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The app asked for a whole reply.
    Whole,
    /// It asked for a stream, and has been sent nothing.
    Before,
    /// It has been sent a part of the stream.
    After,
}

impl Stage {
    pub fn streams(self) -> bool {
        self != Self::Whole
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

/// What must follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The attempt fails in this class; where nobody else can answer the app is told so with this status and code. The
    /// app's own fault has no code of Bursar's.
    Fails(Outcome, u16, &'static str),
    /// The stream ends in one error of this code.
    Cut(&'static str),
    /// All is as if there had been no fault.
    Fine,
}

/// Where the faulty provider is.
#[derive(Debug, Clone)]
pub enum At {
    /// At the fake, which does this.
    Fake(Behaviour),
    /// At this base, where nothing of the fake's is ever reached.
    Elsewhere(String),
}

/// A fault at one stage.
#[derive(Debug, Clone)]
pub struct Fault {
    pub name: &'static str,
    pub stage: Stage,
    pub at: At,
    pub then: Then,
    /// Lines of the provider's.
    pub lines: String,
    /// How much the daemon's peak of memory may rise.
    pub bytes_max: usize,
}

/// A fault with a number of connections, the first of which has it.
#[derive(Debug, Clone)]
pub struct Case {
    pub fault: Fault,
    pub connections: usize,
}

impl Case {
    /// A name that stands for nothing else: of the faulty provider, and of the feature.
    pub fn name(&self) -> String {
        format!("{}-{}-{}", self.fault.name, self.fault.stage.name(), self.connections)
    }

    /// The model that the app asks for.
    pub fn model(&self) -> String {
        match self.fault.at {
            At::Elsewhere(_) if self.connections > 1 => format!("route-{}", self.name()),
            _ => format!("{}/m", self.name()),
        }
    }

    pub fn first(&self) -> String {
        format!("{}:a", self.name())
    }

    /// The healthy connection, where there is one.
    pub fn second(&self) -> Option<String> {
        match self.fault.at {
            _ if self.connections < 2 => None,
            At::Fake(_) => Some(format!("{}:b", self.name())),
            At::Elsewhere(_) => Some(format!("{}-b:b", self.name())),
        }
    }

    /// The class in which the first connection's attempts end.
    pub fn outcome(&self) -> Outcome {
        match self.fault.then {
            Then::Fails(outcome, ..) => outcome,
            Then::Cut(_) => Outcome::Cut,
            Then::Fine => Outcome::Ok,
        }
    }

    /// Attempts on the first connection: what may pass is tried once more.
    pub fn tries(&self) -> usize {
        if self.outcome() == Outcome::Transient { 2 } else { 1 }
    }

    /// Whether the second connection answers.
    pub fn falls(&self) -> bool {
        let ends = matches!(self.outcome(), Outcome::Ok | Outcome::Cut | Outcome::Timeout | Outcome::Caller);
        self.connections > 1 && !ends
    }
}
