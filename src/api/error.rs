//! What can go wrong, as apps and operators see it: a stable code, its status, one sentence that helps.

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:literal;)*) => {
        /// The stable code of an error. Each has one HTTP status.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Code {
            $($(#[$doc])* $variant),*
        }

        impl Code {
            /// All codes.
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];

            /// The code as it stands in replies.
            pub const fn name(self) -> &'static str {
                match self { $(Code::$variant => $name),* }
            }

            /// The HTTP status that goes with the code.
            pub const fn status(self) -> u16 {
                match self { $(Code::$variant => $status),* }
            }
        }
    };
}

codes! {
    /// The request cannot be understood.
    InvalidRequest = "invalid_request", 400;
    /// A feature label is not `[a-z0-9][a-z0-9._-]{0,63}`.
    InvalidLabel = "invalid_label", 400;
    /// No candidate has a capability that the request needs.
    CapabilityMissing = "capability_missing", 400;
    /// Bursar refuses the caller this.
    NotPermitted = "not_permitted", 403;
    /// Bursar does not serve this caller at all.
    UnknownApp = "unknown_app", 403;
    /// No route, provider or listed model has this name.
    UnknownModel = "unknown_model", 404;
    /// There is no such thing.
    NotFound = "not_found", 404;
    /// The path does not take this method.
    MethodNotAllowed = "method_not_allowed", 405;
    /// The change contradicts what is there.
    Conflict = "conflict", 409;
    /// The body is larger than Bursar takes.
    BodyTooLarge = "body_too_large", 413;
    /// The request is larger than any candidate's limit or context window.
    TooLarge = "too_large", 413;
    /// The body is compressed or of a type that is not read.
    UnsupportedMedia = "unsupported_media", 415;
    /// All candidates are out of room, and one returns soon.
    RateLimited = "rate_limited", 429;
    /// A budget of the app is spent.
    BudgetSpent = "budget_spent", 429;
    /// A fault of Bursar's own.
    Internal = "internal", 500;
    /// Providers refused the stored credentials.
    UpstreamAuth = "upstream_auth", 502;
    /// Providers' accounts are out of money or quota.
    UpstreamQuota = "upstream_quota", 502;
    /// Providers refuse these credentials this model.
    UpstreamRefused = "upstream_refused", 502;
    /// No provider could be reached.
    UpstreamUnreachable = "upstream_unreachable", 502;
    /// Providers answered with errors of their own.
    UpstreamError = "upstream_error", 502;
    /// A provider's reply cannot be understood.
    UpstreamInvalid = "upstream_invalid", 502;
    /// A provider's reply ended early.
    UpstreamCut = "upstream_cut", 502;
    /// A provider's reply is larger than Bursar takes.
    UpstreamTooLarge = "upstream_too_large", 502;
    /// Every candidate is switched off, or lacks a credential.
    Unavailable = "unavailable", 503;
    /// No provider answered in time.
    UpstreamTimeout = "upstream_timeout", 504;
    /// The disk is full: the change was not made.
    StorageFull = "storage_full", 507;
}

/// An error on its way to a caller, in no dialect yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The stable code; it gives the status.
    pub code: Code,
    /// One sentence that says what is wrong and what to do.
    pub message: String,
    /// The field of the request that is at fault.
    pub param: Option<String>,
    /// Seconds after which another try may help.
    pub retry_after_s: Option<u64>,
}

impl Failure {
    /// A failure with a code and its sentence.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), param: None, retry_after_s: None }
    }

    /// Names the field that is at fault.
    #[must_use]
    pub fn at(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Says when another try may help.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message, self.code.name())
    }
}

impl std::error::Error for Failure {}

/// An error of the admin plane: problem details of RFC 9457 with Bursar's code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the code tells more.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// One sentence that says what is wrong and what to do.
    pub detail: String,
    /// The stable code.
    pub code: Code,
    /// The field or parameter that is at fault, where one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
}

impl Problem {
    /// The problem details of a failure.
    pub fn of(failure: &Failure) -> Self {
        let status = failure.code.status();
        let title = http::StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or("Error");
        Self {
            kind: "about:blank".into(),
            title: title.into(),
            status,
            detail: failure.message.clone(),
            code: failure.code,
            param: failure.param.clone(),
        }
    }
}

/// OpenAI's error object, which apps see on OpenAI's paths and on Bursar's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorObject,
}

/// What stands in [`ErrorBody`]. All four keys are always there, as OpenAI's SDKs expect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ErrorObject {
    /// One sentence that says what is wrong and what to do.
    pub message: String,
    /// OpenAI's broad kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// The field that is at fault.
    pub param: Option<String>,
    /// The stable code, or the provider's own where its answer is passed on.
    pub code: Option<String>,
}

impl ErrorBody {
    /// The error object of a failure.
    pub fn of(failure: &Failure) -> Self {
        let code = Some(failure.code.name());
        Self::new(failure.code.status(), &failure.message, failure.param.as_deref(), code)
    }

    /// The error object of an error with a status.
    pub fn new(status: u16, message: &str, param: Option<&str>, code: Option<&str>) -> Self {
        let kind = match status {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            400..=499 => "invalid_request_error",
            _ => "server_error",
        };
        let (param, code) = (param.map(str::to_owned), code.map(str::to_owned));
        Self { error: ErrorObject { message: message.into(), kind: kind.into(), param, code } }
    }

    /// As JSON.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}
