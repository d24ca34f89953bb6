//! A TOML text as a tree in which everything knows its place. The only file that names the parser.
//!
//! The tree owns its texts and its places name their file, so two files' trees can be laid over each other and every
//! problem still leads to the line that somebody wrote.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::problem::{Problem, Problems};
use super::secret;
use super::source::Source;

/// Where something stands.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) file: Arc<Path>,
    pub(super) line: u32,
    pub(super) column: u32,
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// A TOML value. Numbers keep their text: a price must never pass through a float.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    /// The digits and their radix.
    Integer(String, u32),
    Decimal(String),
    Flag(bool),
    /// A date, a time or both, as RFC 3339 writes it.
    Time(String),
    List(Vec<Node>),
    Table(Table),
}

impl Value {
    /// What it is, as the end of "…, not".
    pub(super) fn noun(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Integer(..) => "a number",
            Self::Decimal(_) => "a decimal number",
            Self::Flag(_) => "true or false",
            Self::Time(_) => "a date",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// A table's entries by key.
#[derive(Debug, Clone, Default)]
pub(super) struct Table(pub(super) BTreeMap<String, Entry>);

/// A key's place and its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key_place: Place,
    pub(super) node: Node,
}

/// Parses a text. What cannot be parsed is left out of the tree and told in `problems`.
pub(super) fn parse(source: &Source, problems: &Problems) -> Node {
    let lines = Lines::new(source);
    let (root, errors) = DeTable::parse_recoverable(&source.text);
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let named = source.text.get(span.clone()).filter(|key| !secret::looks_like_one(key.trim_matches(['"', '\''])));
        let key = if error.message() == "duplicate key" { named.unwrap_or_default() } else { "" };
        problems.error(Problem::at(&lines.place(&span), key, error.message()));
    }
    Node { place: lines.place(&(0..0)), value: Value::Table(lines.table(root.get_ref())) }
}

/// Finds lines and columns.
struct Lines<'s> {
    file: Arc<Path>,
    text: &'s str,
    /// The offset at which each line begins.
    starts: Vec<usize>,
}

impl<'s> Lines<'s> {
    fn new(source: &'s Source) -> Self {
        let after_breaks = source.text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            file: Arc::clone(&source.file),
            text: &source.text,
            starts: std::iter::once(0).chain(after_breaks).collect(),
        }
    }

    fn place(&self, span: &Range<usize>) -> Place {
        let line = self.starts.partition_point(|&start| start <= span.start).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        let before = self.text.get(start..span.start).unwrap_or_default();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Place { file: Arc::clone(&self.file), line: number(line), column: number(before.chars().count() + 1) }
    }

    fn table(&self, table: &DeTable<'_>) -> Table {
        let entry = |(key, value): (&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>)| {
            let place = self.place(&key.span());
            (key.get_ref().to_string(), Entry { node: self.node(value, &place), key_place: place })
        };
        Table(table.iter().map(entry).collect())
    }

    /// A table written as a header stands where its key stands there; everything else has a place of its own.
    fn node(&self, value: &Spanned<DeValue<'_>>, key_place: &Place) -> Node {
        let own = || self.place(&value.span());
        match value.get_ref() {
            DeValue::String(text) => Node { place: own(), value: Value::Text(text.to_string()) },
            DeValue::Integer(number) => {
                Node { place: own(), value: Value::Integer(number.as_str().to_owned(), number.radix()) }
            }
            DeValue::Float(number) => Node { place: own(), value: Value::Decimal(number.as_str().to_owned()) },
            DeValue::Boolean(flag) => Node { place: own(), value: Value::Flag(*flag) },
            DeValue::Datetime(time) => Node { place: own(), value: Value::Time(time.to_string()) },
            DeValue::Array(items) => {
                let item = |item: &Spanned<_>| self.node(item, &self.place(&item.span()));
                Node { place: key_place.clone(), value: Value::List(items.iter().map(item).collect()) }
            }
            DeValue::Table(table) => Node { place: key_place.clone(), value: Value::Table(self.table(table)) },
        }
    }
}
