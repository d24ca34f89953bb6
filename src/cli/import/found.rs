//! What a file says, in Bursar's words: providers, connections with their secrets, routes; and what has none.

use std::collections::BTreeMap;

use url::{Host, Url};

use super::known::Known;
use crate::api::admin::{Limits, Object, SecretText};
use crate::api::{ConnectionName, ProviderSlug};

/// Everything that was found in a file.
#[derive(Default)]
pub(super) struct Found {
    /// Providers, by what tells them apart.
    pub(super) providers: Vec<FoundProvider>,
    pub(super) connections: Vec<FoundConnection>,
    pub(super) routes: Vec<FoundRoute>,
    /// What cannot be said in Bursar's words, and what that means.
    pub(super) notes: Vec<Note>,
}

/// A provider that is asked for.
pub(super) struct FoundProvider {
    pub(super) slug: ProviderSlug,
    /// Which of the known ones it is; none: one that speaks as OpenAI does.
    pub(super) known: Option<&'static Known>,
    /// Its address, where that is not the known one.
    pub(super) base_url: Option<String>,
}

/// An account or key at a provider.
pub(super) struct FoundConnection {
    pub(super) line: u32,
    pub(super) provider: ProviderSlug,
    /// Its name, unique among those of its provider.
    pub(super) name: ConnectionName,
    pub(super) secret: FoundSecret,
    pub(super) enabled: bool,
    pub(super) priority: Option<u32>,
    pub(super) weight: Option<u32>,
    pub(super) limits: Limits,
    /// Limits of single models.
    pub(super) model_limits: BTreeMap<String, Limits>,
    pub(super) settings: Object,
}

/// A secret, or why there is none.
#[derive(Clone)]
pub(super) enum FoundSecret {
    /// It stands in the file, or in a variable that the file names.
    Given(SecretText),
    /// It cannot be had.
    Missing(String),
    /// None is needed.
    Unneeded,
}

impl FoundSecret {
    /// Whether both are one and the same.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Given(one), Self::Given(other)) => one == other,
            (Self::Missing(one), Self::Missing(other)) => one == other,
            (Self::Unneeded, Self::Unneeded) => true,
            _ => false,
        }
    }
}

/// A model alias.
pub(super) struct FoundRoute {
    pub(super) line: u32,
    /// What apps ask for today.
    pub(super) name: String,
    pub(super) targets: Vec<(ProviderSlug, String)>,
    /// How one of several connections is chosen, where that is said.
    pub(super) order: Option<&'static str>,
}

/// Something that an operator should know. It never holds a value of the file, which may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) line: u32,
    pub(super) text: String,
}

impl Found {
    pub(super) fn note(&mut self, line: u32, text: impl Into<String>) {
        self.notes.push(Note { line, text: text.into() });
    }

    /// The slug of a provider at an address: that of a known one, or one made of both.
    pub(super) fn provider(
        &mut self,
        known: Option<&'static Known>,
        address: Option<&str>,
        line: u32,
    ) -> Option<ProviderSlug> {
        let Some(base_url) = address.map_or(Some(None), |address| base_url(known, address)) else {
            self.note(line, "the address is no URL with http or https: the connection is left out");
            return None;
        };
        if known.is_some_and(|known| known.slug == "azure") && base_url.is_none() {
            self.note(line, "Azure needs the address of its resource (https://NAME.openai.azure.com): left out");
            return None;
        }
        let same = |one: &&FoundProvider| {
            one.known.map(|known| known.slug) == known.map(|known| known.slug) && one.base_url == base_url
        };
        if let Some(there) = self.providers.iter().find(same) {
            return Some(there.slug.clone());
        }
        let slug = self.free_slug(known, base_url.as_deref())?;
        self.providers.push(FoundProvider { slug: slug.clone(), known, base_url });
        Some(slug)
    }

    fn free_slug(&self, known: Option<&'static Known>, base_url: Option<&str>) -> Option<ProviderSlug> {
        let first = known.map_or("openai", |known| known.slug);
        let wish = match base_url {
            None => first.to_owned(),
            Some(url) => format!("{first}-{}", host_word(url)),
        };
        let wish = slug(&wish);
        let taken = |name: &str| self.providers.iter().any(|one| one.slug.as_str() == name);
        numbered(&wish).find(|name| !taken(name))?.parse().ok()
    }

    /// Takes a connection, or finds the one with the same secret: of that it gives the place.
    pub(super) fn connection(&mut self, wish: &str, connection: FoundConnection) -> Option<usize> {
        let same = |one: &FoundConnection| one.provider == connection.provider && one.secret.is(&connection.secret);
        if let Some(place) = self.connections.iter().position(same) {
            return Some(place);
        }
        let wish = if wish.trim().is_empty() { "main".to_owned() } else { slug(wish) };
        let taken = |name: &str| {
            self.connections.iter().any(|one| one.provider == connection.provider && one.name.as_str() == name)
        };
        let name = numbered(&wish).find(|name| !taken(name))?.parse().ok()?;
        self.connections.push(FoundConnection { name, ..connection });
        Some(self.connections.len() - 1)
    }
}

impl FoundConnection {
    /// One that has nothing but its secret. Its name comes with [`Found::connection`].
    pub(super) fn new(line: u32, provider: ProviderSlug, name: ConnectionName, secret: FoundSecret) -> Self {
        Self {
            line,
            provider,
            name,
            secret,
            enabled: true,
            priority: None,
            weight: None,
            limits: Limits::default(),
            model_limits: BTreeMap::new(),
            settings: Object::new(),
        }
    }
}

/// A name made of any text.
pub(super) fn slug(text: &str) -> String {
    let plain =
        |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c.to_ascii_lowercase() } else { '-' };
    let all: String = text.trim().chars().map(plain).collect();
    let name = all.trim_matches(['-', '.', '_']).replace("--", "-");
    let name: String = name.chars().take(56).collect();
    if name.is_empty() { "imported".to_owned() } else { name }
}

/// A name, and then the same with numbers.
fn numbered(name: &str) -> impl Iterator<Item = String> {
    let name = name.to_owned();
    (1..10_000).map(move |n| if n == 1 { name.clone() } else { format!("{name}-{n}") })
}

/// An address as Bursar wants it, up to and with the version; none inside: the known provider's own.
fn base_url(known: Option<&'static Known>, address: &str) -> Option<Option<String>> {
    let url = Url::parse(address.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    url.host()?;
    if known.is_some_and(|known| !known.preset && is_own(known, &url)) {
        return Some(None);
    }
    let mut text = url.as_str().split(['?', '#']).next().unwrap_or_default().trim_end_matches('/').to_owned();
    for tail in ["/chat/completions", "/completions", "/embeddings"] {
        text = text.strip_suffix(tail).unwrap_or(&text).to_owned();
    }
    match known.map(|known| known.slug) {
        Some("azure") if url.path() == "/" => text.push_str("/openai"),
        Some("ollama" | "vllm" | "lm-studio" | "llama-cpp") if url.path() == "/" => text.push_str("/v1"),
        _ => {}
    }
    Some(Some(text))
}

/// Whether an address is the known provider's own, with or without a version.
fn is_own(known: &Known, url: &Url) -> bool {
    let host = match known.slug {
        "openai" => "api.openai.com",
        "gemini" => "generativelanguage.googleapis.com",
        "anthropic" => "api.anthropic.com",
        "openrouter" => "openrouter.ai",
        _ => return false,
    };
    url.host_str() == Some(host)
}

/// A word for a host, by which providers at several are told apart.
fn host_word(url: &str) -> String {
    let Ok(url) = Url::parse(url) else { return "imported".into() };
    let host = match url.host() {
        Some(Host::Domain(name)) => name.split('.').next().unwrap_or_default().to_owned(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    url.port().map_or(host.clone(), |port| format!("{host}-{port}"))
}

/// Whether a provider at an address needs to be allowed to be at a private one, or to be reached without TLS.
pub(super) fn is_private(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    let private = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        Some(Host::Ipv6(ip)) => ip.is_loopback() || ip.is_unique_local(),
        // A name without a dot is one of the operator's own network.
        Some(Host::Domain(name)) => !name.contains('.') || name.ends_with(".local") || name.ends_with(".internal"),
        None => false,
    };
    private || url.scheme() == "http"
}

#[cfg(test)]
mod tests {
    use super::super::known::by_name;
    use super::*;

    #[test]
    fn providers_are_told_apart_by_their_address() {
        let mut found = Found::default();
        let mut slug =
            |name: &str, address: Option<&str>| found.provider(by_name(name), address, 1).map(|slug| slug.to_string());
        assert_eq!(slug("openai", None).as_deref(), Some("openai"));
        assert_eq!(slug("openai", Some("https://api.openai.com/v1/")).as_deref(), Some("openai"));
        assert_eq!(slug("openai", Some("http://10.0.0.7:8000/v1")).as_deref(), Some("openai-10.0.0.7-8000"));
        assert_eq!(
            slug("openai", Some("http://10.0.0.7:8000/v1/chat/completions")).as_deref(),
            Some("openai-10.0.0.7-8000")
        );
        assert_eq!(slug("azure", Some("https://eu-prod.openai.azure.com/")).as_deref(), Some("azure-eu-prod"));
        assert_eq!(slug("azure", None), None);
        assert_eq!(slug("openai", Some("ftp://x/")), None);
        assert_eq!(found.notes.len(), 2);
        assert_eq!(found.providers[2].base_url.as_deref(), Some("https://eu-prod.openai.azure.com/openai"));
    }

    #[test]
    fn the_same_key_twice_is_one_connection_and_names_are_unique() {
        let mut found = Found::default();
        let openai = found.provider(by_name("openai"), None, 1).unwrap();
        let mut add = |name: &str, secret: &str| {
            let secret = FoundSecret::Given(SecretText::new(secret.to_owned()));
            let connection = FoundConnection::new(1, openai.clone(), "x".parse().unwrap(), secret);
            let place = found.connection(name, connection).unwrap();
            (place, found.connections[place].name.to_string())
        };
        assert_eq!(add("", "one"), (0, "main".into()));
        assert_eq!(add("Team Blue!", "two"), (1, "team-blue".into()));
        assert_eq!(add("anything", "one"), (0, "main".into()));
        assert_eq!(add("main", "three"), (2, "main-2".into()));
    }
}
