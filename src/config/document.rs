//! A TOML text as a tree in which everything knows its place. The only file that names the parser.
//!
//! The tree owns its texts and its places name their file, so two files' trees can be laid over each other and every
//! problem still leads to the line that somebody wrote.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::problem::{Problem, Problems};
use super::source::Source;
use super::{secret, walk};

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Arc<Path>,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

impl Place {
    /// How it is said in a message about another place: the line alone where both are in one file.
    pub(super) fn from(&self, other: &Self) -> String {
        if self.file == other.file { format!("line {}", self.line) } else { self.to_string() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
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

impl Node {
    /// Whether both say the same, wherever they stand.
    pub(super) fn says(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.says(b)),
            (Value::Table(a), Value::Table(b)) => {
                a.0.len() == b.0.len()
                    && a.0.iter().zip(&b.0).all(|((a_key, a), (b_key, b))| a_key == b_key && a.node.says(&b.node))
            }
            (Value::Text(a), Value::Text(b))
            | (Value::Decimal(a), Value::Decimal(b))
            | (Value::Time(a), Value::Time(b)) => a == b,
            (Value::Integer(a, a_radix), Value::Integer(b, b_radix)) => (a, a_radix) == (b, b_radix),
            (Value::Flag(a), Value::Flag(b)) => a == b,
            _ => false,
        }
    }
}

/// As TOML writes it, on one line.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Value::Text(text) => write!(f, "{}", toml::Value::from(text.as_str())),
            Value::Integer(digits, 16) => write!(f, "0x{digits}"),
            Value::Integer(digits, 8) => write!(f, "0o{digits}"),
            Value::Integer(digits, 2) => write!(f, "0b{digits}"),
            Value::Integer(text, _) | Value::Decimal(text) | Value::Time(text) => f.write_str(text),
            Value::Flag(flag) => write!(f, "{flag}"),
            Value::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Value::Table(table) => {
                f.write_str("{")?;
                for (index, (key, entry)) in table.0.iter().enumerate() {
                    write!(f, "{} {} = {}", if index == 0 { "" } else { "," }, walk::quoted_key(key), entry.node)?;
                }
                f.write_str(if table.0.is_empty() { "}" } else { " }" })
            }
        }
    }
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
        problems.error(Problem::at(&lines.place(&span), key, advised(error.message())));
    }
    Node { place: lines.place(&(0..0)), value: Value::Table(lines.table(root.get_ref())) }
}

/// The parser's words, with what to write where they do not tell.
fn advised(message: &str) -> String {
    if message.contains("leading zero") {
        return format!("{message}: a mode goes in quotes, such as \"0660\", and a number has no 0 before it");
    }
    message.to_owned()
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
