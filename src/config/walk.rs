//! Walking a document: typed looks at its values, each of which tells what is wrong instead of stopping.
//!
//! Every look returns an option: none means that the value cannot be used *and that this has been told*. So a reader
//! goes on with a default, finds the next problem, and the whole is refused in the end.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::document::{Entry, Node, Place, Table, Value};
use super::problem::{Problem, Problems};
use super::{secret, suggest};

/// One value of a document, with the path that leads to it.
#[derive(Clone)]
pub(super) struct Cursor<'a> {
    node: &'a Node,
    key_place: &'a Place,
    key: String,
    problems: &'a Problems,
}

/// A table whose keys are known beforehand; the unknown ones have been told.
pub(super) struct Fields<'a> {
    table: &'a Table,
    at: Cursor<'a>,
}

impl<'a> Cursor<'a> {
    /// The whole document.
    pub(super) fn root(node: &'a Node, problems: &'a Problems) -> Self {
        Self::under("", node, problems)
    }

    /// A document that stands for the value of a key.
    pub(super) fn under(key: &str, node: &'a Node, problems: &'a Problems) -> Self {
        Self { node, key_place: &node.place, key: key.to_owned(), problems }
    }

    pub(super) fn value(&self) -> &'a Value {
        &self.node.value
    }

    /// Where its key stands, for problems elsewhere that refer to this.
    pub(super) fn place(&self) -> &'a Place {
        self.key_place
    }

    /// What stands behind a key of the table, if it is one and the key is there. Nothing is told if not.
    pub(super) fn inner(&self, key: &str) -> Option<Self> {
        match &self.node.value {
            Value::Table(table) => self.enter(key, table.0.get(key)?),
            _ => None,
        }
    }

    /// Where a key of the table stands, if it is there.
    pub(super) fn place_of(&self, key: &str) -> Option<&'a Place> {
        match &self.node.value {
            Value::Table(table) => table.0.get(key).map(|entry| &entry.key_place),
            _ => None,
        }
    }

    /// Tells what is wrong with the value.
    pub(super) fn error(&self, message: impl Into<String>) {
        self.problems.error(Problem::at(&self.node.place, &self.key, message));
    }

    /// Tells what is wrong with the key.
    pub(super) fn error_at_key(&self, message: impl Into<String>) {
        self.problems.error(Problem::at(self.key_place, &self.key, message));
    }

    /// Tells what is odd about the key.
    pub(super) fn warning_at_key(&self, message: impl Into<String>) {
        self.problems.warning(Problem::at(self.key_place, &self.key, message));
    }

    /// Tells what is odd about the value.
    pub(super) fn warning(&self, message: impl Into<String>) {
        self.problems.warning(Problem::at(&self.node.place, &self.key, message));
    }

    /// Tells that the value is of the wrong sort; `wanted` is what to write instead.
    pub(super) fn mismatch<T>(&self, wanted: &str) -> Option<T> {
        self.error(format!("write {wanted}, not {}", self.node.value.noun()));
        None
    }

    /// Text that is not a secret.
    pub(super) fn text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) if secret::looks_like_one(text) => {
                self.error(secret::WRITTEN_OUT);
                None
            }
            Value::Text(text) => Some(text),
            _ => self.mismatch("text in quotes"),
        }
    }

    /// Text that is not a secret and not blank.
    pub(super) fn some_text(&self) -> Option<&'a str> {
        let text = self.text()?;
        if text.trim().is_empty() {
            self.error("must not be empty");
            return None;
        }
        Some(text)
    }

    /// Text that a type checks itself.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&self) -> Option<T> {
        self.text()?.parse().map_err(|error: T::Err| self.error(error.to_string())).ok()
    }

    /// The key as a name that a type checks itself.
    pub(super) fn key_as<T: FromStr<Err: Display>>(&self, key: &str) -> Option<T> {
        key.parse().map_err(|error: T::Err| self.error_at_key(error.to_string())).ok()
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&self, words: &[(&'static str, T)]) -> Option<T> {
        let given = self.text()?;
        let found = words.iter().find(|(word, _)| *word == given).map(|&(_, meaning)| meaning);
        if found.is_none() {
            let known: Vec<_> = words.iter().map(|&(word, _)| word).collect();
            self.error(format!("unknown word {given:?}{}", suggest::hint(given, &known)));
        }
        found
    }

    pub(super) fn flag(&self) -> Option<bool> {
        match self.node.value {
            Value::Flag(flag) => Some(flag),
            _ => self.mismatch("true or false"),
        }
    }

    /// A whole number within a range.
    pub(super) fn number(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let Value::Integer(digits, radix) = &self.node.value else { return self.mismatch("a whole number") };
        let number = u64::from_str_radix(digits, *radix).ok().filter(|number| range.contains(number));
        if number.is_none() {
            self.error(match (*range.start(), *range.end()) {
                (least, u64::MAX) => format!("write a whole number, at least {least}"),
                (least, most) => format!("write a whole number from {least} to {most}"),
            });
        }
        number
    }

    /// A number within a range that fits 32 bits.
    pub(super) fn small_number(&self, range: RangeInclusive<u32>) -> Option<u32> {
        self.number(u64::from(*range.start())..=u64::from(*range.end())).and_then(|number| u32::try_from(number).ok())
    }

    /// The items of a list.
    pub(super) fn items(&self) -> Vec<Cursor<'a>> {
        let Value::List(items) = &self.node.value else {
            return self.mismatch("a list in [ ]").unwrap_or_default();
        };
        let item = |(index, node): (usize, &'a Node)| Cursor {
            node,
            key_place: &node.place,
            key: format!("{}[{index}]", self.key),
            problems: self.problems,
        };
        items.iter().enumerate().map(item).collect()
    }

    /// The keys of a table, known or not.
    pub(super) fn keys(&self) -> Vec<&'a str> {
        match &self.node.value {
            Value::Table(table) => table.0.keys().map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// The entries of a table whose keys are names of the writer's own.
    pub(super) fn entries(&self) -> Vec<(&'a str, Cursor<'a>)> {
        let Some(table) = self.table() else { return Vec::new() };
        table.0.iter().filter_map(|(key, entry)| Some((key.as_str(), self.enter(key, entry)?))).collect()
    }

    /// The table's fields, of which only the `known` ones may be there.
    pub(super) fn fields(&self, known: &[&str]) -> Option<Fields<'a>> {
        let table = self.table()?;
        for (key, entry) in &table.0 {
            if !known.contains(&key.as_str())
                && let Some(inside) = self.enter(key, entry)
            {
                inside.unknown_key(key, known, secret::written_out(&self.key));
            }
        }
        Some(Fields { table, at: self.clone() })
    }

    fn unknown_key(&self, key: &str, known: &[&str], written_out: &str) {
        if secret::names_one(key) {
            self.error_at_key(written_out);
        } else {
            self.error_at_key(format!("unknown key{}", suggest::hint(key, known)));
        }
    }

    fn table(&self) -> Option<&'a Table> {
        match &self.node.value {
            Value::Table(table) => Some(table),
            _ => self.mismatch("a table"),
        }
    }

    /// Steps to an entry; none if its key is a secret, which must not get into any path.
    fn enter(&self, key: &str, entry: &'a Entry) -> Option<Self> {
        if secret::looks_like_one(key) {
            self.problems.error(Problem::at(&entry.key_place, &self.key, secret::WRITTEN_OUT));
            return None;
        }
        let key = match self.key.as_str() {
            "" => quoted_key(key),
            path => format!("{path}.{}", quoted_key(key)),
        };
        Some(Cursor { node: &entry.node, key_place: &entry.key_place, key, problems: self.problems })
    }
}

impl<'a> Fields<'a> {
    /// The table itself.
    pub(super) fn at(&self) -> &Cursor<'a> {
        &self.at
    }

    /// A field, if it is there.
    pub(super) fn get(&self, key: &str) -> Option<Cursor<'a>> {
        self.at.enter(key, self.table.0.get(key)?)
    }

    /// A field that must be there; `write` is what to write if it is not.
    pub(super) fn require(&self, key: &str, write: &str) -> Option<Cursor<'a>> {
        let found = self.get(key);
        if found.is_none() {
            self.at.error(format!("{key} is missing: write {write}"));
        }
        found
    }

    /// The items of a list, none if it is not there.
    pub(super) fn items(&self, key: &str) -> Vec<Cursor<'a>> {
        self.get(key).map(|list| list.items()).unwrap_or_default()
    }

    /// The entries of a table, none if it is not there.
    pub(super) fn entries(&self, key: &str) -> Vec<(&'a str, Cursor<'a>)> {
        self.get(key).map(|table| table.entries()).unwrap_or_default()
    }

    /// A flag, or what holds if it is not there.
    pub(super) fn flag_or(&self, key: &str, default: bool) -> bool {
        self.get(key).and_then(|flag| flag.flag()).unwrap_or(default)
    }
}

/// A key as TOML would have it in a dotted path.
pub(super) fn quoted_key(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if bare { key.to_owned() } else { format!("{key:?}") }
}
