//! Which dialect a path's callers read: of its errors, and of its lists.

use http::{Method, Request, StatusCode};

use super::reply::{self, Reply};
use crate::adapter::Dialect;
use crate::adapter::ingress::{self, ErrorSaid};
use crate::api::{Failure, RequestId};

/// Headers that Google's SDKs send and no other.
const GOOGLES: [&str; 2] = ["x-goog-api-key", "x-goog-api-client"];

/// A family of paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Surface {
    /// What apps ask, in a dialect. Bursar's own paths for apps speak OpenAI's.
    App(Dialect),
    /// The admin plane.
    Admin,
}

impl Surface {
    /// The surface of a request, to a path that does not exist too. A path that several dialects have is told by the
    /// headers that their SDKs send.
    pub(super) fn of<T>(request: &Request<T>) -> Self {
        let path = request.uri().path();
        if path.starts_with("/admin/") || path == "/metrics" {
            return Self::Admin;
        }
        let google = |name| request.headers().contains_key(name);
        Self::App(match path {
            path if path == "/v1/messages" || path.starts_with("/v1/messages/") => Dialect::Anthropic,
            path if path.starts_with("/v1beta/") => Dialect::Gemini,
            path if path.starts_with("/v1/models") => {
                // Google's SDKs say `/v1/models/{model}:generateContent` to an address that is not Google's.
                let called = request.method() == Method::POST && path != "/v1/models";
                if called || GOOGLES.into_iter().any(google) {
                    Dialect::Gemini
                } else if request.headers().contains_key("anthropic-version") {
                    Dialect::Anthropic
                } else {
                    Dialect::OpenAi
                }
            }
            _ => Dialect::OpenAi,
        })
    }

    /// A failure in this surface's dialect.
    pub(super) fn failure(self, failure: &Failure) -> Reply {
        self.failure_of(failure, None)
    }

    /// The same with the request's id, where there is one and the dialect has a place for it.
    pub(super) fn failure_of(self, failure: &Failure, id: Option<RequestId>) -> Reply {
        let Self::App(dialect) = self else { return reply::problem(failure) };
        let status = reply::status(failure.code.status());
        let id = id.map(|id| id.to_string());
        let mut reply = error(dialect, status, &ErrorSaid::of(failure, id.as_deref()));
        reply::with_retry(&mut reply, failure);
        reply
    }
}

/// An error in a dialect.
pub(super) fn error(dialect: Dialect, status: StatusCode, said: &ErrorSaid<'_>) -> Reply {
    reply::json_bytes(status, ingress::error(dialect, said))
}
