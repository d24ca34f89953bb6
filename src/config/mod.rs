//! Configuration (placeholder until the real module is merged).

/// How usage is got from a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamUsage {
    /// Ask.
    Ask,
    /// Comes always.
    Always,
    /// Never.
    Never,
}

/// Facts of a kind.
#[derive(Debug)]
pub struct KindFacts {
    /// Name.
    pub name: &'static str,
    /// Base URL.
    pub default_base_url: Option<&'static str>,
    /// Secret.
    pub needs_secret: bool,
    /// Settings.
    pub settings: &'static [&'static str],
    /// Stream usage.
    pub stream_usage: StreamUsage,
}
