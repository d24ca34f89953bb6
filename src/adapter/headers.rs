//! The names of headers that adapters let through. Each is made once: a name that is a text would be hashed and checked
//! anew for every call.

use http::HeaderName;

macro_rules! names {
    ($($constant:ident $text:literal;)*) => {
        $(#[doc = concat!("`", $text, "`.")] pub static $constant: HeaderName = HeaderName::from_static($text);)*
    };
}

names! {
    ANTHROPIC_BETA "anthropic-beta";
    ANTHROPIC_VERSION "anthropic-version";
    GOOGLE_REQUEST_ID "x-goog-request-id";
    IDEMPOTENCY_KEY "idempotency-key";
    OPENAI_BETA "openai-beta";
    OPENAI_PROCESSING_MS "openai-processing-ms";
    OPENAI_VERSION "openai-version";
    OPENROUTER_GENERATION_ID "x-generation-id";
    REQUEST_ID "request-id";
    SANDBOX "x-bursar-sandbox";
    X_REQUEST_ID "x-request-id";
}
