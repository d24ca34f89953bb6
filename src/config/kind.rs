//! What the checks need to know of each kind of provider.
//!
//! The adapters' table knows the kinds; this module lies below it. So the facts are data that the caller hands in, and
//! a new kind needs no line here.

/// Whether usage must be asked for in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StreamUsage {
    /// The provider tells it when asked (`stream_options.include_usage`).
    Ask,
    /// The provider tells it without being asked.
    Always,
    /// The provider never tells it, or refuses the question: usage of streams is estimated.
    Never,
}

impl StreamUsage {
    /// The words in TOML.
    pub(super) const WORDS: &'static [(&'static str, Self)] =
        &[("ask", Self::Ask), ("always", Self::Always), ("never", Self::Never)];
}

/// What a kind brings along for a provider that does not say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindFacts {
    /// The word after `kind =`.
    pub name: &'static str,
    /// The base URL where the file gives none, ending in the API's version path. None: the file must give one. A kind
    /// that calls nobody names an address that is never dialled.
    pub default_base_url: Option<&'static str>,
    /// Whether a connection must have a secret.
    pub needs_secret: bool,
    /// The words under a connection's `settings` besides `headers` and `timeouts`. `fault` is a table of faults to
    /// play; every other word takes text.
    pub settings: &'static [&'static str],
    /// How usage comes in streams, unless the provider says otherwise.
    pub stream_usage: StreamUsage,
    /// Whether an app may name its models without the provider. The sandbox's are never meant by a bare id.
    pub bare_models: bool,
}
