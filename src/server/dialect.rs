//! Which dialect of error a path's callers read.

use super::reply::{self, Reply};
use crate::api::{ErrorBody, Failure};

/// A family of paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Surface {
    /// OpenAI's paths, and Bursar's own for apps.
    OpenAi,
    /// The admin plane.
    Admin,
}

impl Surface {
    /// The surface of a path, of one that does not exist too.
    pub(super) fn of(path: &str) -> Self {
        if path.starts_with("/admin/") || path == "/metrics" { Self::Admin } else { Self::OpenAi }
    }

    /// A failure in this surface's dialect.
    pub(super) fn failure(self, failure: &Failure) -> Reply {
        match self {
            Self::Admin => reply::problem(failure),
            Self::OpenAi => {
                let mut reply = reply::json(reply::status(failure.code.status()), &ErrorBody::of(failure));
                reply::with_retry(&mut reply, failure);
                reply
            }
        }
    }
}
