//! What a provider's calls look like where that differs from its kind: paths, the credential's header, kinds of calls.

use std::collections::BTreeMap;

use http::HeaderName;

use super::values::OWN_HEADERS;
use super::walk::{Cursor, Fields};
use crate::api::Operation;

/// The word in a template that stands for the path that the kind would ask for.
const PATH: &str = "path";
/// The word in a template, and the default of a setting, that stands for the model's id.
pub const MODEL: &str = "model";
/// The key of the template for calls that have none of their own.
const DEFAULT: &str = "default";

/// Templates of paths below the base URL. None: as the kind has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Paths {
    default: Option<Template>,
    special: Vec<(Operation, Template)>,
}

impl Paths {
    /// The template for a kind of call.
    pub fn of(&self, operation: Operation) -> Option<&Template> {
        let special = self.special.iter().find(|(of, _)| *of == operation).map(|(_, template)| template);
        special.or(self.default.as_ref())
    }
}

/// A path with places to fill, such as `/deployments/{deployment}{path}?api-version={api_version}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(pub Vec<Part>);

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Goes out as it stands.
    Text(String),
    /// The path that the kind would ask for, with its slash.
    Path,
    /// A connection's setting, or the model's id ([`MODEL`]), as one segment.
    Word(String),
}

/// Reads `paths`. `settings` are the words that a connection may set and that have a default.
pub(super) fn paths(fields: &Fields<'_>, settings: &BTreeMap<String, String>) -> Paths {
    let mut paths = Paths::default();
    for (key, at) in fields.entries("paths") {
        let Some(template) = Template::read(&at, settings) else { continue };
        if key == DEFAULT {
            paths.default = Some(template);
        } else if let Ok(operation) = key.parse() {
            paths.special.push((operation, template));
        } else {
            at.error_at_key(format!("is no kind of call: write {DEFAULT} or one of {}", names(Operation::ALL)));
        }
    }
    paths
}

impl Template {
    /// Reads a template. It begins with a slash: what follows a host without one would be a part of its name.
    fn read(at: &Cursor<'_>, settings: &BTreeMap<String, String>) -> Option<Self> {
        let text = at.some_text()?;
        if !text.starts_with('/') && !text.starts_with("{path}") {
            at.error("must begin with / or with {path}");
            return None;
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            let Some((word, after)) = behind.split_once('}') else {
                at.error("has a { that no } closes");
                return None;
            };
            if !before.is_empty() {
                parts.push(Part::Text(before.into()));
            }
            parts.push(match word {
                PATH => Part::Path,
                word if word == MODEL || settings.contains_key(word) => Part::Word(word.into()),
                word => {
                    at.error(format!("{{{word}}} stands for nothing: it is neither path, model nor one of settings"));
                    return None;
                }
            });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.into()));
        }
        Some(Self(parts))
    }
}

/// Reads `settings`: words that a connection may set beside those of the kind, each with what holds if it does not.
pub(super) fn settings(fields: &Fields<'_>) -> BTreeMap<String, String> {
    let one = |(word, at): (&str, Cursor<'_>)| {
        let plain = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if !plain || [PATH, MODEL].contains(&word) {
            at.error_at_key("is no name for a setting: use a-z and _, and neither path nor model");
            return None;
        }
        Some((word.to_owned(), at.some_text()?.to_owned()))
    };
    fields.entries("settings").into_iter().filter_map(one).collect()
}

/// Reads `operations`: the kinds of calls that apps may make. The list of models is no call of theirs.
pub(super) fn operations(fields: &Fields<'_>) -> Option<Vec<Operation>> {
    let words: Vec<_> = Operation::ALL
        .iter()
        .filter(|&&operation| operation != Operation::Models)
        .map(|&operation| (operation.name(), operation))
        .collect();
    let list = fields.get("operations")?;
    let read: Vec<_> = list.items().iter().filter_map(|item| item.word(&words)).collect();
    if read.is_empty() {
        list.error(format!("names no kind of call: write some of {}", names(words.iter().map(|(_, one)| one))));
    }
    Some(read)
}

/// Reads `auth`: the header that holds the bare credential.
pub(super) fn auth(fields: &Fields<'_>) -> Option<HeaderName> {
    let header = fields.get("auth")?.fields(&["header"])?.require("header", "header = \"api-key\"")?;
    let Ok(name) = HeaderName::from_bytes(header.some_text()?.as_bytes()) else {
        header.error("is not the name of a header");
        return None;
    };
    if OWN_HEADERS.contains(&name.as_str()) {
        header.error("is a header that Bursar writes itself");
        return None;
    }
    Some(name)
}

fn names<'o>(operations: impl IntoIterator<Item = &'o Operation>) -> String {
    operations.into_iter().map(|operation| operation.name()).collect::<Vec<_>>().join(", ")
}
