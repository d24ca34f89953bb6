//! What may go wrong on the way to the daemon, and what to do then.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::api::Code;
use crate::bounds;
use crate::cli::exit::{Exit, Failed};

/// A request to the daemon that failed.
#[derive(Debug, Error)]
pub(in crate::cli) enum ClientError {
    /// Nobody listens.
    #[error(
        "no daemon answers on {socket} ({reason}): `systemctl status bursar` tells of the system's daemon, \
         `bursar serve` starts one in this terminal, and --socket names another socket",
        socket = .socket.display()
    )]
    Unreachable {
        /// The socket that was tried.
        socket: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The socket may not be opened.
    #[error("this user may not open {socket}: {advice}", socket = .socket.display())]
    Denied {
        /// The socket that was tried.
        socket: PathBuf,
        /// How to come in.
        advice: String,
    },
    /// It took the connection, and then said nothing.
    #[error(
        "the daemon on {socket} has not answered for {} s, and may hang: `journalctl -u bursar` tells what it did last, \
         `systemctl restart bursar` starts it anew; then see whether this is done already",
        bounds::ANSWER_TIMEOUT.as_secs(),
        socket = .socket.display()
    )]
    Silent {
        /// The socket that was connected to.
        socket: PathBuf,
    },
    /// The daemon refused.
    #[error("{message}")]
    Refused {
        /// The stable code, where the reply holds one of Bursar's.
        code: Option<Code>,
        /// The HTTP status.
        status: u16,
        /// Its sentence.
        message: String,
    },
    /// What came cannot be kept.
    #[error("what the daemon sent cannot be written: {0}")]
    Unwritten(io::Error),
    /// The daemon ended, or shut the connection.
    #[error("the daemon went away before it answered: `bursar status` tells whether it runs; then do this again")]
    Gone,
    /// The connection broke, or what came makes no sense.
    #[error("the daemon's reply cannot be read: {reason}")]
    Broken {
        /// Why.
        reason: String,
    },
}

impl ClientError {
    pub(super) fn broken(reason: impl ToString) -> Self {
        Self::Broken { reason: reason.to_string() }
    }

    /// The stable code of a refusal.
    pub(in crate::cli) fn code(&self) -> Option<Code> {
        match self {
            Self::Refused { code, .. } => *code,
            _ => None,
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Unreachable { .. } | Self::Silent { .. } | Self::Gone | Self::Broken { .. } => Exit::Unreachable,
            Self::Denied { .. } => Exit::NotPermitted,
            Self::Unwritten(_) => Exit::Busy,
            Self::Refused { code: Some(code), .. } => exit_of(*code),
            // A provider's own words, passed on.
            Self::Refused { code: None, .. } => Exit::Upstream,
        }
    }
}

/// The exit code for an error of Bursar's.
pub(in crate::cli) fn exit_of(code: Code) -> Exit {
    match code {
        Code::NotPermitted | Code::UnknownApp => Exit::NotPermitted,
        Code::RateLimited | Code::BudgetSpent | Code::StorageFull => Exit::Busy,
        Code::Internal => Exit::State,
        _ if code.status() < 500 => Exit::Data,
        _ => Exit::Upstream,
    }
}

impl From<ClientError> for Failed {
    fn from(error: ClientError) -> Self {
        Self::new(error.exit(), error.to_string())
    }
}
