//! How a command ends: the exit codes, and the errors that lead to them.

use std::process::ExitCode;

use thiserror::Error;

/// The exit code of a command, as `sysexits.h` has most of them. Scripts depend on them: none changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Exit {
    /// It did what was asked.
    Ok = 0,
    /// The command line makes no sense. clap ends with the same code.
    Usage = 2,
    /// A dry run found that something would change.
    Changes = 3,
    /// What was given cannot be taken.
    Data = 65,
    /// No daemon answers.
    Unreachable = 69,
    /// The system gives the daemon no thread, or no signal.
    System = 71,
    /// Not now; trying again may help.
    Busy = 75,
    /// A provider failed.
    Upstream = 76,
    /// Bursar, or the system, refuses the caller this.
    NotPermitted = 77,
    /// The configuration or the state on disk is bad.
    State = 78,
    /// It was interrupted, and cleaned up; what shells say of a program that Ctrl-C ended.
    Interrupted = 130,
}

impl Exit {
    /// The exit that the daemon's own errors name by their code.
    pub(super) fn of(code: u8) -> Self {
        match code {
            75 => Self::Busy,
            78 => Self::State,
            _ => Self::System,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A command that failed: one sentence that says what is wrong and what to do, and the code to end with.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub(super) struct Failed {
    /// For the operator.
    pub(super) message: String,
    /// For the operator's scripts.
    pub(super) exit: Exit,
}

impl Failed {
    /// A failure with its code.
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { message: message.into(), exit }
    }

    /// What was given cannot be taken.
    pub(super) fn data(message: impl Into<String>) -> Self {
        Self::new(Exit::Data, message)
    }

    /// The configuration or the state on disk is bad.
    pub(super) fn state(message: impl Into<String>) -> Self {
        Self::new(Exit::State, message)
    }
}

/// What a command comes to.
pub(super) type Outcome = Result<Exit, Failed>;
