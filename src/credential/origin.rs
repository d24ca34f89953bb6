//! Where a secret may be sent: scheme, host and port in one spelling.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;
use url::Url;

/// `scheme://host:port` in canonical form: lower case, no trailing dot, the port always written out.
///
/// Two URLs have the same origin exactly if a credential for one may be sent to the other.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin(Arc<str>);

/// A URL that no credential can be bound to.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OriginError {
    /// Neither `http` nor `https`.
    #[error("the scheme {0:?} cannot be called: use https, or http on a private network")]
    Scheme(String),
    /// No host.
    #[error("the URL names no host")]
    NoHost,
    /// A user or a password before the host.
    #[error("the URL carries a user or a password: give the secret to the connection instead")]
    UserInfo,
    /// Not a URL at all.
    #[error("not a URL: {0}")]
    NotAUrl(#[from] url::ParseError),
}

impl Origin {
    /// The origin of a URL.
    ///
    /// # Errors
    /// When its scheme is not HTTP's, it has no host, or it carries user information.
    pub fn of(url: &Url) -> Result<Self, OriginError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(OriginError::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OriginError::UserInfo);
        }
        let host = url.host_str().map(|host| host.strip_suffix('.').unwrap_or(host)).unwrap_or_default();
        let port = url.port_or_known_default().ok_or(OriginError::NoHost)?;
        if host.is_empty() {
            return Err(OriginError::NoHost);
        }
        Ok(Self(format!("{}://{}:{port}", url.scheme(), host.to_ascii_lowercase()).into()))
    }

    /// The origin as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        Self::of(&Url::parse(text)?)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_origin_has_one_spelling() {
        for (url, origin) in [
            ("https://api.openai.com/v1", "https://api.openai.com:443"),
            ("HTTPS://API.OpenAI.com.:443/v1?x#y", "https://api.openai.com:443"),
            ("http://localhost:8000", "http://localhost:8000"),
            ("http://[::1]/v1", "http://[::1]:80"),
            ("http://0x7f.1/", "http://127.0.0.1:80"),
            ("https://müller.example/", "https://xn--mller-kva.example:443"),
        ] {
            let parsed: Origin = url.parse().unwrap();
            assert_eq!(parsed.as_str(), origin);
            assert_eq!(origin.parse::<Origin>().unwrap(), parsed, "the canonical form reads back");
        }
    }

    #[test]
    fn what_no_credential_can_be_bound_to_is_refused() {
        for url in ["ftp://a/", "file:///etc/passwd", "https://user@a/", "https://:pw@a/", "https://./", "nonsense"] {
            assert!(url.parse::<Origin>().is_err(), "{url}");
        }
    }
}
