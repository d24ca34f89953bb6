//! What a handler is given: a request that went through the door.

use http::Request;
use hyper::body::Incoming;

use super::Context;
use crate::access::Identity;

/// A connection's other end, as the kernel reported it at connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caller {
    /// The user.
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
}

/// A request that was let through.
pub(super) struct Admitted {
    pub(super) context: Context,
    pub(super) identity: Identity,
    pub(super) request: Request<Incoming>,
    /// What stood at the path's `{…}`, decoded; empty where it has none.
    pub(super) rest: String,
}
