//! Connections as the file declares them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use jiff::Timestamp;

use super::kind::KindFacts;
use super::limit::limits_by_model;
use super::problem::Report;
use super::provider::Provider;
use super::secret::SecretRef;
use super::timeout::TimeoutOverrides;
use super::walk::{Cursor, Fields};
use super::{json, secret, timeout};
use crate::api::admin::Limits;
use crate::api::{ConnectionId, LimitGroup, ProviderSlug};
use crate::bounds;

/// One account or key at a provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    /// Provider and name; unique within a catalogue.
    pub id: ConnectionId,
    /// Where its secret is; none only where the provider's kind needs none.
    pub secret: Option<SecretRef>,
    /// Lower goes first.
    pub priority: u32,
    /// Its share among equals of its priority.
    pub weight: u32,
    /// Whether the file says that it may be used.
    pub enabled: bool,
    /// Its limits for all models together.
    pub limits: Limits,
    /// Its limits for single models, beside those for all.
    pub models: BTreeMap<String, Limits>,
    /// The group whose limits it shares.
    pub limit_group: Option<LimitGroup>,
    /// What its kind, and every kind, lets it set.
    pub settings: Settings,
    /// When its secret stops being valid, as its owner knows.
    pub expires_at: Option<Timestamp>,
}

impl Connection {
    /// The priority of a connection that names none: the first rank, so that a second one is put behind it by saying
    /// `priority = 2`, and before it by saying 0.
    pub const PRIORITY_DEFAULT: u32 = 1;
    /// The weight of a connection that names none.
    pub const WEIGHT_DEFAULT: u32 = 1;
    /// The largest weight: finer shares cannot be seen.
    pub const WEIGHT_MAX: u32 = 1_000;
}

/// A connection's settings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// The words of its kind, such as `organization`, with their text.
    pub words: BTreeMap<String, String>,
    /// Headers that go out with every request, after the provider's.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Timeouts that differ from the provider's.
    pub timeouts: TimeoutOverrides,
    /// The faults that the sandbox plays.
    pub fault: Option<Fault>,
}

/// Faults to play, each on every request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fault {
    /// The HTTP status of the reply instead of 200.
    pub status: Option<u16>,
    /// The `Retry-After` beside that status, in seconds.
    pub retry_after_s: Option<u64>,
    /// How long the reply is held back.
    pub latency: Option<Duration>,
    /// Never answer.
    pub hang: bool,
    /// Cut a stream after so many frames.
    pub cut_after: Option<u64>,
}

/// What reading a connection needs to know of the rest.
pub(super) struct Surroundings<'a> {
    /// The kinds there are.
    pub(super) kinds: &'a [&'a KindFacts],
    /// The names of the declared providers.
    pub(super) declared: &'a BTreeSet<&'a str>,
    /// Those of them that could be read.
    pub(super) providers: &'a BTreeMap<ProviderSlug, Provider>,
    /// The names of the limit groups.
    pub(super) groups: &'a BTreeSet<&'a str>,
}

const KEYS: &[&str] = &[
    "provider",
    "name",
    "secret",
    "priority",
    "weight",
    "enabled",
    "limits",
    "models",
    "limit_group",
    "settings",
    "expires_at",
];

impl Connection {
    /// Reads one of `[[connections]]`.
    pub(super) fn read(at: &Cursor<'_>, around: &Surroundings<'_>) -> Option<Self> {
        let fields = at.fields(KEYS)?;
        let provider = read_provider(&fields, around);
        let name = fields.require("name", "name = \"main\"").and_then(|name| name.parsed());
        let declared = provider.as_ref().and_then(|slug| around.providers.get(slug));
        let facts = declared.and_then(|provider| facts_of(provider, around.kinds));
        Some(Self {
            secret: read_secret(&fields, declared, facts),
            priority: small(&fields, "priority", 0..=u32::MAX).unwrap_or(Self::PRIORITY_DEFAULT),
            weight: small(&fields, "weight", 1..=Self::WEIGHT_MAX).unwrap_or(Self::WEIGHT_DEFAULT),
            enabled: fields.flag_or("enabled", true),
            limits: fields.get("limits").map(|limits| Limits::read(&limits)).unwrap_or_default(),
            models: limits_by_model(&fields, &declared.map(Provider::listed).unwrap_or_default()),
            limit_group: fields.get("limit_group").and_then(|group| read_group(&group, around)),
            settings: read_settings(&fields, declared.zip(facts)),
            expires_at: fields.get("expires_at").and_then(|moment| moment.moment()),
            // What may be missing comes last, so that everything above has been looked at by then.
            id: ConnectionId::new(provider?, name?),
        })
    }
}

fn facts_of<'k>(provider: &Provider, kinds: &[&'k KindFacts]) -> Option<&'k KindFacts> {
    kinds.iter().copied().find(|facts| facts.name == provider.kind)
}

fn small(fields: &Fields<'_>, key: &str, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
    fields.get(key)?.small_number(range)
}

fn read_provider(fields: &Fields<'_>, around: &Surroundings<'_>) -> Option<ProviderSlug> {
    let at = fields.require("provider", "provider = \"openai\"")?;
    let slug: ProviderSlug = at.parsed()?;
    if !around.declared.contains(slug.as_str()) {
        at.dangling("provider", slug.as_str(), around.declared.iter().copied());
        return None;
    }
    Some(slug)
}

fn read_group(at: &Cursor<'_>, around: &Surroundings<'_>) -> Option<LimitGroup> {
    let group: LimitGroup = at.parsed()?;
    if !around.groups.contains(group.as_str()) {
        at.dangling("limit group", group.as_str(), around.groups.iter().copied());
        return None;
    }
    Some(group)
}

/// A host of one's own, at a private address, often asks for no key, whatever its kind.
fn read_secret(fields: &Fields<'_>, provider: Option<&Provider>, facts: Option<&KindFacts>) -> Option<SecretRef> {
    if let Some(at) = fields.get("secret") {
        return secret::read(&at);
    }
    let (provider, facts) = provider.zip(facts)?;
    let name = facts.name;
    if provider.needs_secret.unwrap_or(facts.needs_secret && !provider.allow_private) {
        let wanted = secret::WANTED;
        fields.at().error(format!("secret is missing, and kind {name:?} needs one: write secret = {wanted}"));
    }
    None
}

/// Reads the settings. Without a known kind their words cannot be told right from wrong, and something else is wrong
/// already.
fn read_settings(fields: &Fields<'_>, provider: Option<(&Provider, &KindFacts)>) -> Settings {
    let settings = fields.get("settings").zip(provider).map(|(at, (provider, facts))| {
        let words: Vec<_> = provider.setting_words(facts).collect();
        Settings::read(&at, &words)
    });
    settings.unwrap_or_default()
}

/// Words under `settings` that every kind has.
const COMMON_SETTINGS: &[&str] = &["headers", "timeouts"];
/// The word whose value is a table of its own, where a kind has it.
const FAULT: &str = "fault";

impl Settings {
    /// Reads the settings that an operator gave for a connection whose provider has these words, from the text of a JSON
    /// object: the words and the rules are those of the file.
    ///
    /// # Errors
    /// When it is not JSON, or holds something that cannot be taken: everything of that sort at once.
    pub fn with_words(text: &str, words: &[&str]) -> Result<Self, Report> {
        json::read("settings", text, |at| Self::read(at, words))
    }

    /// Reads settings that were checked when they were stored. Their kind may have lost a word since, or be gone: any
    /// word is taken.
    ///
    /// # Errors
    /// When it is not JSON, or a value is of the wrong sort.
    pub fn from_json(text: &str) -> Result<Self, Report> {
        json::read("settings", text, |at| Self::read(at, &at.keys()))
    }

    fn read(at: &Cursor<'_>, words: &[&str]) -> Self {
        let Some(fields) = at.fields(&[words, COMMON_SETTINGS].concat()) else { return Self::default() };
        let is_text = |word: &&&str| **word != FAULT && !COMMON_SETTINGS.contains(*word);
        let text = |&word: &&str| Some((word.to_owned(), fields.get(word)?.some_text()?.to_owned()));
        Self {
            words: words.iter().filter(is_text).filter_map(text).collect(),
            headers: fields.get("headers").map(|headers| headers.headers()).unwrap_or_default(),
            timeouts: fields.get("timeouts").map(|table| timeout::read(&table)).unwrap_or_default(),
            fault: fields.get(FAULT).and_then(|fault| Fault::read(&fault)),
        }
    }
}

impl Fault {
    fn read(at: &Cursor<'_>) -> Option<Self> {
        let fields = at.fields(&["status", "retry_after_s", "latency_ms", "hang", "cut_after"])?;
        let number = |key: &str, range| fields.get(key)?.number(range);
        Some(Self {
            status: number("status", 200..=599).and_then(|status| u16::try_from(status).ok()),
            retry_after_s: number("retry_after_s", 0..=u64::from(u32::MAX)),
            latency: number("latency_ms", 0..=FAULT_LATENCY_MS_MAX).map(Duration::from_millis),
            hang: fields.flag_or("hang", false),
            cut_after: number("cut_after", 0..=u64::MAX),
        })
    }
}

/// The longest played latency, in milliseconds: what is longer is a `hang`.
const FAULT_LATENCY_MS_MAX: u64 = bounds::TIMEOUT_MAX.as_secs() * 1_000;
