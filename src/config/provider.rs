//! Providers as the file declares them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use http::{HeaderName, HeaderValue};
use jiff::tz::TimeZone;
use url::Url;

use super::kind::{KindFacts, StreamUsage};
use super::layers::Shipped;
use super::model::Model;
use super::rate_limit::{self, RateLimitHeader};
use super::shape::{self, Paths};
use super::timeout::TimeoutOverrides;
use super::walk::{Cursor, Fields};
use super::{suggest, timeout};
use crate::api::{Operation, ProviderSlug};
use crate::bounds;

/// A provider: what it is. What operators switched is the store's.
#[derive(Debug, Clone, PartialEq)]
pub struct Provider {
    /// Its slug, the first segment of `provider/model`.
    pub slug: ProviderSlug,
    /// The kind, one of those that the caller knows.
    pub kind: String,
    /// The preset that lies under it.
    pub preset: Option<String>,
    /// Whether the file says that it may be used.
    pub enabled: bool,
    /// Where its API begins, with the version path and without a slash at the end. A lone host keeps its slash, as
    /// URLs do.
    pub base_url: Url,
    /// Its listed models by id.
    pub models: BTreeMap<String, Model>,
    /// Whether its host may be at a private or loopback address, and be reached without TLS.
    pub allow_private: bool,
    /// A file of certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The HTTP proxy on the way to it.
    pub proxy: Option<Url>,
    /// How usage comes in its streams.
    pub stream_usage: StreamUsage,
    /// Whether models that are not listed are sent to it.
    pub unlisted_models: bool,
    /// Whether the provider's own list of models is fetched, and its ids are known.
    pub fetch_models: bool,
    /// The kinds of calls that apps may make, of those that its kind has; none: all of them.
    pub operations: Option<Vec<Operation>>,
    /// Whether a connection must have a secret; none: as its kind has it, unless its host is one of the operator's own.
    pub needs_secret: Option<bool>,
    /// The header that holds the bare credential; none: as its kind has it.
    pub auth: Option<HeaderName>,
    /// Where its calls go below the base URL, where that is not as its kind has it.
    pub paths: Paths,
    /// Words that a connection may set beside those of the kind, with what holds if it does not.
    pub settings: BTreeMap<String, String>,
    /// What its rate-limit headers count.
    pub rate_limits: Vec<RateLimitHeader>,
    /// What follows a timeout.
    pub on_timeout: OnTimeout,
    /// Request parameters that are cut out before sending.
    pub drop: Vec<String>,
    /// Request parameters that are renamed before sending: (from, to).
    pub rename: Vec<(String, String)>,
    /// Headers that go out with every request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Timeouts that differ from the defaults.
    pub timeouts: TimeoutOverrides,
    /// Where its calendar days begin.
    pub day_resets: TimeZone,
    /// Whether the built-in provider of this name lies under it.
    pub builtin: bool,
}

/// What follows when an attempt took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnTimeout {
    /// The app is told: the provider may have done, and charged, the work.
    #[default]
    Error,
    /// The next candidate is tried.
    Fallback,
}

impl OnTimeout {
    pub(super) const WORDS: &'static [(&'static str, Self)] = &[("error", Self::Error), ("fallback", Self::Fallback)];
}

/// What reading a provider needs to know of the rest.
pub(super) struct Surroundings<'a> {
    /// The kinds there are.
    pub(super) kinds: &'a [&'a KindFacts],
    /// The built-in providers and presets there are.
    pub(super) shipped: &'a Shipped,
    /// Whether lists of models are fetched where a provider does not say.
    pub(super) fetch_models: bool,
}

const KEYS: &[&str] = &[
    "kind",
    "preset",
    "enabled",
    "builtin",
    "base_url",
    "base_url_like",
    "models",
    "allow_private",
    "ca_file",
    "proxy",
    "stream_usage",
    "unlisted_models",
    "fetch_models",
    "operations",
    "needs_secret",
    "auth",
    "paths",
    "settings",
    "rate_limits",
    "on_timeout",
    "drop",
    "rename",
    "headers",
    "timeouts",
    "day_resets",
];

/// Parameters that Bursar itself reads and writes.
const OWN_PARAMETERS: &[&str] = &["model", "stream"];

impl Provider {
    /// The words that a connection may set: those of its kind, and its own.
    pub fn setting_words<'a>(&'a self, kind: &'a KindFacts) -> impl Iterator<Item = &'a str> {
        kind.settings.iter().copied().chain(self.settings.keys().map(String::as_str))
    }

    /// The ids of its listed models.
    pub(super) fn listed(&self) -> BTreeSet<&str> {
        self.models.keys().map(String::as_str).collect()
    }

    /// Reads a provider, whose name is the table's key. Of a built-in one, what lies under it has been put there.
    pub(super) fn read(name: &str, at: &Cursor<'_>, around: &Surroundings<'_>) -> Option<Self> {
        let slug = at.key_as(name);
        let fields = at.fields(KEYS)?;
        let builtin = read_builtin(name, &fields, around);
        let preset = fields.get("preset").map(|preset| read_preset(&preset, builtin, around));
        let settings = shape::settings(&fields);
        let facts = read_kind(name, &fields, around);
        let allow_private = fields.flag_or("allow_private", false);
        let base_url = read_base_url(&fields, facts, allow_private);
        let stream_usage = fields.get("stream_usage").and_then(|word| word.word(StreamUsage::WORDS));
        Some(Self {
            enabled: fields.flag_or("enabled", true),
            models: read_models(&fields),
            allow_private,
            ca_file: fields.get("ca_file").and_then(|path| path.path()),
            proxy: fields.get("proxy").and_then(|proxy| read_proxy(&proxy)),
            unlisted_models: fields.flag_or("unlisted_models", true),
            fetch_models: fields.flag_or("fetch_models", around.fetch_models),
            operations: shape::operations(&fields),
            needs_secret: fields.get("needs_secret").and_then(|flag| flag.flag()),
            auth: shape::auth(&fields),
            paths: shape::paths(&fields, &settings),
            settings,
            rate_limits: rate_limit::read(&fields),
            on_timeout: fields.get("on_timeout").and_then(|word| word.word(OnTimeout::WORDS)).unwrap_or_default(),
            drop: fields.items("drop").iter().filter_map(read_parameter).collect(),
            rename: fields.entries("rename").into_iter().filter_map(read_rename).collect(),
            headers: fields.get("headers").map(|headers| headers.headers()).unwrap_or_default(),
            timeouts: fields.get("timeouts").map(|table| timeout::read(&table)).unwrap_or_default(),
            day_resets: fields.get("day_resets").and_then(|zone| zone.time_zone()).unwrap_or(TimeZone::UTC),
            builtin,
            // What may be missing comes last, so that everything above has been looked at by then.
            preset: preset.map_or(Some(None), |preset| preset.map(Some))?,
            slug: slug?,
            kind: facts?.name.to_owned(),
            base_url: base_url?,
            stream_usage: stream_usage.unwrap_or(facts?.stream_usage),
        })
    }
}

/// Whether the built-in provider lies under this one. Saying so of a name that no built-in has is a slip.
fn read_builtin(name: &str, fields: &Fields<'_>, around: &Surroundings<'_>) -> bool {
    let there = around.shipped.providers.contains(name);
    let Some(at) = fields.get("builtin") else { return there };
    let wanted = at.flag().unwrap_or(there);
    if !there {
        at.dangling("built-in provider", name, around.shipped.providers.iter().map(String::as_str));
    }
    there && wanted
}

/// The preset that a provider names. What it says has been laid under the provider already.
fn read_preset(at: &Cursor<'_>, builtin: bool, around: &Surroundings<'_>) -> Option<String> {
    let name = at.text()?;
    let known: Vec<_> = around.shipped.presets.iter().map(String::as_str).collect();
    if !known.contains(&name) {
        let meant = suggest::did_you_mean(name, known.iter().copied());
        at.error(format!("there is no preset {name:?}: there are {}{meant}", known.join(", ")));
        return None;
    }
    if builtin {
        at.error("this provider is built in, and has no preset: give yours another name, or write builtin = false");
        return None;
    }
    Some(name.to_owned())
}

fn read_kind<'k>(name: &str, fields: &Fields<'_>, around: &Surroundings<'k>) -> Option<&'k KindFacts> {
    let Some(at) = fields.get("kind") else {
        // A preset that is there brings a kind along, and one that is not has been told of.
        if fields.get("preset").is_some() {
            return None;
        }
        let known: Vec<_> = around.kinds.iter().map(|facts| facts.name).collect();
        let meant = suggest::nearest(name, around.shipped.providers.iter().map(String::as_str))
            .filter(|&meant| meant != name)
            .map(|meant| format!("; did you mean the built-in {meant:?}?"))
            .or_else(|| around.shipped.presets.get(name).map(|preset| format!("; or write preset = {preset:?}")))
            .unwrap_or_default();
        fields.at().error_at_key(format!("kind is missing: write kind = one of {}{meant}", known.join(", ")));
        return None;
    };
    let words: Vec<_> = around.kinds.iter().map(|&facts| (facts.name, facts)).collect();
    at.word(&words)
}

fn read_base_url(fields: &Fields<'_>, facts: Option<&KindFacts>, allow_private: bool) -> Option<Url> {
    let Some(at) = fields.get("base_url") else {
        let facts = facts?;
        if let Some(like) = fields.get("base_url_like").and_then(|like| like.some_text()) {
            fields.at().error_at_key(format!("base_url is missing: write your own, such as {like:?}"));
            return None;
        }
        let default = facts.default_base_url.and_then(|url| Url::parse(url).ok());
        if default.is_none() {
            let kind = facts.name;
            fields.at().error_at_key(format!(
                "base_url is missing, and kind {kind:?} has none of its own: write such as \"https://api.example.com/v1\""
            ));
        }
        return default;
    };
    let mut url = at.address()?;
    if url.scheme() == "http" && !allow_private {
        at.error(
            "must begin with https://, or anyone on the way could read the key; \
             for a host of your own, write allow_private = true beside it",
        );
        return None;
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Some(url)
}

fn read_proxy(at: &Cursor<'_>) -> Option<Url> {
    let url = at.address()?;
    if url.path() != "/" {
        at.error("must be a scheme, a host and a port only, such as \"http://proxy.example.com:3128\"");
        return None;
    }
    Some(url)
}

fn read_models(fields: &Fields<'_>) -> BTreeMap<String, Model> {
    let models: BTreeMap<_, _> = fields
        .entries("models")
        .into_iter()
        .filter_map(|(id, at)| Some((at.model_id(id), Model::read(&at)?)))
        .filter_map(|(id, model)| Some((id?, model)))
        .collect();
    if models.len() > bounds::MODELS_PER_PROVIDER_MAX {
        fields.at().error(format!("lists more than {} models", bounds::MODELS_PER_PROVIDER_MAX));
    }
    models
}

fn read_rename((from, at): (&str, Cursor<'_>)) -> Option<(String, String)> {
    if OWN_PARAMETERS.contains(&from) {
        at.error_at_key("is a parameter that Bursar itself needs");
        return None;
    }
    Some((from.to_owned(), read_parameter(&at)?))
}

fn read_parameter(at: &Cursor<'_>) -> Option<String> {
    let name = at.some_text()?;
    if OWN_PARAMETERS.contains(&name) {
        at.error(format!("{name:?} is a parameter that Bursar itself needs"));
        return None;
    }
    Some(name.to_owned())
}
