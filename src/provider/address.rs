//! Where a call goes: below the base URL, and never to another origin.

use std::collections::BTreeMap;

use url::Url;

use crate::adapter::segment::encoded;
use crate::adapter::{Adapter, Asked};
use crate::api::Operation;
use crate::config::{MODEL, Part, Paths, Template};

/// The addresses of one provider's calls.
pub(super) struct Addresses {
    base: Url,
    /// Calls whose address is the same for every model and connection, worked out beforehand.
    ready: Vec<((Operation, bool), Url)>,
    paths: Paths,
    /// What a connection may set, with what holds if it does not.
    settings: BTreeMap<String, String>,
}

impl Addresses {
    pub(super) fn new(adapter: &dyn Adapter, base: &Url, paths: &Paths, settings: &BTreeMap<String, String>) -> Self {
        Self {
            base: base.clone(),
            ready: ready(adapter, base, paths),
            paths: paths.clone(),
            settings: settings.clone(),
        }
    }

    /// The URL of a call by a connection with these settings; none where a name makes none.
    pub(super) fn of(&self, adapter: &dyn Adapter, asked: &Asked, words: &BTreeMap<String, String>) -> Option<Url> {
        let ready = |call: &(Operation, bool)| asked.endpoint.is_none() && *call == (asked.operation, asked.stream);
        if let Some((_, url)) = self.ready.iter().find(|(call, _)| ready(call)) {
            return Some(url.clone());
        }
        let path = adapter.path(asked);
        match self.paths.of(asked.operation) {
            None => below(&self.base, &path),
            Some(template) => {
                let url = below(&self.base, &self.filled(template, &path, asked, words)?)?;
                (url.origin() == self.base.origin()).then_some(url)
            }
        }
    }

    fn filled(
        &self,
        template: &Template,
        path: &str,
        asked: &Asked,
        words: &BTreeMap<String, String>,
    ) -> Option<String> {
        let mut whole = String::new();
        for part in &template.0 {
            match part {
                Part::Text(text) => whole.push_str(text),
                Part::Path => whole.push_str(path),
                Part::Word(word) => whole.push_str(&segment(self.word(word, asked, words)?)?),
            }
        }
        // The kind's own path may have brought a query along, before or behind the template's.
        Some(match whole.split_once('?') {
            Some((path, query)) => format!("{path}?{}", query.replace('?', "&")),
            None => whole,
        })
    }

    fn word<'a>(&'a self, word: &str, asked: &'a Asked, words: &'a BTreeMap<String, String>) -> Option<&'a str> {
        if word == MODEL {
            return Some(&asked.model);
        }
        let said = words.get(word).or_else(|| self.settings.get(word))?;
        let is_model = said.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) == Some(MODEL);
        Some(if is_model { &asked.model } else { said })
    }
}

/// A name as one segment. Two of them would be steps in the path, however they are written.
fn segment(name: &str) -> Option<String> {
    (!matches!(name, "" | "." | "..")).then(|| encoded(name))
}

fn ready(adapter: &dyn Adapter, base: &Url, paths: &Paths) -> Vec<((Operation, bool), Url)> {
    let calls = Operation::ALL.iter().filter(|operation| paths.of(**operation).is_none());
    calls
        .flat_map(|&operation| [(operation, false), (operation, true)])
        .filter_map(|(operation, stream)| {
            let path = |model: &str| adapter.path(&Asked { operation, stream, ..Asked::for_model(model) });
            let same = path("one") == path("other");
            same.then(|| below(base, &path("one"))).flatten().map(|url| ((operation, stream), url))
        })
        .collect()
}

fn below(base: &Url, path: &str) -> Option<Url> {
    let base = base.as_str().trim_end_matches('/');
    Url::parse(&format!("{base}{path}")).ok()
}
